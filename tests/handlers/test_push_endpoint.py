"""What a push is answered for the endpoint's own reasons: no envelope, a fault, too late, the last attempt."""

import time

import pytest

from shared.outcome import Outcome
from shared.pubsub.message import PushMessage
from tests.customerio.conftest import status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import ADDRESS, CANARY, Around, Function, Push, lines

PERSON = {"identifiers": {"id": "42"}}
LAST = 100  # attempts of the retry lane


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"canary-5f2b", b'{"message":{"data":"canary-5f2b!"}}'])
async def test_what_is_no_envelope_is_400_and_not_quoted(
    identify: Function, around: Around, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    assert await identify.post(body) == 400
    assert around.upstream.bodies == []
    assert around.pubsub.published == []
    assert CANARY not in capsys.readouterr().out


async def test_a_fault_of_ours_is_500_and_says_where_without_what(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(delivery: PushMessage) -> Outcome:
        raise ZeroDivisionError(delivery.data.decode())

    broken_function = function("identify", handle=broken)
    push = Push({"identifiers": {"email": ADDRESS}}, {"job_id": ADDRESS, "note": CANARY}, ordering_key=ADDRESS)
    assert await broken_function.push(push) == 500
    assert around.pubsub.published == []
    [line] = lines(output := capsys.readouterr().out)
    assert (line["severity"], line["outcome"], line["reason"]) == ("ERROR", "fault", "ZeroDivisionError")
    assert line["frames"][-1].startswith("test_push_endpoint.py:")
    assert CANARY not in output


@pytest.mark.parametrize(
    ("expires_at", "reason", "error_class"),
    [
        ("1777636800", "expired", "expired"),
        ("2026-05-01T12:00:00+00:00", "expired", "expired"),
        ("soon", "invalid", "invalid_job"),
        ("", "invalid", "invalid_job"),
    ],
)
async def test_too_late_is_a_dead_letter_and_nothing_is_sent(
    identify: Function, around: Around, expires_at: str, reason: str, error_class: str
) -> None:
    assert await identify.push(Push(PERSON, {"expires_at": expires_at})) == 204
    assert around.upstream.bodies == []
    letter = around.dead_letter()
    assert (letter["reason"], letter["class"], letter["field"]) == (reason, error_class, "expires_at")
    assert letter["expires_at"] == expires_at


async def test_in_time_is_done(identify: Function, around: Around) -> None:
    assert await identify.push(Push(PERSON, {"expires_at": str(round(time.time()) + 60)})) == 204
    assert len(around.upstream.bodies) == 1
    assert around.pubsub.published == []


async def test_a_dead_letter_is_the_job_as_it_came_with_what_is_known(identify: Function, around: Around) -> None:
    data = b' {"identifiers": {"id": ""}} '
    attributes = {"job_id": "j-1", "team": "crm", "reason": "churn", "topic": "mine", "self": "me"}
    assert await identify.push(Push(data, attributes, attempt=3, ordering_key="id:")) == 204
    [(_, kept, told)] = around.pubsub.published
    assert kept == data
    assert told == {
        "job_id": "j-1",
        "class": "invalid_job",
        "reason": "invalid",
        "field": "identifiers.id",
        "message": "must not be empty",
        "function": "identify",
        "attempt": "3",
        "lane": "main",
        "first_publish_time": "2026-05-01T12:00:00.123000+00:00",
        "original-ordering_key": "id:",
        "team": "crm",
        "original-reason": "churn",
        "original-topic": "mine",
        "original-self": "me",
    }


@pytest.mark.parametrize("push", [Push({}), Push(PERSON, {"expires_at": "0"}), Push(b"\xff").forwarded(LAST)])
async def test_a_dead_letter_that_cannot_be_kept_is_503(
    identify: Function, around: Around, capsys: pytest.CaptureFixture[str], push: Push
) -> None:
    around.pubsub.down = True
    assert await identify.push(push) == 503
    [line] = lines(capsys.readouterr().out)
    assert (line["outcome"], line["reason"], line["answer"]) == ("retry_later", "dead_letter_topic", 503)
    around.pubsub.down = False
    assert await identify.push(push) == 204
    assert len(around.pubsub.published) == 1


async def test_the_last_attempt_takes_its_reason_along(identify: Function, around: Around) -> None:
    around.upstream.then(*[status(503)] * 4)
    push = Push(PERSON)
    assert await identify.push(push.forwarded(LAST - 1)) == 503
    assert around.pubsub.published == []
    assert await identify.push(push.forwarded(LAST)) == 204
    assert around.dead_letter() | {"message": ""} == {
        "class": "attempts_spent",
        "reason": "server_error",
        "status": "503",
        "message": "",
    }


async def test_in_the_main_lane_and_without_a_count_no_attempt_is_the_last(identify: Function, around: Around) -> None:
    around.upstream.then(*[status(503)] * 4)
    assert await identify.push(Push(PERSON, attempt=LAST)) == 503
    push = Push(PERSON).forwarded()
    assert await identify.push(Push(push.data, push.attributes, attempt=None)) == 503
    assert around.pubsub.published == []


async def test_what_the_last_attempt_says_of_a_job_that_is_refused_is_why(identify: Function, around: Around) -> None:
    around.upstream.then(status(400, {"errors": [{"reason": "parse", "message": "bad"}]}))
    assert await identify.push(Push(PERSON).forwarded(LAST)) == 204
    assert around.dead_letter()["class"] == "rejected"
