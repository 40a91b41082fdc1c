"""Sends and broadcasts under the ledger: once, or by the job's guarantee when nobody knows."""

import asyncio
import json
import socket
import sqlite3
from contextlib import closing

import pytest
from aiohttp import web

from tests.customerio.conftest import Answer, reset, status
from tests.handlers.conftest import Make
from tests.handlers.handler_kit import Around, Function, Push, lines

LETTER = {"identifiers": {"id": "42"}, "transactional_message_id": 1, "to": "ada@example.com"}
JOBS = {
    "send": Push(LETTER, {"job_id": "j-1"}),
    "broadcast": Push({"broadcast_id": 12, "ids": ["1"]}, {"job_id": "j-1"}),
}
AT_MOST_ONCE = {
    kind: Push(job.data, {**job.attributes, "delivery_guarantee": "at_most_once"}) for kind, job in JOBS.items()
}
every_kind = pytest.mark.parametrize("kind", JOBS)
UNDECIDED = {
    "class": "unknown_outcome",
    "reason": "unknown_outcome",
    "message": "it may or may not have been sent: look in Customer.io, then replay or discard",
    "delivery_guarantee": "at_most_once",
}


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


def execute(around: Around, statement: str) -> list[tuple[str, ...]]:
    """Look into the ledger, or change it behind its back."""
    with closing(sqlite3.connect(around.ledger_file)) as file, file:
        return file.execute(statement).fetchall()


def killed_during_the_call(around: Around) -> None:
    """The ledger as a function leaves it that was killed before it could write down what came of its call."""
    execute(around, "UPDATE claims SET state = 'claimed', result = ''")


