"""Every command of ``docs/quickstart.md``, in its order, on a stack as a user starts it."""

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.docs.markdown import ROOT, fenced_blocks
from tests.stack.stack_helpers import RunningStack, until

BLOCKS = [block for language, block in fenced_blocks((ROOT / "docs" / "quickstart.md").read_text()) if language == "sh"]
# What each block has to print, as a regular expression. A block whose result takes time is run again until it does.
PRINTED = [
    (". .venv/bin/activate", ""),
    ("publish send", "1 published"),
    ("trace welcome-42", "opened"),
    ("-X PUT", r"^track\s+(main|retry)\s+[1-9]"),
    ("-X DELETE", ""),
    ("_sim/events", "(order_placed.*){3}"),
    ("topics/cio-track:publish", r"^track +invalid_job"),
    ("discard", "discarded 1 "),
    ("local.demo month", "outcomes of the 30 days"),
]
_ASKED_AGAIN = {"trace welcome-42", "_sim/events"}


@pytest.fixture
def no_faults_left(stack: RunningStack) -> Iterator[None]:
    yield
    run(stack, BLOCKS[4])


@pytest.mark.slow
@pytest.mark.usefixtures("no_faults_left")
@pytest.mark.parametrize("stack", ["local broker"], indirect=True)
def test_the_page_can_be_followed(stack: RunningStack) -> None:
    assert len(BLOCKS) == len(PRINTED)
    for block, (command, printed) in zip(BLOCKS, PRINTED, strict=True):
        assert command in block
        if command in _ASKED_AGAIN:
            until(lambda block=block, printed=printed: found(printed, run(stack, block)), printed)
        else:
            assert found(printed, run(stack, block)), command


def found(printed: str, output: str) -> bool:
    return re.search(printed, output, re.DOTALL | re.MULTILINE) is not None


def run(stack: RunningStack, block: str) -> str:
    """Run a block in a shell of its own that has done the page's first block. Returns what it prints."""
    script = f"set -eu -o pipefail\n{BLOCKS[0]}\n{block}".replace(
        ".local/stack.env", f"{stack.directory}/.local/stack.env"
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout
