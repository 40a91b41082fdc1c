"""What a push is answered for the endpoint's own reasons: no envelope, a fault, too late, the last attempt."""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from shared.outcome import Done, Outcome
from shared.pubsub import push as push_module
from shared.pubsub.message import PushMessage
from shared.pubsub.push import PushEndpoint
from shared.redaction import loggable_key
from shared.telemetry import Telemetry
from shared.topology import topology
from tests.customerio.conftest import status
from tests.handlers.conftest import RETRY_TOPIC, Make
from tests.handlers.handler_helpers import ADDRESS, CANARY, Around, Function, Push, lines

PERSON = {"identifiers": {"id": "42"}}
LAST = topology().lanes["retry"].attempts


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
        "lane": "patient",
        "first_publish_time": "2026-05-01T12:00:00.123000+00:00",
        "original-ordering_key": loggable_key("id:"),
        "team": "crm",
        "original-reason": "churn",
        "original-topic": "mine",
        "original-self": "me",
    }


@pytest.mark.parametrize("push", [Push({}), Push(PERSON, {"expires_at": "0"}), Push(b"\xff").in_retry_lane(LAST)])
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


@pytest.mark.parametrize(("kind", "lane"), [("track", "retry"), ("identify", "patient"), ("sync", "patient")])
async def test_the_last_attempt_of_the_last_lane_takes_its_reason_along(
    function: Make, around: Around, kind: str, lane: str
) -> None:
    body = {"sync": {"id": "42"}, "track": {**PERSON, "name": "bought"}}.get(kind, PERSON)
    job = Push(body).in_retry_lane() if lane == "retry" else Push(body)
    one = function(kind)
    around.upstream.then(*[status(503)] * 3)
    # An ordered job passes attempt 5 where it is: in another topic its person's later jobs would overtake it.
    assert [await one.push(replace(job, attempt=number)) for number in (5, LAST - 1)] == [503, 503]
    assert around.pubsub.published == []
    assert await one.push(replace(job, attempt=LAST)) == 204
    [(_, _, attributes)] = around.pubsub.published
    assert (attributes["lane"], attributes["attempt"]) == (lane, str(LAST))
    assert around.dead_letter() | {"message": ""} == {
        "class": "attempts_spent",
        "reason": "server_error",
        "status": "503",
        "message": "",
    }


async def test_after_five_attempts_the_job_moves_to_the_retry_lane_as_it_is(
    track: Function, around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    around.upstream.then(*[status(503)] * 3)
    bought = Push({**PERSON, "name": "bought"}, {"team": "crm"})
    assert [await track.push(replace(bought, attempt=number)) for number in (None, 4)] == [503, 503]
    assert around.pubsub.published == []
    assert await track.push(replace(bought, attempt=5)) == 204
    [(topic, data, attributes)] = around.pubsub.published
    assert topic == RETRY_TOPIC
    assert json.loads(data) == bought.data
    assert attributes == {
        "team": "crm",
        "job_id": "1",
        "job_id_from": "message",
        "first_publish_time": "2026-05-01T12:00:00.123000+00:00",
    }
    line = lines(capsys.readouterr().out)[-1]
    assert (line["outcome"], line["reason"], line["answer"], line["attempt"]) == ("moved", "server_error", 204, 5)


async def test_killed_in_the_middle_of_a_move_an_event_has_one_id_and_a_send_one_claim(
    track: Function, send: Function, around: Around
) -> None:
    """The retry lane has the job already, and the main lane delivers it once more."""
    bought = Push({**PERSON, "name": "bought"})
    assert [await track.push(each) for each in (bought.in_retry_lane(), replace(bought, attempt=6))] == [204, 204]
    first, second = (json.loads(body)["batch"][0] for body in around.upstream.bodies)
    assert first == second
    letter = Push({**PERSON, "to": ADDRESS, "transactional_message_id": 1})
    assert [await send.push(each) for each in (letter.in_retry_lane(), replace(letter, attempt=6))] == [204, 204]
    assert around.upstream.paths.count("/v1/send/email") == 1


async def test_a_move_that_pubsub_does_not_confirm_comes_again(track: Function, around: Around) -> None:
    around.upstream.then(status(503), status(503))
    around.pubsub.down = True
    bought = Push({**PERSON, "name": "bought"}, attempt=5)
    assert await track.push(bought) == 503
    around.pubsub.down = False
    assert await track.push(replace(bought, attempt=6)) == 204
    assert [topic for topic, _, _ in around.pubsub.published] == [RETRY_TOPIC]


async def test_without_a_number_of_the_attempt_an_ordered_job_stays(identify: Function, around: Around) -> None:
    around.upstream.then(status(503))
    assert await identify.push(Push(PERSON, attempt=None)) == 503
    assert around.pubsub.published == []


async def test_what_the_last_attempt_says_of_a_job_that_is_refused_is_why(identify: Function, around: Around) -> None:
    around.upstream.then(status(400, {"errors": [{"reason": "parse", "message": "bad"}]}))
    assert await identify.push(Push(PERSON).in_retry_lane(LAST)) == 204
    assert around.dead_letter()["class"] == "rejected"


async def test_pushes_give_their_bytes_back_however_many_come(
    identify: Function, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    around.upstream.then(*[status(503)] * 3)
    note = Push({"identifiers": {"id": "1"}, "attributes": {"note": "x" * 900}})
    monkeypatch.setattr(push_module, "_MAX_BYTES", 2 * len(note.body()))
    bounded = Function(
        PushEndpoint(identify.endpoint._handle, around.nowhere(), Telemetry("identify", "identify", "p"))
    )
    answers = [await bounded.push(note) for _ in range(20)] + [await bounded.post(b"x" * 1500) for _ in range(3)]
    assert set(answers) <= {204, 503, 400}
    assert bounded.endpoint._bodies._held == 0
    both = await asyncio.gather(*(bounded.push(note) for _ in range(3)))
    assert sorted(both) == [204, 204, 429]


async def test_a_push_larger_than_any_message_is_refused(identify: Function, around: Around) -> None:
    assert await identify.post(b"x" * 16_000_001) == 413
    assert around.upstream.bodies == []


async def test_small_pushes_get_in_between_large_ones(function: Make) -> None:
    settled: list[str] = []

    async def note(message: PushMessage) -> Outcome:
        settled.append(message.key)
        return Done()

    identify = function("identify", handle=note)
    large = [Push({"x": "x" * 200_000}, {"job_id": f"large-{n}"}) for n in range(40)]
    pushes = [asyncio.create_task(identify.push(push)) for push in large]
    pushes.append(asyncio.create_task(identify.push(Push(PERSON, {"job_id": "small"}))))
    assert await asyncio.gather(*pushes) == [204] * 41
    assert settled.index("small") < 10
    assert [key for key in settled if key != "small"] == [push.attributes["job_id"] for push in large]
