"""Planted in bodies, keys and addresses, a word is in no log line and in no attribute of ours, whatever happens."""

import json
from typing import Any

import pytest
from aiohttp import web

from tests.customerio.conftest import Answer, reset, status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import ADDRESS, CANARY, Around, Push

TEXT = f'"{CANARY}" & <b>{CANARY}</b> é\n{CANARY}'
BODIES: dict[str, dict[str, Any]] = {
    "identify": {"identifiers": {"id": CANARY}, "attributes": {"bio": TEXT, "email": ADDRESS}},
    "track": {"identifiers": {"email": ADDRESS}, "name": f"saw {CANARY}", "attributes": {"text": TEXT}},
    "send": {
        "identifiers": {"email": ADDRESS},
        "transactional_message_id": 1,
        "to": f"{CANARY} <{ADDRESS}>",
        "message_data": {"text": TEXT},
    },
    "broadcast": {"broadcast_id": 1, "emails": [ADDRESS], "data": {"text": TEXT}},
    "sync": {"id": CANARY, "email": ADDRESS, "first_name": CANARY, "bio": TEXT},
}
WRONG: dict[str, dict[str, Any]] = {
    "identify": {"identifiers": {"id": CANARY, "email": ADDRESS}},
    "track": {"identifiers": {"id": CANARY}, "name": CANARY * 20},
    "send": {**BODIES["send"], "send_at": TEXT},
    "broadcast": {**BODIES["broadcast"], "ids": [CANARY]},
    "sync": {**BODIES["sync"], "created_at": TEXT},
}
every_kind = pytest.mark.parametrize("kind", BODIES)
# What the publisher chose to put beside the body is kept for a replay, as is the body.
TAGS = {"job_id": ADDRESS, "note": CANARY}
THEIRS = {"job_id", "note"}


def echoing(code: int, where: str, *, twice: bool = False) -> Answer:
    """Refuses a request and quotes what came in."""

    async def answer(_request: web.Request, body: bytes) -> web.StreamResponse:
        text = json.dumps(body.decode()) if twice else body.decode()
        complaint = {"reason": "invalid", "field": "attributes.bio", "message": "is not valid"}
        explanation: Any = {"errors": [{"batch_index": 0, **complaint, where: f"{complaint.get(where, '')} {text}"}]}
        if where == "meta":
            explanation = {"meta": {"error": text}}
        return web.json_response(explanation, status=code)

    return answer


ANSWERS: dict[str, Answer] = {
    "400 quotes in its message": echoing(400, "message"),
    "400 quotes in its message, escaped": echoing(400, "message", twice=True),
    "400 quotes in its reason": echoing(400, "reason"),
    "400 quotes in its field": echoing(400, "field"),
    "400 quotes in its detail": echoing(400, "detail"),
    "400 quotes in its meta error": echoing(400, "meta"),
    "207 quotes": echoing(207, "message"),
    "401": echoing(401, "message"),
    "429": echoing(429, "message"),
    "500": echoing(500, "message"),
    "301": status(301, Location=f"https://{CANARY}.example.com/{CANARY}"),
    "reset": reset,
    "accepted": status(200),
}


def nothing_is_in(around: Around, capsys: pytest.CaptureFixture[str]) -> None:
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out
    assert CANARY not in output.out
    assert "canary" not in output.out.lower()
    for _, _, attributes in around.pubsub.published:
        ours = {name: value for name, value in attributes.items() if name not in THEIRS}
        assert "class" in ours
        assert "canary" not in json.dumps(ours).lower()


@every_kind
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_whatever_customerio_answers(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str, answer: Answer
) -> None:
    around.upstream.then(answer, answer)
    assert await function(kind).push(Push(BODIES[kind], TAGS, ordering_key=ADDRESS)) in {204, 429, 503}
    assert around.upstream.bodies
    nothing_is_in(around, capsys)


@every_kind
async def test_whatever_is_wrong_with_the_job(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    once = function(kind)
    broken = [
        Push(WRONG[kind], TAGS),
        Push(BODIES[kind], {**TAGS, "expires_at": "1"}),
        Push(f'{{"{CANARY}": '.encode(), TAGS),
        Push([CANARY], TAGS),
    ]
    assert [await once.push(push) for push in broken] == [204] * 4
    assert len(around.pubsub.published) == 4
    nothing_is_in(around, capsys)
    around.pubsub.down = True
    assert await once.push(broken[0]) == 503
    nothing_is_in(around, capsys)


@pytest.mark.parametrize("kind", ["identify", "sync"])
async def test_an_address_that_is_an_attributes_name_is_not_in_the_field(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    too_long = {ADDRESS: "x" * 1001}
    body = {"id": "1", **too_long} if kind == "sync" else {"identifiers": {"id": "1"}, "attributes": too_long}
    assert await function(kind).push(Push(body)) == 204
    assert around.dead_letter()["field"] == "[redacted]"
    nothing_is_in(around, capsys)


@pytest.mark.parametrize("name", ["job_id", "channel", "delivery_guarantee", "expires_at"])
async def test_attributes_of_a_send_are_not_quoted_either(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    send = function("send")
    assert await send.push(Push(BODIES["send"], {name: CANARY})) == 204
    assert await send.push(Push({**BODIES["send"], "language": "de"}, {name: CANARY})) == 204
    output = capsys.readouterr().out
    assert output
    assert CANARY not in output
    assert around.pubsub.published
    for _, _, attributes in around.pubsub.published:
        assert CANARY not in json.dumps({key: value for key, value in attributes.items() if key != name})