@every_kind
async def test_a_redelivery_of_what_is_done_calls_nobody(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    once = function(kind)
    job = JOBS[kind]
    assert [await once.push(each) for each in (job, job, job.forwarded())] == [204] * 3
    around.lease_ends()
    assert await once.push(job) == 204
    assert len(around.upstream.bodies) == 1
    assert [line["outcome"] for line in lines(capsys.readouterr().out)] == ["applied"] + ["already_done"] * 3


@every_kind
async def test_another_instance_knows_it_too(function: Make, around: Around, kind: str) -> None:
    assert [await function(kind).push(JOBS[kind]) for _ in range(2)] == [204, 204]
    assert len(around.upstream.bodies) == 1


async def test_a_send_and_a_broadcast_may_have_the_same_job_id(
    send: Function, broadcast: Function, around: Around
) -> None:
    assert [await send.push(JOBS["send"]), await broadcast.push(JOBS["broadcast"])] == [204, 204]
    assert len(around.upstream.bodies) == 2


async def test_without_a_job_id_a_redelivery_is_the_same_job_and_another_publish_is_not(
    send: Function, around: Around
) -> None:
    job = Push(LETTER)
    assert [await send.push(each) for each in (job, Push(LETTER, attempt=2), job.forwarded())] == [204] * 3
    assert len(around.upstream.bodies) == 1
    assert await send.push(Push(LETTER, published="2026-05-01T12:00:01Z", message_id="2")) == 204
    assert len(around.upstream.bodies) == 2


@every_kind
async def test_of_two_at_once_one_waits_for_a_redelivery(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    called, release = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request, _body: bytes) -> web.StreamResponse:
        called.set()
        await release.wait()
        return web.json_response({"delivery_id": "d", "id": 1})

    around.upstream.then(slow)
    first = asyncio.ensure_future(function(kind).push(JOBS[kind]))
    await called.wait()
    assert await function(kind).push(JOBS[kind]) == 503
    release.set()
    assert await first == 204
    assert await function(kind).push(JOBS[kind]) == 204
    assert len(around.upstream.bodies) == 1
    assert lines(capsys.readouterr().out)[0]["reason"] == "in_progress"


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
async def test_refused_and_then_replayed_it_is_tried_again(function: Make, around: Around, kind: str) -> None:
    around.upstream.then(status(404, {"meta": {"error": "no such message"}}))
    once = function(kind)
    assert [await once.push(JOBS[kind]) for _ in range(2)] == [204, 204]
    assert around.dead_letter()["message"] == "no such message"
    assert len(around.upstream.bodies) == 2


@every_kind
@pytest.mark.parametrize("state", ["done", "unknown"])
async def test_another_body_under_the_same_key_is_a_conflict(
    function: Make, around: Around, kind: str, state: str
) -> None:
    if state == "unknown":
        around.upstream.then(status(500))
    once = function(kind)
    assert await once.push(JOBS[kind]) == (204 if state == "done" else 503)
    other = Push({**json.loads(json.dumps(JOBS[kind].data)), "language": "de"}, JOBS[kind].attributes)
    assert await once.push(other) == 204
    assert len(around.upstream.bodies) == 1
    assert around.dead_letter() == {
        "class": "key_conflict",
        "reason": "key_conflict",
        "field": "job_id",
        "message": "this job_id was used for another body: give each job its own",
    }


async def test_another_channel_is_another_body(send: Function, around: Around) -> None:
    assert await send.push(Push(LETTER, {"job_id": "j", "channel": "sms"})) == 204
    assert await send.push(Push(LETTER, {"job_id": "j", "channel": "push"})) == 204
    assert around.upstream.paths == ["/v1/send/sms"]
    assert around.dead_letter()["class"] == "key_conflict"


@every_kind
@pytest.mark.parametrize(
    ("expires_at", "reason", "error_class"), [("1777636800", "expired", "expired"), ("soon", "invalid", "invalid_job")]
)
async def test_too_late_is_a_dead_letter_and_nothing_is_sent(
    function: Make, around: Around, kind: str, expires_at: str, reason: str, error_class: str
) -> None:
    late = Push(JOBS[kind].data, {**JOBS[kind].attributes, "expires_at": expires_at})
    assert await function(kind).push(late) == 204
    assert around.upstream.bodies == []
    letter = around.dead_letter()
    assert (letter["reason"], letter["class"], letter["field"]) == (reason, error_class, "expires_at")
    # Replayed without it, nothing stands in its way.
    assert await function(kind).push(Push(JOBS[kind].data, JOBS[kind].attributes)) == 204
    assert len(around.upstream.bodies) == 1


@every_kind
async def test_what_was_done_in_time_is_not_too_late_when_it_comes_again(
    function: Make, around: Around, kind: str
) -> None:
    once = function(kind)
    assert await once.push(JOBS[kind]) == 204
    assert await once.push(Push(JOBS[kind].data, {**JOBS[kind].attributes, "expires_at": "1777636800"})) == 204
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
@pytest.mark.parametrize("guarantee", ["exactly_once", "", "AT_MOST_ONCE"])
async def test_no_other_guarantee(function: Make, around: Around, kind: str, guarantee: str) -> None:
    job = Push(JOBS[kind].data, {"delivery_guarantee": guarantee})
    assert await function(kind).push(job) == 204
    assert around.upstream.bodies == []
    assert around.dead_letter()["field"] == "delivery_guarantee"


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


ACCEPTED = [
    (b'{"delivery_id":"d-1","id":7}', {"send": "d-1", "broadcast": "7"}),
    (b"", {"send": "", "broadcast": ""}),
    (b"not json", {"send": "", "broadcast": ""}),
    (b'{"delivery_id":null,"id":null}', {"send": "", "broadcast": ""}),
    (b'{"delivery_id":"\xff","id":"\xff"}', {"send": "", "broadcast": ""}),
    (b'{"delivery_id":' + b"[" * 20_000, {"send": "", "broadcast": ""}),
    (b"[]", {"send": "", "broadcast": ""}),
]


@every_kind
@pytest.mark.parametrize(("body", "results"), ACCEPTED, ids=[str(body[:24]) for body, _ in ACCEPTED])
async def test_accepted_is_done_however_it_is_put_and_the_result_is_kept(
    function: Make, around: Around, kind: str, body: bytes, results: dict[str, str]
) -> None:
    async def accepted(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    around.upstream.then(accepted)
    once = function(kind)
    assert [await once.push(JOBS[kind]) for _ in range(2)] == [204, 204]
    assert len(around.upstream.bodies) == 1
    assert execute(around, "SELECT result FROM claims") == [(results[kind],)]


@every_kind
async def test_a_ledger_that_does_not_answer_is_503_and_nothing_is_sent(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    around.break_the_ledger()
    assert await function(kind).push(JOBS[kind]) == 503
    assert around.upstream.bodies == []
    assert around.pubsub.published == []
    assert lines(capsys.readouterr().out)[0]["reason"] == "ledger_unavailable"


async def test_a_result_that_the_ledger_does_not_keep_is_done_all_the_same(
    send: Function, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    async def accept_and_break_the_ledger(_request: web.Request, _body: bytes) -> web.StreamResponse:
        execute(around, "DROP TABLE claims")
        return web.json_response({"delivery_id": "d"})

    around.upstream.then(accept_and_break_the_ledger)
    assert await send.push(JOBS["send"]) == 204
    assert lines(capsys.readouterr().out)[0]["outcome"] == "applied"


async def test_the_last_attempt_of_a_send_is_a_dead_letter_with_the_last_reason(send: Function, around: Around) -> None:
    around.upstream.then(status(503))
    assert await send.push(JOBS["send"].forwarded(100)) == 204
    assert around.dead_letter() == {
        "class": "attempts_spent",
        "reason": "server_error",
        "status": "503",
        "message": "Customer.io answered 503",
    }
