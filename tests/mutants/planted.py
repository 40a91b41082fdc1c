"""``python -m tests.mutants.planted``: faults that once went unseen, planted one by one; each has to fail a test.

Prints the test that saw each fault, and the seconds that this test took.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.mutants.__main__ import copy_tree, environment


class Fault(NamedTuple):
    """One fault: text of a module that is replaced, and where the test is that has to see it."""

    name: str
    module: str
    before: str
    after: str
    tests: str


_BATCHER = "tests/batching"
_BREAKER = "tests/customerio/test_breaker.py"
_CONNECTION = "tests/customerio/test_connection.py"
_RESPONSES = "tests/customerio/test_responses.py"

FAULTS = [
    Fault(
        "bytes that wait are never given back",
        "shared/batching.py",
        "            self._waiting_bytes -= entry.size\n",
        "",
        _BATCHER,
    ),
    Fault(
        "an exclusive operation joins an earlier one of its person",
        "shared/batching.py",
        "(entry.exclusive and not taken.isdisjoint(entry.keys))",
        "False",
        _BATCHER,
    ),
    Fault(
        "an operation joins an earlier exclusive one of its person",
        "shared/batching.py",
        "            if entry.exclusive:\n                barred.update(entry.keys)\n",
        "",
        _BATCHER,
    ),
    Fault(
        "what is left out counts as part of the batch",
        "shared/batching.py",
        "                barred.update(entry.keys)\n                continue\n",
        "                barred.update(entry.keys)\n                size += entry.size\n                continue\n",
        _BATCHER,
    ),
    Fault(
        "the breaker is not asked again after the wait",
        "shared/customerio/breaker.py",
        "        self.check()\n        probing",
        "        probing",
        _BREAKER,
    ),
    Fault(
        "a refusal does not close a probe",
        "shared/customerio/breaker.py",
        "self._record_success()  # a refusal shows that Customer.io is there",
        "pass",
        _BREAKER,
    ),
    Fault(
        "a shorter pause overrides a longer one",
        "shared/customerio/breaker.py",
        "max(self._open_until, now + (self._pause if seconds is None else seconds))",
        "now + (self._pause if seconds is None else seconds)",
        _BREAKER,
    ),
    Fault(
        "the pause never shortens again",
        "shared/customerio/breaker.py",
        "            return\n        self._pause = BREAKER_MIN_PAUSE_SECONDS\n",
        "            return\n",
        _BREAKER,
    ),
    Fault(
        "two probes at once",
        "shared/customerio/breaker.py",
        "if probing and self._probe_in_flight and self._cause is not None:",
        "if False:",
        _BREAKER,
    ),
    Fault(
        "a call may take 320 s",
        "shared/deadlines.py",
        "PUSH_SECONDS = 45.0",
        "PUSH_SECONDS = 320.0",
        "tests/settings/test_deadlines.py",
    ),
    Fault(
        "the lease is shorter than the call",
        "shared/deadlines.py",
        "LEASE_SECONDS = 40.0",
        "LEASE_SECONDS = 9.0",
        "tests/settings/test_deadlines.py",
    ),
    Fault(
        "the call is not ended in time for its record",
        "shared/handlers/idempotency.py",
        "latest = deadline - deadlines.RECORD_SECONDS",
        "latest = deadline + 320",
        "tests/handlers/test_time_of_a_call.py",
    ),
    Fault(
        "an unreadable secret counts as perhaps sent",
        "shared/customerio/http.py",
        "raise CredentialsUnavailableError(str(error)) from None",
        "raise UnknownOutcomeError(str(error)) from None",
        _CONNECTION,
    ),
    Fault(
        "a connect timeout counts as sent",
        "shared/customerio/http.py",
        "except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:",
        "except aiohttp.ClientConnectorError as error:",
        _CONNECTION,
    ),
    Fault(
        "an answer that is not UTF-8 is a fault",
        "shared/customerio/responses.py",
        "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):",
        "except (msgspec.DecodeError, RecursionError):",
        _RESPONSES,
    ),
    Fault(
        "an unbounded Retry-After",
        "shared/customerio/responses.py",
        "min(seconds, MAX_RETRY_AFTER_SECONDS)",
        "seconds",
        _RESPONSES,
    ),
    Fault(
        "the parser's words follow a push that is none",
        "shared/pubsub/message.py",
        "raise NotAPushError(problem) from None",
        "raise NotAPushError(problem)",
        "tests/pubsub/test_push_message.py",
    ),
    Fault(
        "the parser's words follow a job that is no JSON",
        "shared/jobs/checks.py",
        'raise InvalidJob("body", "must be JSON in UTF-8, without NaN or Infinity") from None',
        'raise InvalidJob("body", "must be JSON in UTF-8, without NaN or Infinity")',
        "tests/jobs/test_jobs_properties.py tests/jobs/test_identify_refusals.py tests/jobs/test_data_size.py",
    ),
    Fault(
        "a batch of rows is halved off by one",
        "shared/warehouse.py",
        "for half in (batch[:middle], batch[middle:]):",
        "for half in (batch[:middle], batch[middle + 1 :]):",
        "tests/warehouse/test_warehouse.py",
    ),
    Fault(
        "the wrong identifier wins",
        "shared/events.py",
        'for name in ("id", "cio_id", "email"):',
        'for name in ("email", "cio_id", "id"):',
        "tests/warehouse/test_identifiers_of_events.py",
    ),
    Fault(
        "the publisher's transport is never closed",
        "shared/publisher/ordered_publisher.py",
        "            self._client.transport.close()\n",
        "",
        "tests/publisher/test_publishing.py",
    ),
    Fault(
        "signing keys are read twice at once",
        "shared/handlers/signing_keys.py",
        "        if self._reading is None:\n            self._read_at",
        "        if True:\n            self._read_at",
        "tests/webhook/test_signing_keys.py",
    ),
]


def seen_by(fault: Fault) -> str:
    """Plant ``fault`` in a copy and run its tests.

    Returns:
        The test that failed, and its seconds; empty if none did.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        copy_tree(copy)
        file = copy / fault.module
        text = file.read_text()
        if text.count(fault.before) == 0:
            return "cannot be planted: the text is not there any more"
        file.write_text(text.replace(fault.before, fault.after, 1))
        options = "-x -q -rf --durations=0 -vv -p no:cacheprovider"
        command = f"{sys.executable} -m pytest {options} {fault.tests}".split()
        output = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, check=False, env=environment()
        ).stdout
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    if failed is None:
        return ""
    took = re.search(rf"^([0-9.]+)s call +{re.escape(failed[1])}", output, re.MULTILINE)
    return f"{failed[1]} in {took[1] if took else '0.00'} s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.planted", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name holds one of these")
    words = parser.parse_args().words
    unseen = 0
    for fault in FAULTS:
        if words and not any(word in fault.name for word in words):
            continue
        by = seen_by(fault)
        unseen += not by or by.startswith("cannot")
        print(f"{fault.name}: {by or 'NOT SEEN'}", flush=True)
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
