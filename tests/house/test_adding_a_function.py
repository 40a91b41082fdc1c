"""A new function touches at most nine files, those that ``make docs`` writes among them, and its jobs run."""

import asyncio
import filecmp
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.customerio.conftest import Upstream
from tests.function_process import running_function
from tests.house import new_function
from tests.house.source_tree import ROOT
from tests.local_pubsub.broker_helpers import PubSub, broker_process

MAX_FILES = 9
# What a commit would hold; the rest of the folder is tools' and the local stack's.
_FOLDERS = ("functions", "shared", "ops", "local", "docs", "terraform")
_FILES = ("README.md", "pyproject.toml", "requirements.txt")
_PROVISION = """
import sys
from local.stack.provision import provision
from shared.topology import topology
provision(sys.argv[1], dict.fromkeys(topology().functions, sys.argv[2]))
"""
_PUBLISH = """
import sys
from shared.publisher import Publisher
with Publisher(sys.argv[1]) as publisher:
    publisher.note("42", "called back")
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with one function more."""
    copy = tmp_path_factory.mktemp("product")
    for name in _FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", ".terraform*", "*.tfstate*")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(ROOT / name, copy / name)
    new_function.add(copy)
    return copy


async def run(tree: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run Python in the copy, which must succeed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"} | dict(environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def changed(one: Path, other: Path) -> Iterator[str]:
    """Files of ``other`` that ``one`` has not, or has otherwise."""
    for path in sorted(path for path in other.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        name = path.relative_to(other)
        if not (one / name).exists() or not filecmp.cmp(one / name, path, shallow=False):
            yield str(name)


async def test_a_function_more_is_nine_files_and_its_jobs_run(tree: Path, upstream: Upstream, tmp_path: Path) -> None:
    await run(tree, "-m", "docs.generate")
    modules = [name for name in (*new_function.NEW, *new_function.INSERTED) if name.endswith(".py")]
    await run(tree, "-m", "ruff", "format", "--no-cache", *modules)
    await run(tree, "-m", "ruff", "check", "--no-cache", *modules)
    touched = list(changed(ROOT, tree))
    assert set(touched) == {*new_function.NEW, *new_function.INSERTED, "docs/jobs.md", "docs/schemas/note.json"}
    assert len(touched) <= MAX_FILES
    with broker_process() as broker:
        await a_job_runs(tree, upstream, broker, tmp_path)


async def a_job_runs(tree: Path, upstream: Upstream, broker: PubSub, tmp_path: Path) -> None:
    """Topics as the local stack makes them, a job as an application publishes it, and one that can never succeed."""
    topic = f"projects/{broker.project}/topics/cio-note"
    environment = {
        "GOOGLE_CLOUD_PROJECT": broker.project,
        "PUBSUB_EMULATOR_HOST": broker.host,
        "DEAD_LETTER_TOPIC": f"{topic}-dead-letter",
        "CONTROL_TOPIC": "projects/demo-project/topics/cio-control",
        "CUSTOMERIO_REGION": "eu",
        "CUSTOMERIO_TRACK_URL": upstream.url,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "track-key",
    }
    async with running_function("note", environment, tmp_path / "log", root=tree) as function:
        await run(tree, "-c", _PROVISION, broker.project, function.url, environment=environment)
        await run(tree, "-c", _PUBLISH, broker.project, environment=environment)
        await asyncio.to_thread(broker.publish, topic, b'{"identifiers": {"id": "42"}, "text": " "}')
        kept = f"projects/{broker.project}/subscriptions/cio-note-dead-letter"
        [letter] = await asyncio.to_thread(broker.pull, kept)
        await asyncio.to_thread(broker.wait_for_stats, f"projects/{broker.project}/subscriptions/cio-note", backlog=0)
    assert letter.message.attributes["field"] == "text"
    [[event]] = upstream.batches()
    assert (event["identifiers"], event["name"], event["attributes"]) == ({"id": "42"}, "note", {"text": "called back"})
    lines = [json.loads(line) for line in function.lines() if line.startswith("{")]
    assert sorted((line["kind"], line["outcome"]) for line in lines) == [("note", "applied"), ("note", "dead_lettered")]
