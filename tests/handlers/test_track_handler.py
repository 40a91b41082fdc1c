"""Events: the id by which Customer.io drops a repetition, and the time at which they happened."""

from typing import Any

from shared.jobs import is_ulid, job_ulid
from tests.customerio.conftest import status
from tests.handlers.handler_helpers import PUBLISHED_SECONDS, Around, Function, Push

BOUGHT = {"identifiers": {"id": "42"}, "name": "bought", "attributes": {"n": 1}}
LATER = "2026-05-02T08:00:00.000Z"
ULID = "01J9ZZZZZZ0123456789ABCDEF"


def events(around: Around) -> list[dict[str, Any]]:
    return [item for batch in around.upstream.batches() for item in batch]


async def test_an_event_is_the_same_on_every_delivery_and_in_every_lane(track: Function, around: Around) -> None:
    around.upstream.then(status(503), status(503))
    push = Push(BOUGHT)
    again = Push(BOUGHT, attempt=2, message_id="1")
    assert [await track.push(each) for each in (push, again, push.in_retry_lane(), push.in_retry_lane(7))] == [
        503,
        503,
        204,
        204,
    ]
    assert len({str(event) for event in events(around)}) == 1
    assert is_ulid(events(around)[0]["id"])
    assert events(around)[0]["timestamp"] == PUBLISHED_SECONDS


async def test_so_it_is_when_it_is_replayed_from_the_dead_letter_topic(track: Function, around: Around) -> None:
    around.upstream.then(status(400))
    assert await track.push(Push(BOUGHT)) == 204
    [(_, data, attributes)] = around.pubsub.published
    assert await track.push(Push(data, attributes, published=LATER, message_id="9")) == 204
    first, second = events(around)
    assert (first["id"], first["timestamp"]) == (second["id"], second["timestamp"])


async def test_published_twice_under_one_job_id_it_is_one_event(track: Function, around: Around) -> None:
    named = {"job_id": "order-7"}
    assert await track.push(Push(BOUGHT, named)) == 204
    assert await track.push(Push(BOUGHT, named, published=LATER, message_id="2")) == 204
    first, second = events(around)
    assert first["id"] == second["id"] == job_ulid("order-7", None)


async def test_published_twice_without_one_it_is_two(track: Function, around: Around) -> None:
    assert await track.push(Push(BOUGHT)) == 204
    assert await track.push(Push(BOUGHT, published=LATER, message_id="2")) == 204
    first, second = events(around)
    assert first["id"] != second["id"]


async def test_a_job_id_that_is_a_ulid_is_the_events(track: Function, around: Around) -> None:
    assert await track.push(Push(BOUGHT, {"job_id": ULID.lower()})) == 204
    assert events(around)[0]["id"] == ULID


async def test_what_an_event_says_of_itself_stays(track: Function, around: Around) -> None:
    own = {**BOUGHT, "id": ULID, "timestamp": PUBLISHED_SECONDS - 900}
    assert await track.push(Push(own, {"job_id": "j"})) == 204
    assert events(around) == [{"type": "person", "action": "event", **own}]


async def test_a_report_of_a_delivery_gets_the_time_and_no_id(track: Function, around: Around) -> None:
    opened = {"type": "delivery", "identifiers": {"id": "d1"}, "name": "opened"}
    assert await track.push(Push(opened, {"job_id": "j"})) == 204
    assert events(around) == [{**opened, "action": "event", "timestamp": PUBLISHED_SECONDS}]
