"""Sends and broadcasts whose outcome nobody knows: tried again, or left to a person, by the job's guarantee."""

import asyncio
import socket

import pytest
from aiohttp import web

from tests.customerio.conftest import Answer, reset, status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import Around, Function, Push
from tests.handlers.idempotency_helpers import AT_MOST_ONCE, JOBS, UNDECIDED, every_kind, killed_during_the_call


async def silent(_request: web.Request, _body: bytes) -> web.StreamResponse:
    await asyncio.sleep(0.4)
    return web.Response()


async def half(request: web.Request, _body: bytes) -> web.StreamResponse:
    """Begin an answer and break off."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"delivery')
    assert request.transport is not None
    request.transport.abort()
    return response


UNKNOWN: dict[str, tuple[Answer, str | None]] = {
    "500": (status(500), "500"),
    "502": (status(502), "502"),
    "408": (status(408), "408"),
    "reset": (reset, None),
    "broken off": (half, None),
    "timeout": (silent, None),
}
every_unknown = pytest.mark.parametrize(("answer", "code"), UNKNOWN.values(), ids=UNKNOWN)


@every_kind
@every_unknown
async def test_at_least_once_tries_again_when_the_outcome_is_unknown(
    function: Make, around: Around, kind: str, answer: Answer, code: str | None
) -> None:
    del code
    around.upstream.then(answer)
    once = function(kind, timeout=0.15)
    assert [await once.push(JOBS[kind]) for _ in range(3)] == [503, 204, 204]
    assert len(around.upstream.bodies) == 2
    assert around.pubsub.published == []


@every_kind
@every_unknown
async def test_at_most_once_asks_a_person_when_the_outcome_is_unknown(
    function: Make, around: Around, kind: str, answer: Answer, code: str | None
) -> None:
    around.upstream.then(answer)
    once = function(kind, timeout=0.15)
    assert await once.push(AT_MOST_ONCE[kind]) == 204
    assert around.dead_letter() == UNDECIDED | ({"status": code} if code else {})
    around.pubsub.reset()
    # Delivered again in spite of that, or replayed as it is: still nobody knows.
    assert await once.push(AT_MOST_ONCE[kind]) == 204
    assert around.dead_letter() == UNDECIDED
    assert len(around.upstream.bodies) == 1


async def test_a_replay_with_the_other_guarantee_sends(send: Function, around: Around) -> None:
    around.upstream.then(status(500))
    assert await send.push(AT_MOST_ONCE["send"]) == 204
    [(_, data, attributes)] = around.pubsub.published
    assert await send.push(Push(data, {**attributes, "delivery_guarantee": "at_least_once"})) == 204
    assert len(around.upstream.bodies) == 2
    assert len(around.pubsub.published) == 1


REFUSALS: dict[str, tuple[Answer, int]] = {
    "429": (status(429, Retry_After="0"), 429),
    "401": (status(401), 503),
    "3xx": (status(301), 503),
}


@every_kind
@pytest.mark.parametrize(("answer", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_at_most_once_comes_again_when_nothing_was_accepted(
    function: Make, around: Around, kind: str, answer: Answer, expected: int
) -> None:
    around.upstream.then(*[answer] * (2 if expected == 503 else 1))
    assert await function(kind).push(AT_MOST_ONCE[kind]) == expected
    assert around.pubsub.published == []
    around.upstream.answers.clear()
    assert await function(kind).push(AT_MOST_ONCE[kind]) == 204
    assert await function(kind).push(AT_MOST_ONCE[kind]) == 204
    assert around.pubsub.published == []


@every_kind
async def test_at_most_once_comes_again_when_there_was_no_connection(function: Make, around: Around, kind: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert await function(kind, url=url).push(AT_MOST_ONCE[kind]) == 503
    assert await function(kind).push(AT_MOST_ONCE[kind]) == 204
    assert len(around.upstream.bodies) == 1
    assert around.pubsub.published == []


@every_kind
async def test_what_may_have_been_sent_is_not_sent_again_when_it_is_too_late(
    function: Make, around: Around, kind: str
) -> None:
    around.upstream.then(status(500))
    once = function(kind)
    assert await once.push(JOBS[kind]) == 503
    assert await once.push(Push(JOBS[kind].data, {**JOBS[kind].attributes, "expires_at": "1777636800"})) == 204
    assert len(around.upstream.bodies) == 1
    assert around.dead_letter()["class"] == "unknown_outcome"
    around.pubsub.reset()
    # And a replay without it sends, as for any job whose outcome nobody knows.
    assert await once.push(JOBS[kind]) == 204
    assert len(around.upstream.bodies) == 2


@every_kind
async def test_what_a_killed_instance_left_is_taken_over_when_the_lease_ends(
    function: Make, around: Around, kind: str
) -> None:
    once = function(kind)
    assert await once.push(JOBS[kind]) == 204
    killed_during_the_call(around)
    assert await once.push(JOBS[kind]) == 503
    around.lease_ends()
    assert [await once.push(JOBS[kind]) for _ in range(2)] == [204, 204]
    assert len(around.upstream.bodies) == 2


@every_kind
async def test_at_most_once_what_a_killed_instance_left_is_for_a_person_to_decide(
    function: Make, around: Around, kind: str
) -> None:
    once = function(kind)
    assert await once.push(AT_MOST_ONCE[kind]) == 204
    killed_during_the_call(around)
    around.lease_ends()
    assert await once.push(AT_MOST_ONCE[kind]) == 204
    assert len(around.upstream.bodies) == 1
    assert around.dead_letter() == UNDECIDED


@every_kind
@pytest.mark.parametrize("refusal", [status(429, Retry_After="0"), status(400)], ids=["not now", "never"])
async def test_a_refusal_does_not_settle_what_an_earlier_attempt_left_unknown(
    function: Make, around: Around, kind: str, refusal: Answer
) -> None:
    around.upstream.then(status(500), refusal)
    once = function(kind)
    assert await once.push(JOBS[kind]) == 503
    await once.push(JOBS[kind])
    around.pubsub.reset()
    # Whoever changes the guarantee now is not told that nothing was sent.
    at_most_once = Push(JOBS[kind].data, AT_MOST_ONCE[kind].attributes)
    assert await once.push(at_most_once) == 204
    assert around.dead_letter()["class"] == "unknown_outcome"


@every_kind
async def test_after_five_unknown_outcomes_of_its_own_a_person_decides(
    function: Make, around: Around, kind: str
) -> None:
    once = function(kind)
    other = {**JOBS[kind].attributes, "job_id": "healthy"}
    for number in range(4):
        around.upstream.then(status(200), status(503))
        healthy = Push(JOBS[kind].data, {**other, "job_id": f"healthy-{number}"})
        assert [await once.push(healthy), await once.push(JOBS[kind])] == [204, 503]
    around.upstream.then(status(503))
    assert await once.push(JOBS[kind]) == 204
    assert around.dead_letter() | {"delivery_guarantee": ""} == UNDECIDED | {"status": "503", "delivery_guarantee": ""}
    # A replay is one more try, and no five.
    around.pubsub.reset()
    around.upstream.then(status(503))
    assert await once.push(JOBS[kind]) == 204
    assert around.dead_letter()["class"] == "unknown_outcome"


@every_kind
async def test_while_nothing_succeeds_no_unknown_outcome_is_the_jobs_own(
    function: Make, around: Around, kind: str
) -> None:
    """An outage is about everybody: it dead-letters nobody, however long it is."""
    for _ in range(8):
        around.upstream.then(status(503))
        assert await function(kind).push(JOBS[kind]) == 503
    assert around.pubsub.published == []
    assert await function(kind).push(JOBS[kind]) == 204
