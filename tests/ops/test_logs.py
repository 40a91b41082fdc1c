import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path

import pytest
from typer.testing import Result

from tests.function_process import ROOT

Ops = Callable[..., Result]


@pytest.fixture
def logs(environment: MutableMapping[str, str]) -> Path:
    """The log folder of a stack in the current folder."""
    environment["GOOGLE_CLOUD_PROJECT"] = "p"
    folder = Path.cwd() / ".local" / "logs"
    folder.mkdir(parents=True)
    (folder / "send.log").write_text(
        '{"severity":"INFO","message":"applied","function":"send","lane":"main","time":"2026-05-01T12:00:02Z"}\n'
        "Traceback (most recent call last):\n"
        '{"severity":"ERROR","message":"fault","function":"send","time":"2026-05-01T12:00:04Z"}\n'
    )
    (folder / "track.log").write_text("2026-05-01T12:00:03Z starting\nunfin")
    return folder


@pytest.mark.usefixtures("logs")
def test_the_lines_of_all_functions_are_in_order_of_time(ops: Ops) -> None:
    assert [line.split(maxsplit=2) for line in ops("logs").stdout.splitlines()] == [
        ["2026-05-01T12:00:02Z", "send", "INFO applied lane=main"],
        ["2026-05-01T12:00:02Z", "send", "Traceback (most recent call last):"],
        ["2026-05-01T12:00:03Z", "track", "starting"],
        ["2026-05-01T12:00:04Z", "send", "ERROR fault"],
    ]
    assert len(ops("logs", "--lines", "2").stdout.splitlines()) == 2
    assert {line.split()[1] for line in ops("logs", "track").stdout.splitlines()} == {"track"}


@pytest.mark.usefixtures("logs")
def test_json_has_the_fields_of_each_line(ops: Ops) -> None:
    told = json.loads(ops("logs", "track", "--json").stdout)
    assert told == {"lines": [{"function": "track", "time": "2026-05-01T12:00:03Z", "message": "starting"}]}
    assert ops("logs", "--json", "--follow").exit_code == 2


def test_an_unknown_function_and_a_missing_stack_are_told(ops: Ops, environment: MutableMapping[str, str]) -> None:
    environment["GOOGLE_CLOUD_PROJECT"] = "p"
    assert ops("logs", "sned").exit_code == 2
    result = ops("logs")
    assert result.exit_code == 1
    assert "There are no log files in .local/logs: start the local stack with `make run`." in result.stderr


@pytest.mark.usefixtures("interruptible")
async def test_new_lines_are_shown_with_the_time_until_ctrl_c(logs: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops", "logs", "track", "--follow"),
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert (await process.stdout.readline()).split()[2:] == [b"starting"]
        with (logs / "track.log").open("a") as log:
            log.write("ished\n")
        time, function, message = (await process.stdout.readline()).split()
        assert (function, message) == (b"track", b"unfinished")
        assert time.startswith(b"20")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


def test_for_the_cloud_the_command_is_printed_that_shows_them(ops: Ops, environment: MutableMapping[str, str]) -> None:
    del environment["PUBSUB_EMULATOR_HOST"]
    command = ops("logs", "send", "--lines", "5", "--project", "demo-project", "--environment", "dev").stdout
    words = shlex.split(command)
    assert words[:3] == ["gcloud", "logging", "read"]
    assert words[3] == 'resource.type="cloud_run_revision" AND resource.labels.service_name=("dev-cio-send")'
    assert {"--project=demo-project", "--limit=5"} <= set(words)
    told = ops("logs", "send", "--lines", "5", "--project", "demo-project", "--environment", "dev", "--json").stdout
    assert json.loads(told)["command"] == command.strip()


def test_the_version_is_the_projects(ops: Ops) -> None:
    assert ops("--version").stdout.startswith("customerio-functions 0.")


@pytest.mark.usefixtures("environment")
def test_help_has_a_sentence_for_every_option(ops: Ops) -> None:
    for command in ("publish", "status", "doctor", "logs", "dead-letters list", "dead-letters replay"):
        result = ops(*command.split(), "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout
        assert "--project" in result.stdout
