"""SIGTERM to a real function: nothing new is sent, what waits comes again, what is on the wire is recorded."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from local.stack.provision import provision
from shared import deadlines
from shared.topology import topology
from tests.customerio.conftest import Upstream, status
from tests.function_process import RunningFunction, running_function
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import ADDRESS, Around, Push, lines
from tests.handlers.idempotency_helpers import JOBS, every_kind, execute
from tests.local_pubsub.broker_helpers import PubSub


@asynccontextmanager
async def send_function(
    upstream: Upstream, broker: PubSub, directory: Path, rate: str, *, dead_letters: str = ""
) -> AsyncIterator[RunningFunction]:
    environment = {
        "GOOGLE_CLOUD_PROJECT": broker.project,
        "PUBSUB_EMULATOR_HOST": broker.host,
        "DEAD_LETTER_TOPIC": dead_letters or await asyncio.to_thread(broker.topic),
        "CONTROL_TOPIC": await asyncio.to_thread(broker.topic),
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_APP_URL": upstream.url,
        "CUSTOMERIO_APP_API_KEY": "app-key",
        "CUSTOMERIO_REQUESTS_PER_SECOND": rate,
        "RECIPIENTS": '{"everybody": true}',
        "LEDGER": f"sqlite:{directory / 'ledger.sqlite'}",
    }
    async with running_function("send", environment, directory / "log") as function:
        yield function


def letter(number: int) -> Push:
    body = {"identifiers": {"id": str(number)}, "transactional_message_id": 1, "to": ADDRESS}
    return Push(body, {"job_id": f"j{number}"})


async def test_what_waits_for_the_rate_is_not_sent_and_what_is_on_the_wire_is_recorded(
    upstream: Upstream, broker: PubSub, tmp_path: Path
) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request, _body: bytes) -> web.StreamResponse:
        arrived.set()
        await release.wait()
        return web.json_response({"delivery_id": "d-1"})

    upstream.then(slow)
    async with send_function(upstream, broker, tmp_path, "0.2") as function, httpx.AsyncClient(timeout=20) as pubsub:
        first = asyncio.ensure_future(pubsub.post(function.url, content=letter(1).body()))
        await arrived.wait()
        waiting = [asyncio.ensure_future(pubsub.post(function.url, content=letter(n).body())) for n in (2, 3)]
        await until_connected(function, 3)
        os.killpg(function.pid, signal.SIGTERM)
        given_back = await asyncio.gather(*waiting)
        release.set()
        assert (await first).status_code == 204
        assert [answer.status_code for answer in given_back] == [503, 503]
        assert await asyncio.wait_for(function.exited(), deadlines.SHUTDOWN_SECONDS) is not None
    assert len(upstream.bodies) == 1
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT state, result FROM claims").fetchall() == [("done", "d-1")]
    written = lines("\n".join(function.json_lines()))
    # A push that the function had not read yet is refused, one that waited is given back.
    assert {line["message"] for line in written if line["outcome"] != "applied"} == {"the instance is shutting down"}


async def test_bulk_sends_that_wait_are_given_back_and_the_one_on_the_wire_is_recorded_and_acknowledged(
    upstream: Upstream, broker: PubSub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three are pulled at once; the first is on the wire, and the others wait for the rate."""
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request, _body: bytes) -> web.StreamResponse:
        arrived.set()
        await release.wait()
        return web.json_response({"delivery_id": "d-1"})

    upstream.then(slow, slow, slow)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.host)
    kind = topology().topics["send"]
    lane = f"projects/{broker.project}/subscriptions/{kind.name}-bulk"
    dead_letters = f"projects/{broker.project}/topics/{kind.dead_letter_name}"
    ring = {"message": {"messageId": "1"}, "subscription": f"projects/{broker.project}/subscriptions/{kind.bell_name}"}
    async with (
        send_function(upstream, broker, tmp_path, "1.5", dead_letters=dead_letters) as function,
        httpx.AsyncClient(timeout=20) as pubsub,
    ):
        nowhere = dict.fromkeys(topology().functions, "http://127.0.0.1:9/")
        await asyncio.to_thread(provision, broker.project, nowhere)
        for number in (1, 2, 3):
            data = json.dumps(letter(number).data).encode()
            topic = f"projects/{broker.project}/topics/{kind.name}"
            await asyncio.to_thread(broker.publish, topic, data, priority="bulk")
        rung = asyncio.ensure_future(pubsub.post(function.url, json=ring))
        await arrived.wait()
        os.killpg(function.pid, signal.SIGTERM)
        await asyncio.to_thread(broker.wait_until, lane, lambda stats: stats["nacked"] > 0)
        release.set()
        assert (await rung).status_code == 503
        assert await asyncio.wait_for(function.exited(), deadlines.SHUTDOWN_SECONDS) is not None
    stats = await asyncio.to_thread(broker.stats, lane)
    sent = len(upstream.bodies)
    assert sent in {1, 2}, "the second goes out two thirds of a second after the first, and the end may come later"
    assert (stats["delivered"], stats["acked"], stats["nacked"], stats["unanswered"]) == (3, sent, 3 - sent, 0)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger:
        states = ledger.execute("SELECT state, result FROM claims").fetchall()
    assert states == [("done", "d-1")] * sent


async def until_connected(function: RunningFunction, count: int) -> None:
    """Wait until the function holds so many pushes: each is a connection of its own."""
    async with asyncio.timeout(10):
        while function.connections() < count:  # noqa: ASYNC110 - another process cannot set an event of ours
            await asyncio.sleep(0.01)


@every_kind
async def test_after_the_end_a_push_is_not_begun_and_a_claim_is_let_go(
    function: Make, around: Around, kind: str
) -> None:
    around.lifetime.end()
    assert await function(kind).push(JOBS[kind]) == 503
    assert around.upstream.bodies == []
    assert not around.ledger_file.exists() or execute(around, "SELECT * FROM claims") == []


@every_kind
async def test_a_call_that_outlasts_the_end_is_unknown_and_comes_again(
    function: Make, around: Around, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "SHUTDOWN_SECONDS", 0.05)
    arrived = asyncio.Event()

    async def silent(_request: web.Request, _body: bytes) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(5)
        return web.Response()

    around.upstream.then(silent)
    push = asyncio.ensure_future(function(kind).push(JOBS[kind]))
    await arrived.wait()
    around.lifetime.end()
    assert await push == 503
    assert execute(around, "SELECT state FROM claims") == [("unknown",)]


@every_kind
async def test_what_cannot_be_called_in_time_costs_no_claim(function: Make, around: Around, kind: str) -> None:
    """Rate and breaker are asked before the ledger, so a refusal writes nothing."""
    once = function(kind, rate=0.001)
    around.upstream.then(status(429, Retry_After="30"))
    assert await once.push(JOBS[kind]) == 429
    written = execute(around, "SELECT count(*) FROM claims")
    refused = [await once.push(Push(JOBS[kind].data, {"job_id": f"other-{n}"})) for n in range(5)]
    assert refused == [429] * 5
    assert execute(around, "SELECT count(*) FROM claims") == written
    assert len(around.upstream.bodies) == 1
