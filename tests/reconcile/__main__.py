"""The import and the reconcile at size, on a stack of their own: ``python -m tests.reconcile --rows 100000``.

An import that is killed ten times publishes every row once; the same import again publishes nothing, and only what
changed later. Then people are damaged at Customer.io: exactly they are named, and mended.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

import httpx

from tests.stack.stack_helpers import ROOT, RunningStack, running_stack, until

MISSING, STALE, ORPHANS, CONSENTS, DUPLICATES, BAD, CHANGED, KILLS = 137, 61, 40, 23, 12, 10, 1234, 10
PATIENCE = 3600.0


def record(number: int) -> dict[str, Any]:
    return {
        "id": f"u{number}",
        "email": f"u{number}@example.com",
        "plan": "free",
        "created_at": 1_700_000_000 + number,
        "preferences": {"marketing": number % 3 != 0, "topics": {"topic_1": number % 2 == 0}},
    }


class Trial:
    def __init__(self, stack: RunningStack, rows: int) -> None:
        self.stack = stack
        self.rows = rows
        self.environment = {**os.environ, **stack.environment, "PYTHONPATH": str(ROOT)}
        self.file = stack.directory / "users.jsonl"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ops", *arguments, "--json"]

    def ops(self, *arguments: str) -> dict[str, Any]:
        """Run a command to its end; its JSON document."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.stack.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def write(self, records: list[dict[str, Any]]) -> None:
        bad = [{"id": f"bad{number}", "email": "no address"} for number in range(BAD)]
        self.file.write_text("".join(f"{json.dumps(each)}\n" for each in [*records, *bad]))

    def identified(self) -> int:
        return int(self.stack.simulator("counts")["items"].get("person", {}).get("identify", 0))

    def settled(self) -> None:
        def is_empty() -> bool:
            told = self.stack.broker("stats")["subscriptions"]
            names = (f"projects/{self.stack.project}/subscriptions/{kind}" for kind in ("cio-sync", "cio-identify"))
            return all(not told[name]["backlog"] for name in names)

        until(is_empty, "an empty backlog", patience=PATIENCE, every=0.5)

    def imported(self) -> None:
        records = [record(number) for number in range(self.rows)]
        self.write(records)
        draw = random.Random(7)
        with timed("import, killed ten times"):
            for _ in range(KILLS):
                with subprocess.Popen(
                    self.command("import", "sync", "--from", "users.jsonl"),
                    cwd=self.stack.directory,
                    env=self.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                ) as process:
                    time.sleep(5 + draw.random() * 10)
                    process.send_signal(signal.SIGKILL)
            last = self.ops("import", "sync", "--from", "users.jsonl")
        print(
            "  last run:",
            {name: last[name] for name in ("published", "unchanged", "refused")},
            last["refused_by_field"],
        )
        assert last["refused"] == BAD
        with timed("applied"):
            self.settled()
        published = self.stack.broker("stats")["topics"][f"projects/{self.stack.project}/topics/cio-sync"]["published"]
        # A kill repeats a batch at most, which sync recognises. A call without an answer is made again by the function.
        print(f"  {published} messages and {self.identified()} writes for {self.rows} records")
        assert self.rows <= published <= self.rows + KILLS * 500
        assert len([each for each in self.stack.simulator("people") if not each["suppressed"]]) == self.rows
        with timed("the same import again"):
            assert self.ops("import", "sync", "--from", "users.jsonl")["published"] == 0
        for each in records[:CHANGED]:
            each["plan"] = "pro"
        self.write(records)
        with timed("after 1,234 changes"):
            assert self.ops("import", "sync", "--from", "users.jsonl")["published"] == min(CHANGED, self.rows)
        self.settled()

    def reconciled(self) -> None:
        nothing: dict[str, list[Any]] = {
            kind: [] for kind in ("missing", "orphaned", "different", "consent", "conflicts")
        }
        with timed("reconcile of a workspace that agrees"):
            assert self.ops("reconcile", "--from", "users.jsonl") == nothing
        wanted = self.damage()
        with timed("reconcile of a damaged one"):
            found = self.ops("reconcile", "--from", "users.jsonl")
        print("  found:", {kind: len(found[kind]) for kind in found})
        for kind in nothing:
            named = [each.get("id") or each["email"] if isinstance(each, dict) else each for each in found[kind]]
            assert sorted(named) == sorted(wanted[kind]), kind
        with timed("reconcile --fix --yes"):
            print("  ", self.ops("reconcile", "--from", "users.jsonl", "--fix", "--yes")["fix"])
        self.settled()
        with timed("reconcile after the fix"):
            assert self.ops("reconcile", "--from", "users.jsonl") == nothing

    def damage(self) -> dict[str, list[str]]:
        """Change people behind the application's back; what has to be named, by kind."""
        take = iter(range(self.rows))
        missing, stale, consents, doubled = (
            [next(take) for _ in range(count)] for count in (MISSING, STALE, CONSENTS, DUPLICATES)
        )
        orphans = [f"orphan{number}" for number in range(ORPHANS)]
        doubles = [f"double{number}" for number in range(DUPLICATES)]
        items = [self.person("delete", f"u{number}") for number in missing]
        items += [self.person("identify", f"u{number}", plan="stale") for number in stale]
        items += [
            self.person("identify", f"u{number}", unsubscribed=record(number)["preferences"]["marketing"])
            for number in consents
        ]
        # Each orphan owns the address of somebody who is missing; a double has one that its owner has too.
        items += [
            self.person("identify", who, email=f"u{number}@example.com")
            for who, number in [*zip(orphans, missing, strict=False), *zip(doubles, doubled, strict=True)]
        ]
        url = self.stack.environment["CUSTOMERIO_TRACK_URL"]
        keys = self.stack.environment["CUSTOMERIO_SITE_ID"], self.stack.environment["CUSTOMERIO_TRACK_API_KEY"]
        with httpx.Client(base_url=url, auth=keys, timeout=60, trust_env=False) as client:
            client.put("/_sim/settings", json={"shared_emails": True}).raise_for_status()
            for batch in batched(items, 100, strict=False):
                client.post("/api/v2/batch", json={"batch": batch}).raise_for_status()
        return {
            "missing": [f"u{number}" for number in missing],
            "different": [f"u{number}" for number in stale],
            "consent": [f"u{number}" for number in consents],
            "orphaned": [*orphans, *doubles],
            "conflicts": [f"u{number}@example.com" for number in doubled],
        }

    @staticmethod
    def person(action: str, identifier: str, **attributes: Any) -> dict[str, Any]:
        body = {"type": "person", "action": action, "identifiers": {"id": identifier}}
        return body | ({"attributes": attributes} if action == "identify" else {})


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reconcile", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder), {}) as stack:
        trial = Trial(stack, parser.parse_args().rows)
        trial.imported()
        trial.reconciled()


if __name__ == "__main__":
    main()
