"""A service that is away is one sentence within 5 s, and Ctrl-C ends a command whatever it waits for."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.pubsub_v1.types import PublishRequest, PublishResponse
from typer.testing import Result

from ops import clients
from ops.publishing import ConfirmedPublisher, Outgoing
from ops.target import Target
from tests.function_process import ROOT
from tests.ops.conftest import Machine

Ops = Callable[..., Result]


@pytest.fixture
def silent() -> Iterator[str]:
    """Host and port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


_COMMANDS = [
    ("publish", "track", "--person", "1", "--name", "n"),
    ("dead-letters", "list", "all"),
    ("dead-letters", "show", "track", "J1"),
    ("dead-letters", "export", "track", "file"),
    ("dead-letters", "replay", "track", "--yes"),
    ("dead-letters", "discard", "track", "--yes"),
    ("status",),
]


@pytest.mark.parametrize(
    ("command", "never_answers"),
    # Those that lease dead letters connect in one way: the slow case of one stands for all.
    [(command, False) for command in _COMMANDS] + [(command, True) for command in (*_COMMANDS[:2], _COMMANDS[-1])],
)
def test_a_pubsub_that_is_away_is_one_sentence_within_five_seconds(
    ops: Ops, environment: MutableMapping[str, str], silent: str, command: tuple[str, ...], never_answers: bool
) -> None:
    away = silent if never_answers else "127.0.0.1:9"
    environment["PUBSUB_EMULATOR_HOST"] = away
    del environment["PUBSUB_ADMIN_URL"]
    started = time.monotonic()
    result = ops(*command, "--project", "p")
    assert time.monotonic() - started < 5
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Pub/Sub at {away} does not answer: start the local stack with `make run`, or unset PUBSUB_EMULATOR_HOST and "
        "give --project for the cloud."
    )


def test_a_broker_whose_numbers_are_away_is_one_sentence_within_five_seconds(
    ops: Ops, environment: MutableMapping[str, str], silent: str
) -> None:
    environment["PUBSUB_ADMIN_URL"] = f"http://{silent}"
    started = time.monotonic()
    result = ops("status", "--project", "p")
    assert time.monotonic() - started < 5
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"The local Pub/Sub broker at http://{silent} reports no backlog")
    assert "start the local stack with `make run`" in result.stderr


def test_the_doctor_names_each_service_that_is_away(
    ops: Ops, environment: MutableMapping[str, str], silent: str
) -> None:
    environment.update(
        {
            "PUBSUB_EMULATOR_HOST": silent,
            "BIGQUERY_EMULATOR_HOST": f"http://{silent}",
            "CUSTOMERIO_REGION": "us",
            "CUSTOMERIO_TRACK_URL": f"http://{silent}",
            "CUSTOMERIO_APP_URL": "http://127.0.0.1:9",
            "CUSTOMERIO_WEBHOOK_URL": "http://127.0.0.1:9/",
        }
        | dict.fromkeys(("CUSTOMERIO_SITE_ID", "CUSTOMERIO_TRACK_API_KEY", "CUSTOMERIO_APP_API_KEY"), "key")
    )
    started = time.monotonic()
    result = ops("doctor", "--project", "p")
    # Three services that never answer, one after the other.
    assert time.monotonic() - started < 15
    assert result.exit_code == 1
    for said in (
        f"Track API credentials: http://{silent}/api/v1/accounts/region does not answer (ReadTimeout)",
        "App API key: http://127.0.0.1:9/v1/workspaces does not answer (ConnectError)",
        f"Pub/Sub: at {silent} does not answer",
        "BigQuery: does not answer (",
    ):
        assert f"failed  {said}" in result.stdout


