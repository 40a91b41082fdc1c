"""What Customer.io answers, or that it does not, and what the push is answered then: for every kind of job."""

import asyncio
import socket

import pytest
from aiohttp import web

from shared.secrets import SecretUnavailableError
from tests.customerio.conftest import Answer, Rotating, reset, status
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import Around, Push, lines

PUSHES = {
    "identify": Push({"identifiers": {"id": "42"}}),
    "track": Push({"identifiers": {"id": "42"}, "name": "bought"}),
    "send": Push({"identifiers": {"id": "42"}, "transactional_message_id": 1, "to": "ada@example.com"}),
    "broadcast": Push({"broadcast_id": 12, "ids": ["1"]}),
    "sync": Push({"id": "42", "plan": "pro"}),
}
PATHS = {
    "identify": "/api/v2/batch",
    "track": "/api/v2/batch",
    "send": "/v1/send/email",
    "broadcast": "/v1/campaigns/12/triggers",
    "sync": "/api/v2/batch",
}
every_kind = pytest.mark.parametrize("kind", PUSHES)
COMPLAINT = {"errors": [{"reason": "invalid", "field": "attributes.plan", "message": "is no plan", "detail": None}]}


@every_kind
async def test_accepted_is_204(function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert await function(kind).push(PUSHES[kind]) == 204
    assert around.upstream.paths == [PATHS[kind]]
    assert around.pubsub.published == []
    [line] = lines(capsys.readouterr().out)
    assert (line["severity"], line["outcome"], line["answer"], line["kind"]) == ("INFO", "applied", 204, kind)


@every_kind
@pytest.mark.parametrize("code", [400, 413, 422])
async def test_refused_is_a_dead_letter_with_customerios_words(
    function: Make, around: Around, kind: str, code: int
) -> None:
    around.upstream.then(status(code, COMPLAINT))
    assert await function(kind).push(PUSHES[kind]) == 204
    assert around.dead_letter() == {
        "class": "rejected",
        "reason": "invalid",
        "status": str(code),
        "field": "attributes.plan",
        "message": "is no plan",
    }
    assert len(around.upstream.bodies) == 1


@every_kind
@pytest.mark.parametrize(
    ("answer", "expected", "reason", "upstream_status", "severity"),
    [
        (status(408), 503, "server_error", 408, "WARNING"),
        (status(500), 503, "server_error", 500, "WARNING"),
        (status(502), 503, "server_error", 502, "WARNING"),
        (status(503), 503, "server_error", 503, "WARNING"),
        (status(524), 503, "server_error", 524, "WARNING"),
        (status(429), 429, "rate_limited", 429, "WARNING"),
        (status(429, Retry_After="7"), 429, "rate_limited", 429, "WARNING"),
        (status(401), 503, "credentials_refused", 401, "CRITICAL"),
        (status(301, Location="https://track-eu.customer.io/x"), 503, "wrong_region", 301, "CRITICAL"),
        (status(302), 503, "wrong_region", 302, "CRITICAL"),
        (status(308, Location="/elsewhere"), 503, "wrong_region", 308, "CRITICAL"),
        (reset, 503, "no_answer", None, "WARNING"),
    ],
)
async def test_all_else_comes_again(
    function: Make,
    around: Around,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    answer: Answer,
    expected: int,
    reason: str,
    upstream_status: int | None,
    severity: str,
) -> None:
    around.upstream.then(answer, answer)
    assert await function(kind).push(PUSHES[kind]) == expected
    assert around.pubsub.published == []
    [line] = lines(capsys.readouterr().out)
    assert (line["outcome"], line["answer"], line["reason"]) == ("retry_later", expected, reason)
    assert (line.get("status"), line["severity"]) == (upstream_status, severity)


@every_kind
async def test_no_answer_in_time_is_503(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    forever = asyncio.Event()

    async def never(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await forever.wait()
        return web.Response()

    around.upstream.then(never)
    assert await function(kind, timeout=0.1).push(PUSHES[kind]) == 503
    forever.set()
    assert around.pubsub.published == []
    assert lines(capsys.readouterr().out)[0]["reason"] == "timeout"


@every_kind
async def test_no_connection_is_503(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert await function(kind, url=url).push(PUSHES[kind]) == 503
    assert around.pubsub.published == []
    assert lines(capsys.readouterr().out)[0]["reason"] == "unreachable"


@every_kind
async def test_failures_in_a_row_suspend(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    around.upstream.then(*[status(500)] * 20)
    suspended = function(kind)
    answers = [await suspended.push(Push(PUSHES[kind].data, {"job_id": f"j{n}"})) for n in range(7)]
    assert answers == [503] * 7
    reasons = [line["reason"] for line in lines(capsys.readouterr().out)]
    assert reasons == ["server_error"] * 5 + ["breaker_open"] * 2
    assert len(around.upstream.bodies) == 5


@every_kind
async def test_after_a_429_nothing_is_called(function: Make, around: Around, kind: str) -> None:
    around.upstream.then(status(429, Retry_After="60"))
    paused = function(kind)
    answers = [await paused.push(Push(PUSHES[kind].data, {"job_id": f"j{n}"})) for n in range(4)]
    assert answers == [429] * 4
    assert len(around.upstream.bodies) == 1


@pytest.mark.parametrize("kind", ["send", "broadcast"])
async def test_our_own_limit_is_429(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    limited = function(kind, rate=0.01)  # the second is due later than a push can wait
    answers = [await limited.push(Push(PUSHES[kind].data, {"job_id": f"j{n}"})) for n in range(3)]
    assert answers == [204, 429, 429]
    assert len(around.upstream.bodies) == 1
    last = lines(capsys.readouterr().out)[-1]
    assert (last["reason"], "status" in last) == ("rate_limited", False)


@every_kind
async def test_a_secret_that_cannot_be_read_is_503(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    class Unreadable(Rotating):
        async def values(self) -> tuple[str, ...]:
            raise SecretUnavailableError("projects/p/secrets/s: PermissionDenied")

    assert await function(kind, secret=Unreadable("key")).push(PUSHES[kind]) == 503
    assert around.upstream.bodies == []
    assert around.pubsub.published == []
    assert lines(capsys.readouterr().out)[0]["reason"] == "secret_unavailable"


@pytest.mark.parametrize(
    ("kind", "data", "field", "message"),
    [
        ("identify", {"identifiers": {"id": ""}}, "identifiers.id", "must not be empty"),
        ("track", {"identifiers": {"id": "42"}}, "name", "is required"),
        ("send", {"identifiers": {"id": "42"}, "transactional_message_id": 1}, "to", "is required"),
        ("broadcast", {"broadcast_id": 0}, "broadcast_id", "must be a whole number above 0"),
        ("sync", {"id": 1.5}, "id", "expected int | str, got float"),
        ("sync", b"nope", "body", "must be JSON in UTF-8, without NaN or Infinity"),
    ],
)
async def test_a_malformed_job_is_a_dead_letter_and_nothing_is_sent(
    function: Make, around: Around, kind: str, data: object, field: str, message: str
) -> None:
    assert await function(kind).push(Push(data)) == 204
    assert around.upstream.bodies == []
    expected = {"class": "invalid_job", "reason": "invalid", "field": field, "message": message}
    assert around.dead_letter() == expected


@pytest.mark.parametrize("channel", ["email", "push", "sms", "whatsapp", "inbox_message", "in_app"])
async def test_each_channel_has_its_path(function: Make, around: Around, channel: str) -> None:
    assert await function("send").push(Push(PUSHES["send"].data, {"channel": channel})) == 204
    assert around.upstream.paths == [f"/v1/send/{channel}"]


async def test_no_other_channel(function: Make, around: Around) -> None:
    assert await function("send").push(Push(PUSHES["send"].data, {"channel": "fax"})) == 204
    assert around.upstream.bodies == []
    assert around.dead_letter()["field"] == "channel"


def page(code: int) -> Answer:
    """An error page, as a proxy in front of Customer.io answers."""

    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=code, body=b"<html><h1>Forbidden</h1></html>", content_type="text/html")

    return answer


@pytest.mark.parametrize("kind", ["identify", "track", "sync"])
@pytest.mark.parametrize("code", [402, 403, 404, 405])
async def test_an_account_that_is_turned_away_empties_no_topic_into_dead_letters(
    function: Make, around: Around, capsys: pytest.CaptureFixture[str], kind: str, code: int
) -> None:
    around.upstream.then(status(code, COMPLAINT))
    assert await function(kind).push(PUSHES[kind]) == 503
    assert around.pubsub.published == []
    [line] = lines(capsys.readouterr().out)
    assert (line["severity"], line["reason"], line["status"]) == ("CRITICAL", "account_refused", code)


@pytest.mark.parametrize("kind", ["send", "broadcast"])
@pytest.mark.parametrize("code", [402, 403, 404, 405])
async def test_an_error_page_is_no_answer_about_the_job(function: Make, around: Around, kind: str, code: int) -> None:
    around.upstream.then(page(code))
    assert await function(kind).push(PUSHES[kind]) == 503
    assert around.pubsub.published == []


@pytest.mark.parametrize("kind", ["send", "broadcast"])
@pytest.mark.parametrize("code", [403, 404])
async def test_customerios_own_words_about_one_send_are(function: Make, around: Around, kind: str, code: int) -> None:
    around.upstream.then(status(code, {"meta": {"error": "no such message"}}))
    assert await function(kind).push(PUSHES[kind]) == 204
    assert around.dead_letter()["class"] == "rejected"
