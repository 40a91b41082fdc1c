"""Whoever follows a job's calls comes to each file once, in the order that docs/architecture.md lists.

Real jobs run through ``functions/KIND/main.py``, and every call into a file of shared/ is recorded with the calls that
are open below it.
"""

import asyncio
import importlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from tests.customerio.conftest import Upstream, status
from tests.house.call_trace import Entry, recorded_entries
from tests.house.followed_jobs import JOBS
from tests.house.source_tree import ROOT, plant
from tests.webhook.conftest import FakePubSub

PAGE = ROOT / "docs" / "architecture.md"
# The permit is taken before the claim, so that a refusal costs nothing, and the call is made after it.
BEFORE_THE_CALL = {"AppAPI.permit"}
# The outcome is published beside the way: asked whether, begun, and gone on with when the publisher's task runs.
BESIDE_THE_WAY = "pubsub/outcomes.py"
# A batcher calls the sender that it was given, and the sender tells each entry of the batch its result.
CALLS_BACK = {("batching.py", "Entry.settle"), ("batching.py", "MicroBatcher.give_back_late")}
# What starting a function met, and each of its jobs, by kind and "starting", "applied" or "refused".
Ways = dict[tuple[str, str], list[Entry]]


@pytest_asyncio.fixture(scope="session")
async def customerio() -> AsyncIterator[Upstream]:
    """A Customer.io that applies the first job of each kind and refuses the second."""
    made = Upstream()
    made.then(*(status(code, {"errors": [{"detail": "no such field"}]}) for _ in JOBS for code in (200, 400)))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session")
async def ways(customerio: Upstream, pubsub_server: FakePubSub, tmp_path_factory: pytest.TempPathFactory) -> Ways:
    environment = {
        "GOOGLE_CLOUD_PROJECT": "demo-project",
        "PUBSUB_EMULATOR_HOST": pubsub_server.address,
        "DEAD_LETTER_TOPIC": "projects/demo-project/topics/cio-x-dead-letter",
        "OUTCOMES_TOPIC": "projects/demo-project/topics/cio-outcomes",
        "OUTCOMES_SAMPLE": "1",
        "CONTROL_TOPIC": "projects/demo-project/topics/cio-control",
        "CUSTOMERIO_REGION": "eu",
        "CUSTOMERIO_TRACK_URL": customerio.url,
        "CUSTOMERIO_APP_URL": customerio.url,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "track-key",
        "CUSTOMERIO_APP_API_KEY": "app-key",
        "RECIPIENTS": '{"everybody": true}',
        "LEDGER": f"sqlite:{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.house.followed_jobs", *JOBS),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    told = [line for line in map(json.loads, output.splitlines()) if "entries" in line]
    assert {(line["kind"], line["what"]): line["answer"] for line in told} == {
        (kind, what): answer for kind in JOBS for what, answer in (("starting", 0), ("applied", 204), ("refused", 204))
    }
    return {(line["kind"], line["what"]): [Entry(**entry) for entry in line["entries"]] for line in told}


def listed() -> list[str]:
    """Files of the numbered list in docs/architecture.md, relative to shared/."""
    return re.findall(r"^\d+\. `shared/([^`]+)`", PAGE.read_text(), re.MULTILINE)


def met_again(entries: list[Entry]) -> list[str]:
    """Files that are entered more than once though they call further than to a leaf."""
    paths = [entry.path for entry in entries]
    calls = {(entry.below[-1], entry.path) for entry in entries if entry.below}
    callers = {caller for caller, _ in calls}
    return sorted({caller for caller, called in calls if called in callers and paths.count(caller) > 1})


def test_a_send_meets_each_file_of_the_list_once_and_in_its_order(ways: Ways) -> None:
    *once, last = listed()
    entries = [entry for entry in ways["send", "applied"] if entry.function not in BEFORE_THE_CALL]
    paths = [entry.path for entry in entries]
    assert [path for path in paths if path in once] == once
    assert paths.index(last) > max(map(paths.index, once))


@pytest.mark.parametrize("kind", ["send", "broadcast"])
def test_what_is_met_again_calls_no_further_than_to_a_leaf(ways: Ways, kind: str) -> None:
    entries = [entry for entry in ways[kind, "applied"] if entry.function not in BEFORE_THE_CALL]
    assert met_again([entry for entry in entries if entry.path != BESIDE_THE_WAY]) == []
    assert {entry.path for entry in entries} >= {BESIDE_THE_WAY}


@pytest.mark.parametrize("kind", JOBS)
def test_the_settings_are_met_once_before_any_job(ways: Ways, kind: str) -> None:
    read = {what: [entry.function for entry in ways[kind, what] if entry.path == "settings.py"] for _, what in ways}
    assert read == {"starting": ["Settings.from_environment"], "applied": [], "refused": []}


@pytest.mark.parametrize("what", ["starting", "applied", "refused"])
@pytest.mark.parametrize("kind", JOBS)
def test_no_call_goes_back_into_a_file_that_waits(ways: Ways, kind: str, what: str) -> None:
    back = {(entry.path, entry.function) for entry in ways[kind, what] if entry.reenters}
    assert back - CALLS_BACK == set()


@pytest.mark.parametrize("kind", JOBS)
def test_a_refused_job_went_all_the_way_to_its_dead_letter(ways: Ways, kind: str) -> None:
    kept = [
        [entry.function for entry in ways[kind, what]].count("DeadLetterTopic.put") for what in ("applied", "refused")
    ]
    assert kept == [0, 1]


def test_a_call_back_and_a_second_visit_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "trace_a": "import trace_b\ndef go(): trace_b.ask(done); trace_b.ask(len)\ndef done(_): 0",
        "trace_b": "import trace_c\ndef ask(then): trace_c.leaf(); trace_c.leaf(); then('')",
        "trace_c": "def leaf(): pass",
    }
    plant(tmp_path, **texts)
    monkeypatch.syspath_prepend(tmp_path)
    go = importlib.import_module("trace_a").go
    with recorded_entries(tmp_path) as entries:
        go()
    assert [(entry.path, entry.function) for entry in entries if entry.reenters] == [("trace_a.py", "done")]
    assert met_again(entries) == ["trace_a.py", "trace_b.py"]