@dataclass
class SlowPubSub:
    """Confirms a number of publish requests, and holds the next one back for as long as the test runs."""

    confirmed: int
    host: str = ""
    requests: int = 0
    is_holding: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def publish(self, request: PublishRequest, _: Any) -> PublishResponse:
        self.requests += 1
        if self.requests > self.confirmed:
            self.is_holding.set()
            self.may_go_on.wait(60)
        return PublishResponse(message_ids=[str(number) for number, _ in enumerate(request.messages)])


@pytest.fixture
def slow() -> Iterator[SlowPubSub]:
    held = SlowPubSub(confirmed=1)
    handler = grpc.unary_unary_rpc_method_handler(
        held.publish, request_deserializer=PublishRequest.deserialize, response_serializer=PublishResponse.serialize
    )
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": handler})]
        )
        held.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield held
        held.may_go_on.set()
        server.stop(None).wait()


@pytest.mark.usefixtures("interruptible", "environment")
async def test_ctrl_c_ends_a_publish_that_waits_and_says_how_far_it_came(slow: SlowPubSub, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    text = "".join(f'{{"identifiers":{{"id":"{n}"}},"name":"n"}}\n' for n in range(1700))
    await asyncio.to_thread(file.write_text, text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops", "publish", "track", "--file", str(file), "--project", "p"),
        env=os.environ | {"PYTHONPATH": str(ROOT), "PUBSUB_EMULATOR_HOST": slow.host},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert await asyncio.to_thread(slow.is_holding.wait, 30)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        output, notes = await process.communicate()
    assert process.returncode == 130
    assert output == b"500 published\n"
    assert notes.splitlines()[-1] == b"interrupted: 500 of 1700 published; up to 500 more may be on their topic"


def test_a_request_is_bounded_and_nothing_is_sent_after_it(
    slow: SlowPubSub, environment: MutableMapping[str, str]
) -> None:
    environment["PUBSUB_EMULATOR_HOST"] = slow.host
    slow.confirmed = 0
    message = Outgoing("projects/p/topics/t", b"{}", {}, "")
    with ConfirmedPublisher(clients.publisher(Target("p", "", environment)), request_seconds=0.2) as publisher:
        assert publisher.publish([message]) == ["DeadlineExceeded"]
        assert publisher.is_unreachable
        assert publisher.publish([message]) == ["ServiceUnavailable"]
    assert slow.requests == 1


def test_a_publish_stops_when_pubsub_stops_answering(
    slow: SlowPubSub, ops: Ops, environment: MutableMapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment["PUBSUB_EMULATOR_HOST"] = slow.host
    monkeypatch.setattr(ConfirmedPublisher.__init__, "__kwdefaults__", {"request_seconds": 0.2})
    given = b'{"identifiers":{"id":"1"},"name":"n"}\n' * 1700
    result = ops("publish", "track", "--file", "-", "--project", "p", given=given)
    assert (result.exit_code, result.stdout) == (1, "500 published, 500 not published\n")
    assert result.stderr.splitlines()[-1].startswith(f"Pub/Sub at {slow.host} does not answer")
    assert slow.requests == 2


def test_a_replay_stops_when_pubsub_stops_answering_and_keeps_the_rest(
    machine: Machine, ops: Ops, slow: SlowPubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        machine.dead_letter("track", b"{}", job_id=f"J{number}")
    elsewhere = Target(machine.project, "", {"PUBSUB_EMULATOR_HOST": slow.host})
    publisher = clients.publisher
    monkeypatch.setattr(clients, "publisher", lambda _: publisher(elsewhere))
    monkeypatch.setattr(ConfirmedPublisher.__init__, "__kwdefaults__", {"request_seconds": 0.2})
    result = ops("dead-letters", "replay", "track", "--yes", "--rate", "10", "--wait", "0.2")
    assert result.exit_code == 1
    assert "pulled 3 = replayed 1 + kept 2" in result.stdout
    assert "1 not published: DeadlineExceeded" in result.stderr
    assert "does not answer" in result.stderr.splitlines()[-1]
    assert len(machine.waiting("cio-track-dead-letter")) == 2
