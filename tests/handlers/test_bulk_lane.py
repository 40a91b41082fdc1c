"""A push of the bell of lane bulk: its jobs are settled as pushed ones are, and none is a dead letter for waiting."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from shared import deadlines
from shared.outcome import Done, Outcome, Retry
from shared.pubsub.drain import Drain
from shared.pubsub.message import PushMessage
from shared.telemetry import Telemetry
from shared.topology import topology
from tests.customerio.conftest import status
from tests.handlers.conftest import RETRY_TOPIC, Make
from tests.handlers.handler_helpers import PROJECT, Around, Function, Push, lines
from tests.pubsub.drain_helpers import Bell, Lane

URGENT = Push({"transactional_message_id": 1}, {"job_id": "urgent"})
LAST = topology().lanes["bulk"].attempts
LAST_RETRY = topology().lanes["retry"].attempts
Open = Callable[..., Function]


def bell() -> bytes:
    """Body of a push of the bell. What rings is no job here, and nobody minds."""
    message = {"data": "", "messageId": "1", "attributes": {"priority": "bulk", "bulk_bell": "ring"}}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/cio-x-bulk-bell"}).encode()


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Lane:
    monkeypatch.setattr(deadlines, "EMPTY_PULL_SECONDS", 0.05)
    return Lane()


@pytest.fixture
def send(function: Make, around: Around, lane: Lane) -> Open:
    def make(handle: Callable[[PushMessage], Any] | None = None) -> Function:
        topic: Any = Bell()
        drain = Drain(lane, topic, Telemetry("send", "send", PROJECT), around.lifetime, max_in_hand=20)
        return function("send", handle=handle, drain=drain)

    return make


def settled_as(outcome: Outcome) -> Callable[[PushMessage], Any]:
    async def handle(message: PushMessage) -> Outcome:
        assert message.lane == "bulk"
        return outcome

    return handle


async def test_a_ring_has_each_job_settled_with_a_line_of_its_own_and_acknowledged(
    send: Open, lane: Lane, capsys: pytest.CaptureFixture[str]
) -> None:
    lane.publish(3, attempt=2)
    assert await send(settled_as(Done(delivery_id="d-1"))).post(bell()) == 204
    assert sorted(lane.acknowledged) == ["j-0", "j-1", "j-2"]
    written = lines(capsys.readouterr().out)
    assert [(line["outcome"], line["lane"], line["attempt"]) for line in written] == [("applied", "bulk", 2)] * 3


async def test_an_urgent_send_goes_while_bulk_ones_are_in_hand(send: Open, lane: Lane) -> None:
    release, arrived = asyncio.Event(), asyncio.Event()

    async def handle(message: PushMessage) -> Outcome:
        if message.lane == "bulk":
            arrived.set()
            await release.wait()
        return Done()

    function = send(handle)
    lane.publish(50)
    drain = asyncio.create_task(function.post(bell()))
    await arrived.wait()
    assert await function.push(URGENT) == 204
    assert await function.post(bell()) == 204, "rung again, and answered at once"
    assert not drain.done()
    release.set()
    assert await drain == 204
    assert len(lane.acknowledged) == 50


async def test_a_job_that_is_no_send_is_a_dead_letter_and_acknowledged(send: Open, lane: Lane, around: Around) -> None:
    lane.publish(1)
    assert await send().post(bell()) == 204
    assert around.dead_letter()["class"] == "invalid_job"
    assert around.upstream.bodies == []
    assert lane.acknowledged == ["j-0"]


async def test_a_fault_of_ours_gives_the_job_back(send: Open, lane: Lane, capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(message: PushMessage) -> Outcome:
        raise ZeroDivisionError(message.key)

    lane.publish(2)
    assert await send(broken).post(bell()) == 204
    assert sorted(lane.given_back) == ["j-0", "j-1"]
    assert {line["outcome"] for line in lines(capsys.readouterr().out)} == {"fault"}


async def test_nothing_gets_through_so_the_bell_is_refused_and_the_function_asks_for_a_pause_as_for_pushes(
    send: Open, lane: Lane
) -> None:
    lane.publish(50)
    refused = Retry(status=503, reason="credentials_refused", needs_operator=True)
    assert await send(settled_as(refused)).post(bell()) == 503
    assert 0 < len(lane.given_back) <= 20
    assert not lane.leased


async def test_a_bulk_job_at_its_last_attempt_moves_to_the_retry_lane_with_its_key(
    send: Open, lane: Lane, around: Around
) -> None:
    limited = settled_as(Retry(status=429, reason="rate_limited"))
    lane.publish(1, attempt=LAST - 1)
    assert await send(limited).post(bell()) == 204
    assert (around.pubsub.published, len(lane.given_back)) == ([], 1)
    lane.publish(1, attempt=LAST)
    assert await send(limited).post(bell()) == 204
    [(topic, _, attributes)] = around.pubsub.published
    assert (topic, len(lane.acknowledged)) == (RETRY_TOPIC, 1)
    assert (attributes["job_id"], attributes["priority"]) == ("j-1", "bulk")


async def test_our_own_limit_never_makes_a_dead_letter(function: Make, around: Around) -> None:
    async def limited(_: PushMessage) -> Outcome:
        return Retry(status=429, reason="rate_limited")

    send = function("send", handle=limited)
    push = Push({"transactional_message_id": 1}, {"priority": "bulk", "job_id": "j-1"}, lane="bulk")
    assert await send.push(push.in_retry_lane(LAST_RETRY)) == 204
    assert [topic for topic, _, _ in around.pubsub.published] == [RETRY_TOPIC]


async def test_a_429_of_customerio_at_the_last_attempt_is_a_dead_letter(function: Make, around: Around) -> None:
    around.upstream.then(status(429))
    send = function("send")
    push = Push(
        {"transactional_message_id": 1, "to": "a@example.com", "identifiers": {"id": "1"}},
        {"priority": "bulk", "job_id": "j-1"},
        lane="bulk",
    )
    assert await send.push(push.in_retry_lane(LAST_RETRY)) == 204
    assert around.dead_letter()["class"] == "attempts_spent"


async def test_after_the_end_of_the_instance_a_bell_is_given_back(send: Open, lane: Lane, around: Around) -> None:
    function = send(settled_as(Done()))
    lane.publish(1)
    around.lifetime.end()
    assert await function.post(bell()) == 503
    assert (lane.pulls, len(lane.waiting)) == ([], 1)


@pytest.mark.parametrize("body", [b'"-bulk-bell"', b"-bulk-bell", b'{"subscription": 7, "a": "-bulk-bell"}'])
async def test_what_is_no_push_is_400_though_it_names_the_bell(send: Open, lane: Lane, body: bytes) -> None:
    assert await send().post(body) == 400
    assert lane.pulls == []


async def test_a_job_that_names_the_bell_is_a_job(send: Open, lane: Lane) -> None:
    seen: list[bytes] = []

    async def handle(message: PushMessage) -> Outcome:
        seen.append(message.data)
        return Done()

    push = Push({"note": "-bulk-bell"}, {"note": "cio-x-bulk-bell"})
    assert await send(handle).push(push) == 204
    assert (len(seen), lane.pulls) == (1, [])
    assert base64.b64decode(json.loads(push.body())["message"]["data"]) == seen[0]
