"""The console as a part of the stack: where it is, and that its end is nobody else's."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from local.stack import stack as stack_module
from local.stack.options import Options
from local.stack.parts import Plan
from local.stack.ports import assign_ports
from local.stack.process import Part
from local.stack.stack import Stack
from tests.stack.stack_helpers import ROOT, running_stack, until

pytestmark = pytest.mark.slow


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return b"Customer.io for Google Cloud" in answer.read()
    except OSError:
        return False


def test_its_port_is_the_same_at_every_start() -> None:
    base = next(base for base in range(20_000, 30_000, 100) if not assign_ports(base, [])[1])
    assert assign_ports(base, [])[0]["console"] == base + 6


def test_a_start_prints_where_it_is_and_it_is_started_again_after_its_end(tmp_path: Path) -> None:
    with running_stack(tmp_path, {}) as stack:
        url = stack.environment["CONSOLE_URL"]
        assert answers(url)
        until(lambda: url in (tmp_path / "stack.log").read_text(), "its address in the stack's output")
        before = stack.pids()["console"]
        os.kill(before, signal.SIGKILL)
        until(lambda: stack.pids()["console"] != before and answers(url), "another console")
        stack.publish("cio-identify", {"identifiers": {"id": "42"}})
        until(lambda: stack.person("42"), "a job that is done")
    assert stack.process.returncode == 0


async def test_a_stack_whose_console_cannot_start_works_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(plan: Plan) -> Part:
        return Part("console", [sys.executable, "-c", "raise SystemExit('no such module')"], plan.console_port)

    monkeypatch.setattr(stack_module, "console", broken)
    said: list[str] = []
    async with Stack(tmp_path, given={}, options=Options(port_base=0), say=said.append) as stack:
        assert "PUBSUB_EMULATOR_HOST" in stack.environment
        assert (tmp_path / "stack.env").exists()
    [line] = [line for line in said if line.startswith("console ")]
    assert 'last said "no such module"' in line
    assert line.endswith("Everything else works without it.")


def test_it_is_up_before_googles_clients_are_loaded() -> None:
    # They take most of a second.
    script = (
        "import sys, local.console.app\n"
        "print({'grpc', 'google.pubsub_v1', 'google.cloud.bigquery'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
