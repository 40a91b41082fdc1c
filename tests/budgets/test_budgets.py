"""What each function imports, and how much Python a job runs, as ratios to an empty function of the same framework.

Nothing here is a time: the figures do not depend on the machine. ``make bench`` measures times.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import process
from bench.subjects import FUNCTIONS, LIMIT, ROOT, Subject, environment
from local.stack.ports import free_ports

_IMPORTED = """
import json, runpy, sys
import functions_framework.aio
runpy.run_path(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""
_SUBJECTS = {subject.name: subject for subject in FUNCTIONS}
# Modules of our own and of others, beside those of an empty function. What the excess is: docs/performance.md.
_MODULES = {
    "identify": 1.45,
    "track": 1.45,
    "sync": 1.45,
    "send": 1.45,
    "send with outcomes": 2.6,
    "broadcast": 1.45,
    "webhook": 2.5,
    "archive": 1.2,
}
_GOOGLE = frozenset({"google.cloud.pubsub_v1", "google.cloud.secretmanager", "google.api_core", "grpc", "requests"})
_LEDGERS = frozenset({"google.cloud.firestore", "shared.ledger", "sqlite3"})
_NEVER = {
    "identify": {*_GOOGLE, "google.cloud.firestore", "google.cloud.bigquery", "httpx", "shared.customerio.app"},
    "track": {*_GOOGLE, "google.cloud.firestore", "google.cloud.bigquery", "httpx", "shared.customerio.app"},
    "sync": {*_GOOGLE, "google.cloud.firestore", "google.cloud.bigquery", "httpx", "shared.customerio.app"},
    "send": {*_GOOGLE, "google.cloud.firestore", "google.cloud.bigquery", "httpx", "shared.customerio.track"},
    "send with outcomes": {"google.cloud.firestore", "google.cloud.bigquery", "httpx", "shared.customerio.track"},
    "broadcast": {*_GOOGLE, "google.cloud.firestore", "google.cloud.bigquery", "httpx", "shared.customerio.track"},
    "webhook": {*_LEDGERS, "google.cloud.bigquery", "aiohttp", "httpx", "shared.jobs"},
    "archive": {*_GOOGLE, "google.cloud.firestore", "google.cloud.bigquery", "aiohttp", "httpx", "shared.jobs"},
}
# Python functions that a push enters, beside those that it enters in an empty function.
_CALLS = {"identify": 1.8, "track": 1.8, "sync": 2.8, "send": 4.8}


def imported(subject: Subject, folder: Path) -> set[str]:
    variables = environment(subject, {"upstream": 1, "pubsub": 1, "function": 1}, folder)
    command = [sys.executable, "-c", _IMPORTED, str(ROOT / subject.source)]
    run = subprocess.run(command, env=os.environ | variables, check=True, capture_output=True, cwd=ROOT)
    return set(json.loads(run.stdout))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return imported(LIMIT, tmp_path_factory.mktemp("bare"))


@pytest.mark.parametrize("name", _SUBJECTS)
def test_a_function_imports_no_more_than_it_uses(name: str, bare: set[str], tmp_path: Path) -> None:
    modules = imported(_SUBJECTS[name], tmp_path)
    assert not _NEVER[name] & modules, "this function has no use for them when it starts"
    assert len(modules) <= _MODULES[name] * len(bare), sorted(modules - bare)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    (port,) = free_ports(1)
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    log = tmp_path_factory.mktemp("upstream") / "log"
    with process([sys.executable, "-m", "bench.upstream", str(port)], port, variables, log):
        yield port


def calls(subject: Subject, upstream: int, folder: Path) -> float:
    variables = environment(subject, {"upstream": upstream, "pubsub": 1, "function": 1}, folder)
    command = [sys.executable, "-m", "tests.budgets.counted_calls", str(ROOT / subject.source), subject.target]
    run = subprocess.run(command, env=os.environ | variables, check=True, capture_output=True, cwd=ROOT)
    told = next(line for line in run.stdout.decode().splitlines() if line.startswith("calls"))
    return float(told.split()[1])


@pytest.mark.parametrize("name", _CALLS)
def test_a_job_runs_little_python_beside_the_framework(name: str, upstream: int, tmp_path: Path) -> None:
    limit = calls(LIMIT, upstream, tmp_path)
    assert calls(_SUBJECTS[name], upstream, tmp_path) <= _CALLS[name] * limit
