"""Every job that a page shows can be copied: commands are jobs that their function takes, Python publishes the same."""

import json
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from docs.examples import EXAMPLES
from shared.attributes import JOB_ATTRIBUTES, JobAttributes
from shared.jobs import KINDS, parse
from shared.topology import topology
from tests.docs.markdown import PAGES, ROOT, Command, commands, fenced_blocks, python_blocks

COMMANDS = [(page, command) for page in PAGES for command in commands(page.read_text())]
# A block that imports what it uses is a script; the others are calls of a publisher that the reader has made.
PUBLISHING_PAGES = [page for page in PAGES if page.name != "local-stack.md"]
# The blocks of local-stack.md need a running stack: tests/stack runs them.
SCRIPTS = [(page, block) for page in PUBLISHING_PAGES for block in python_blocks(page.read_text()) if "import" in block]
CALLS = [block for page in PAGES for block in python_blocks(page.read_text()) if "import" not in block]
KIND_OF = {topology().topics[kind].name: kind for kind in KINDS}
ATTRIBUTES = JOB_ATTRIBUTES


def run(blocks: list[str]) -> list[list[Command]]:
    """Run blocks in one fresh process, and list what each published."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.run_blocks"],
        input=json.dumps(blocks),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return [[Command(**{**each, "data": each["data"].encode()}) for each in messages] for messages in told]


@cache
def published_by_calls() -> dict[str, list[Command]]:
    return dict(zip(CALLS, run(CALLS), strict=True))


def parsed(message: Command) -> Any:
    """Read the job as its function does."""
    return parse(KIND_OF[message.topic.removeprefix("dev-")], message.data, JobAttributes.decode(message.attributes))


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page.name}-{number}" for number, (page, _) in enumerate(COMMANDS)]
)
def test_a_command_is_a_job_that_its_function_takes(page: Path, command: Command) -> None:
    parsed(command)
    assert command.attributes.keys() <= ATTRIBUTES, page


@pytest.mark.parametrize(
    ("page", "block"), SCRIPTS, ids=[f"{page.name}-{number}" for number, (page, _) in enumerate(SCRIPTS)]
)
def test_a_python_block_runs_in_a_fresh_process(page: Path, block: str) -> None:
    (messages,) = run([block])
    # The block about tests keeps its jobs.
    assert bool(messages) is ("RecordingPublisher" not in block), page
    for message in messages:
        parsed(message)


def test_python_and_command_of_an_example_are_the_same_job() -> None:
    blocks = fenced_blocks((ROOT / "docs/jobs.md").read_text())
    pairs = [(python, shell) for (_, python), (language, shell) in pairwise(blocks) if language == "sh"]
    assert len(pairs) == sum(len(examples) for examples in EXAMPLES.values())
    for block, shell in pairs:
        (message,) = published_by_calls()[block]
        (command,) = commands(shell)
        assert message.topic == command.topic, block
        assert message.ordering_key == command.ordering_key, block
        assert parsed(message) == parsed(command), block


def test_there_are_commands_and_blocks_to_test() -> None:
    assert {page.name for page, _ in COMMANDS} >= {"README.md", "jobs.md"}
    assert {page.name for page, _ in SCRIPTS} >= {"README.md", "jobs.md", "publishing.md"}
