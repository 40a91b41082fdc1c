"""When a function asks for a pause: at once where a person has to act, after a minute where nothing gets through."""

import json
from collections.abc import Mapping

import pytest

from shared import control_message
from shared.control_message import PauseRequest, Tick
from shared.errors import InvalidJob
from shared.outcome import Done, Failed, Outcome, Retry
from shared.pubsub.pause_requests import PauseRequests
from shared.pubsub.topic import PublishError, TopicPublisher
from shared.telemetry import Telemetry

REFUSED = Retry(status=503, reason="credentials_refused", needs_operator=True)
DOWN = Retry(status=503, reason="server_error", is_outage=True)


class Asked(TopicPublisher):
    """Keeps what is published, or refuses it."""

    def __init__(self) -> None:
        super().__init__("projects/p/topics/cio-control", timeout=1.0)
        self.reasons: list[str] = []
        self.is_away = False

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        assert attributes == {}
        if self.is_away:
            raise PublishError("projects/p/topics/cio-control: ServiceUnavailable")
        request = control_message.decode(data)
        assert isinstance(request, PauseRequest)
        assert request.kind == "send"
        self.reasons.append(request.reason)
        return "1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def asked(*steps: tuple[float, Outcome], time_scale: float = 1.0) -> list[str]:
    """Reasons for which a pause was asked, after outcomes at these seconds."""
    topic, clock = Asked(), Clock()
    requests = PauseRequests(topic, "send", Telemetry("send", "send", "p"), time_scale=time_scale, now=clock)
    for seconds, outcome in steps:
        clock.now = 1000.0 + seconds
        await requests.observe(outcome)
    return topic.reasons


async def test_what_needs_an_operator_asks_at_once_and_then_no_more_often_than_twice_a_minute() -> None:
    assert await asked(*((second, REFUSED) for second in range(60))) == ["credentials_refused"] * 2


async def test_an_outage_asks_after_a_minute_without_a_success() -> None:
    assert await asked((0, DOWN), (30, DOWN), (59.9, DOWN)) == []
    assert await asked((0, DOWN), (60, DOWN)) == ["server_error"]
    assert await asked((0, DOWN), (3, DOWN), time_scale=20) == ["server_error"]


@pytest.mark.parametrize(
    "answered", [Done(), Done(how="sent_not_recorded"), Failed(error_class="rejected", reason="x")]
)
async def test_an_answer_of_customerio_ends_the_minute(answered: Outcome) -> None:
    assert await asked((0, DOWN), (50, answered), (70, DOWN), (129, DOWN)) == []


@pytest.mark.parametrize(
    "silent",
    [
        Done(how="already_done"),
        Done(how="superseded"),
        Failed(error_class="invalid_job", reason="invalid"),
        Retry(status=429, reason="rate_limited"),
        Retry(status=503, reason="ledger_unavailable"),
    ],
)
async def test_what_says_nothing_about_customerio_neither_asks_nor_ends_the_minute(silent: Outcome) -> None:
    assert await asked(*((second, silent) for second in range(0, 300, 10))) == []
    assert await asked((0, DOWN), (30, silent), (60, DOWN)) == ["server_error"]


async def test_a_request_that_is_not_published_is_logged_and_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    topic, clock = Asked(), Clock()
    requests = PauseRequests(topic, "send", Telemetry("send", "send", "p"), now=clock)
    topic.is_away = True
    await requests.observe(REFUSED)
    line = json.loads(capsys.readouterr().out)
    assert (line["severity"], line["outcome"], line["reason"]) == (
        "ERROR",
        "pause_not_requested",
        "credentials_refused",
    )
    topic.is_away = False
    clock.now += 30
    await requests.observe(REFUSED)
    assert topic.reasons == ["credentials_refused"]


def test_messages_of_control_are_read_as_they_are_written() -> None:
    for message in (Tick(), PauseRequest("send", "server_error")):
        assert control_message.decode(control_message.encode(message)) == message
    assert control_message.decode(b'{"action":"tick"}') == Tick()
    assert control_message.decode(b'{"action":"pause","kind":"send","reason":"x"}') == PauseRequest("send", "x")


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b'{"action":"resume"}', b'{"action":"pause","kind":"send","reason":"A b"}']
)
def test_anything_else_is_refused_and_not_quoted(data: bytes) -> None:
    with pytest.raises(InvalidJob, match="must be") as raised:
        control_message.decode(data)
    assert "resume" not in str(raised.value)
