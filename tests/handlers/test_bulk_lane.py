"""Lane bulk: at most half of the pushes under way, refused at once beyond that, and never dead-lettered for it."""

import asyncio
from dataclasses import replace

import pytest

from shared.outcome import Done, Outcome, Retry
from shared.pubsub.message import PushMessage
from shared.topology import topology
from tests.handlers.conftest import RETRY_TOPIC, Make
from tests.handlers.handler_helpers import Around, Function, Push, lines

BULK = Push({"transactional_message_id": 1}, {"priority": "bulk", "job_id": "j-1"}, lane="bulk")
URGENT = Push({"transactional_message_id": 1}, {"job_id": "j-2"})
LAST = topology().lanes["bulk"].attempts
LAST_RETRY = topology().lanes["retry"].attempts


class Held:
    """Settles each job when the test says so."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.arrived: list[str] = []
        self.counted = asyncio.Condition()

    async def __call__(self, message: PushMessage) -> Outcome:
        async with self.counted:
            self.arrived.append(message.lane)
            self.counted.notify_all()
        await self.release.wait()
        return Done()

    async def under_way(self, count: int) -> None:
        async with self.counted, asyncio.timeout(5):
            await self.counted.wait_for(lambda: len(self.arrived) >= count)


async def test_bulk_pushes_beyond_half_are_refused_at_once_and_urgent_ones_are_not(
    function: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    held = Held()
    send = function("send", handle=held, max_bulk=2)
    under_way = [asyncio.create_task(send.push(BULK)) for _ in range(2)]
    await held.under_way(2)
    async with asyncio.timeout(5):
        assert await send.push(BULK) == 429
    under_way.append(asyncio.create_task(send.push(URGENT)))
    await held.under_way(3)
    held.release.set()

    assert await asyncio.gather(*under_way) == [204, 204, 204]
    assert sorted(held.arrived) == ["bulk", "bulk", "main"]
    assert [line["status"] for line in lines(capsys.readouterr().out) if line["outcome"] == "refused"] == [429]
    assert await send.push(BULK) == 204, "the places are free again"


async def test_a_fault_gives_the_place_back(function: Make) -> None:
    async def broken(message: PushMessage) -> Outcome:
        raise ZeroDivisionError(message.key)

    send = function("send", handle=broken, max_bulk=1)
    assert [await send.push(BULK) for _ in range(3)] == [500, 500, 500]


async def test_a_bulk_job_that_was_refused_to_the_end_moves_to_the_retry_lane_with_its_key(
    function: Make, around: Around
) -> None:
    send = function("send", handle=Held(), max_bulk=0)
    assert await send.push(replace(BULK, attempt=LAST - 1)) == 429
    assert around.pubsub.published == []
    assert await send.push(replace(BULK, attempt=LAST)) == 204
    [(topic, _, attributes)] = around.pubsub.published
    assert topic == RETRY_TOPIC
    assert (attributes["job_id"], attributes["priority"]) == ("j-1", "bulk")


def refusing(function: Make, outcome: Retry) -> Function:
    async def refused(message: PushMessage) -> Outcome:
        assert message.key == "j-1"
        return outcome

    return function("send", handle=refused, max_bulk=1)


async def test_our_own_limit_never_makes_a_dead_letter(function: Make, around: Around) -> None:
    send = refusing(function, Retry(status=429, reason="rate_limited"))
    assert await send.push(BULK.in_retry_lane(LAST_RETRY)) == 204
    assert [topic for topic, _, _ in around.pubsub.published] == [RETRY_TOPIC]


async def test_a_429_of_customerio_at_the_last_attempt_is_a_dead_letter(function: Make, around: Around) -> None:
    send = refusing(function, Retry(status=429, reason="rate_limited", upstream_status=429))
    assert await send.push(BULK.in_retry_lane(LAST_RETRY)) == 204
    assert around.dead_letter()["class"] == "attempts_spent"
