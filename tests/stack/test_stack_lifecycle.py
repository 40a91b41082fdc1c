"""A stack starts, loses a part, starts again with nothing of before, and ends when asked to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.stack_helpers import OPTIONS, ROOT, running_stack, until

SEND = {"to": "one@example.com", "identifiers": {"id": "one"}, "transactional_message_id": 5}


@pytest.mark.slow
def test_the_ledger_customerio_and_bigquery_start_empty_together(tmp_path: Path) -> None:
    with running_stack(tmp_path, {}) as stack:
        stack.publish("cio-send", SEND, job_id="the-same")
        until(lambda: len(stack.rows()) >= 3, "the events of the message")
        os.kill(stack.pids()["bigquery"], signal.SIGKILL)
        assert stack.process.wait(timeout=30) == 1
        last = (tmp_path / "stack.log").read_text().splitlines()[-1]
        assert last.startswith("bigquery was killed (SIGKILL: by hand, or because memory ran out). Its log:")
        assert not (tmp_path / ".local" / "stack.env").exists()
    with running_stack(tmp_path, {}) as stack:
        assert stack.simulator("deliveries") == []
        assert stack.rows() == []
        stack.publish("cio-send", SEND, job_id="the-same")
        until(lambda: len(stack.simulator("deliveries")) == 1, "the message, sent again by an empty ledger")
    assert stack.process.returncode == 0


def test_an_interrupt_while_it_starts_ends_it_cleanly(tmp_path: Path) -> None:
    environment = {**os.environ, **OPTIONS, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-u", "-m", "local.stack"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(" ready on " in line for line in lines)
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(timeout=30) == 0
    assert "stopping" in rest
    assert "Traceback" not in rest
