"""Sends and broadcasts under the ledger: done once, however often they come."""

import asyncio

import pytest
from aiohttp import web

from shared import deadlines
from tests.customerio.conftest import status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import Around, Function, Push, lines
from tests.handlers.idempotency_helpers import JOBS, LETTER, another_body, every_kind, execute


@every_kind
async def test_a_redelivery_of_what_is_done_calls_nobody(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    once = function(kind)
    job = JOBS[kind]
    assert [await once.push(each) for each in (job, job, job.in_retry_lane())] == [204] * 3
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
    assert [await send.push(each) for each in (job, Push(LETTER, attempt=2), job.in_retry_lane())] == [204] * 3
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
    other = Push(another_body(kind), JOBS[kind].attributes)
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
@pytest.mark.parametrize("guarantee", ["exactly_once", "", "AT_MOST_ONCE"])
async def test_no_other_guarantee(function: Make, around: Around, kind: str, guarantee: str) -> None:
    job = Push(JOBS[kind].data, {"delivery_guarantee": guarantee})
    assert await function(kind).push(job) == 204
    assert around.upstream.bodies == []
    assert around.dead_letter()["field"] == "delivery_guarantee"


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


async def test_a_result_that_the_ledger_does_not_keep_is_done_and_an_error_says_so(
    send: Function, around: Around, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept_and_break_the_ledger(_request: web.Request, _body: bytes) -> web.StreamResponse:
        execute(around, "ALTER TABLE claims RENAME TO away")
        return web.json_response({"delivery_id": "d"})

    monkeypatch.setattr(deadlines, "RECORD_RETRY_SECONDS", 50.0)  # no second attempt fits before the push's deadline
    around.upstream.then(accept_and_break_the_ledger)
    assert await send.push(JOBS["send"]) == 204
    line = lines(capsys.readouterr().out)[0]
    assert (line["severity"], line["outcome"]) == ("ERROR", "sent_not_recorded")


async def test_a_ledger_that_comes_back_before_the_deadline_keeps_the_result(
    send: Function, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept_and_break_the_ledger(_request: web.Request, _body: bytes) -> web.StreamResponse:
        execute(around, "ALTER TABLE claims RENAME TO away")
        asyncio.get_running_loop().call_later(0.05, execute, around, "ALTER TABLE away RENAME TO claims")
        return web.json_response({"delivery_id": "d"})

    monkeypatch.setattr(deadlines, "RECORD_RETRY_SECONDS", 0.01)
    around.upstream.then(accept_and_break_the_ledger)
    assert [await send.push(JOBS["send"]) for _ in range(2)] == [204, 204]
    assert len(around.upstream.bodies) == 1
    assert execute(around, "SELECT state, result FROM claims") == [("done", "d")]


async def test_the_last_attempt_of_a_send_is_a_dead_letter_with_the_last_reason(send: Function, around: Around) -> None:
    around.upstream.then(status(503))
    assert await send.push(JOBS["send"].in_retry_lane(100)) == 204
    assert around.dead_letter() == {
        "class": "attempts_spent",
        "reason": "server_error",
        "status": "503",
        "message": "Customer.io answered 503",
    }
