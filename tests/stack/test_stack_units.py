"""Parts of the stack that need no stack: settings, ports, logs, its folder, ends in words, Ctrl-C."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path

import pytest

from local import bigquery
from local.stack.errors import StackError
from local.stack.folder import StackFolder
from local.stack.interrupt import run_until_interrupted
from local.stack.log import with_time
from local.stack.options import DEFAULT_PORT_BASE, Options
from local.stack.parts import console, instance_rate, plan
from local.stack.ports import HOST, assign_ports, free_ports
from local.stack.process import Part, PartFailedError, Running
from local.stack.threads import in_daemon_thread
from shared.topology import topology

NOW = "2026-11-24T18:00:00.000Z"


def test_settings_come_from_the_environment_and_have_defaults() -> None:
    assert Options.from_environment({}) == Options(1.0, DEFAULT_PORT_BASE, 10.0)
    environ = {"STACK_TIME_SCALE": "20", "STACK_PORT_BASE": "0", "STACK_REACTION_SECONDS": "0"}
    assert Options.from_environment(environ) == Options(20.0, 0, 0.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STACK_TIME_SCALE", "0"),
        ("STACK_TIME_SCALE", "fast"),
        ("STACK_TIME_SCALE", "nan"),
        ("STACK_PORT_BASE", "80"),
        ("STACK_PORT_BASE", "8700.5"),
        ("STACK_PORT_BASE", "70000"),
        ("STACK_REACTION_SECONDS", "-1"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(StackError, match=name):
        Options.from_environment({name: value})


def test_a_taken_port_is_named_and_replaced_and_the_others_stay() -> None:
    # Below the ports that the system hands out, so that no other process gets one of them meanwhile.
    base = next(base for base in range(20_000, 30_000, 100) if not assign_ports(base, ["identify", "track"])[1])
    with socket.socket() as held:
        held.bind((HOST, base + 4))
        held.listen()
        ports, notes = assign_ports(base, ["identify", "track"])
    assert notes == [f"port {base + 4} is taken: customer.io uses {ports['customer.io']} this time"]
    assert ports["customer.io"] != base + 4
    assert (ports["pubsub"], ports["identify"], ports["track"]) == (base, base + 10, base + 11)
    assert len(set(ports.values())) == len(ports)


def test_every_function_gets_its_share_of_the_accounts_rate_and_only_the_broadcast_pause_is_scaled(
    tmp_path: Path,
) -> None:
    functions = plan({}, tmp_path, Options(time_scale=20, port_base=0)).functions
    rates = {part.name: part.environment.get("CUSTOMERIO_REQUESTS_PER_SECOND") for part in functions}
    limited = {topic.function: topic.rate for topic in topology().topics.values() if topic.rate is not None}
    assert {name for name, rate in rates.items() if rate is not None} == limited.keys()
    assert (rates["send"], rates["broadcast"]) == ("100", "2")
    shares = [float(rate or 0) for name, rate in rates.items() if limited.get(name) == "track"]
    assert 999 < sum(shares) <= 1000
    assert instance_rate("broadcast", 1) == 0.1


@pytest.mark.parametrize(
    "given",
    [
        {"CUSTOMERIO_TRACK_API_KEY": "real"},
        {"CUSTOMERIO_TRACK_URL": "http://127.0.0.1:1", "CUSTOMERIO_APP_URL": "http://127.0.0.1:1"},
    ],
)
def test_the_rates_hold_whichever_customerio_is_meant(tmp_path: Path, given: Mapping[str, str]) -> None:
    stack = plan(given, tmp_path, Options(port_base=0))
    assert "customer.io" in stack.external
    send = next(part for part in stack.functions if part.name == "send")
    assert send.environment["CUSTOMERIO_REQUESTS_PER_SECOND"] == "100"


def test_the_time_scale_and_the_reactions_reach_the_simulator_by_argument(tmp_path: Path) -> None:
    stack = plan({}, tmp_path, Options(time_scale=20, port_base=0, reaction_seconds=2))
    command = list(next(part for part in stack.services if part.name == "customer.io").command)
    assert command[command.index("--time-scale") + 1] == "20"
    assert command[command.index("--reaction-seconds") + 1] == "2"


@pytest.mark.parametrize(
    ("given", "recipients"),
    [
        ({}, {"everybody": True}),
        ({"CUSTOMERIO_APP_API_KEY": "real"}, {"everybody": False}),
        ({"CUSTOMERIO_APP_API_KEY": "real", "RECIPIENTS": '{"ids": ["42"]}'}, {"ids": ["42"]}),
        (
            {"CUSTOMERIO_APP_URL": "https://API-EU.customer.io", "CUSTOMERIO_TRACK_URL": "http://x"},
            {"everybody": False},
        ),
        ({"CUSTOMERIO_APP_URL": "http://app.test", "CUSTOMERIO_TRACK_URL": "http://track.test"}, {"everybody": True}),
    ],
)
def test_nobody_is_written_to_where_customerio_is_the_real_one(
    tmp_path: Path, given: Mapping[str, str], recipients: object
) -> None:
    stack = plan(given, tmp_path, Options(port_base=0))

    assert json.loads(stack.environment["RECIPIENTS"]) == recipients
    told = [note for note in stack.notes if "docs/recipients.md" in note]
    assert len(told) == (recipients == {"everybody": False})


def test_gcloud_is_pointed_at_the_stacks_pubsub(tmp_path: Path) -> None:
    stack = plan({"PUBSUB_EMULATOR_HOST": "127.0.0.1:8085"}, tmp_path, Options(port_base=0))
    assert stack.environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"] == "http://127.0.0.1:8085/"
    own = plan({}, tmp_path, Options(port_base=0)).environment
    assert own["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"] == f"http://{own['PUBSUB_EMULATOR_HOST']}/"


def test_the_console_is_where_stack_env_says(tmp_path: Path) -> None:
    stack = plan({}, tmp_path, Options(port_base=0))
    part = console(stack)
    assert stack.environment["CONSOLE_URL"] == f"http://{HOST}:{part.port}/"
    assert part.environment["PUBSUB_EMULATOR_HOST"] == stack.environment["PUBSUB_EMULATOR_HOST"]


def test_a_log_line_carries_its_time_and_json_stays_json() -> None:
    assert json.loads(with_time(b'{"severity":"INFO"}', NOW)) == {"time": NOW, "severity": "INFO"}
    assert with_time(b"Traceback (most recent call last):", NOW) == f"{NOW} Traceback (most recent call last):".encode()
    assert with_time(b"", NOW) == b""


async def failed_part(directory: Path, script: str) -> str:
    part = Part("bigquery", [sys.executable, "-c", script], free_ports(1)[0])
    running = Running(part, directory / "bigquery.log")
    await running.start()
    with pytest.raises(PartFailedError) as failure:
        await running.ready()
    return str(failure.value)


async def test_a_part_that_ends_says_in_one_sentence_why(tmp_path: Path) -> None:
    script = (
        """print('{"port": 1}'); print("no space left"); print('INFO: "POST /x HTTP/1.1" 200'); raise SystemExit(3)"""
    )
    told = await failed_part(tmp_path, script)
    assert told == f'bigquery ended with status 3 and last said "no space left". Its log: {tmp_path / "bigquery.log"}'


async def test_a_part_that_was_killed_says_so(tmp_path: Path) -> None:
    told = await failed_part(tmp_path, "import os, signal; print('all is well'); os.kill(os.getpid(), signal.SIGKILL)")
    assert told.startswith("bigquery was killed (SIGKILL: by hand, or because memory ran out). Its log:")


def test_a_folder_has_one_stack(tmp_path: Path) -> None:
    first, second = StackFolder(tmp_path), StackFolder(tmp_path)
    first.lock()
    with pytest.raises(StackError, match="A stack is running"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - what shutil returns
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, 1 << 30, 5 << 20))
    folder = StackFolder(tmp_path)
    folder.lock()
    with pytest.raises(StackError, match="has 5 MB left and the stack needs 200 MB"):
        folder.make_empty()
    folder.unlock()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"cannot write to .*: Not a directory\."):
        StackFolder(tmp_path / "file" / "stack").lock()


def test_reset_removes_the_data_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / ".local" / "duckdb" / "extension", tmp_path / ".venv" / "python"]
    removed = [tmp_path / ".local" / folder / "file" for folder in ("data", "logs", "demo/data", "demo/logs")]
    for path in (*kept, *removed):
        path.parent.mkdir(parents=True)
        path.write_text("")
    command = [sys.executable, "-m", "local.stack", "reset"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.exists() for path in kept] == [True, True]
    assert not any(path.exists() for path in removed)


def test_missing_extensions_are_a_sentence_and_leave_nothing_half_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery, "EXTENSIONS", ("icu", "nosuch"))
    with pytest.raises(bigquery.BigQueryError, match=r"^BigQuery cannot start: DuckDB's extensions could not be put"):
        bigquery.prepare(tmp_path / "home")
    assert list((tmp_path / "home").rglob("*")) == []


async def test_an_interrupt_cancels_once_and_the_second_does_not_break_off_the_cleaning_up() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            cleaned.append("all")

    started = asyncio.Event()
    running = asyncio.create_task(run_until_interrupted(work()))
    await started.wait()
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(5):
        assert await running is None
    assert cleaned == ["all"]


async def test_blocking_work_is_left_behind_when_its_caller_is_cancelled() -> None:
    loop, begun, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(10)

    task = asyncio.create_task(in_daemon_thread(work))
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()
