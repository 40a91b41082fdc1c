"""The webhook endpoint with keys that change and parts that break, which the process of the other tests cannot show."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from shared.customerio.signature import sign
from shared.handlers.signing_keys import SigningKeys
from shared.handlers.webhook import WebhookEndpoint, endpoint
from shared.outcome import Failed
from shared.pubsub.message import PushMessage
from shared.pubsub.topic import TopicPublisher
from shared.settings import Settings, SettingsError
from shared.telemetry import Telemetry
from tests.payloads import BODY, TIMESTAMP
from tests.webhook.conftest import CONSENT, DEAD_LETTERS, EVENTS, PROJECT, FakePubSub
from tests.webhook.fakes import Clock, FakeSecret

if TYPE_CHECKING:
    from collections.abc import Iterator


class BrokenQuarantine:
    async def put(self, delivery: PushMessage, failure: Failed) -> None:
        del failure
        raise RuntimeError(delivery.data.decode())


class Receiver:
    """The endpoint behind an HTTP client."""

    def __init__(self, *keys: str, max_age: float | None = None) -> None:
        self.secret = FakeSecret(*keys)
        self.clock = Clock()
        self.endpoint = WebhookEndpoint(
            SigningKeys(self.secret, now=self.clock),
            TopicPublisher(EVENTS, timeout=3.0),
            TopicPublisher(CONSENT, timeout=3.0),
            BrokenQuarantine(),
            Telemetry("webhook", "", PROJECT),
            max_age=max_age,
        )
        app = Starlette(routes=[Route("/", self.endpoint.__call__, methods=["POST"])])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook")

    async def post(self, key: str, *, body: bytes = BODY, timestamp: str = TIMESTAMP) -> int:
        headers = {"X-CIO-Timestamp": timestamp, "X-CIO-Signature": sign(key, timestamp, body)}
        status = (await self.client.post("/", content=body, headers=headers)).status_code
        await asyncio.sleep(0)  # log lines of one turn of the loop are written in the next
        return status


@pytest.fixture(autouse=True)
def publishes_to_the_fake(pubsub: FakePubSub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)


async def test_a_rotation_needs_no_gap_and_no_restart() -> None:
    receiver = Receiver("old")
    assert await receiver.post("old") == 200
    receiver.secret.current = ("new", "old")
    receiver.clock.now += 10
    assert await asyncio.gather(*(receiver.post(key) for key in ("new", "old") * 5)) == [200] * 10
    receiver.secret.current = ("new",)
    receiver.clock.now += 61
    await receiver.post("new")
    assert await receiver.post("old") == 401


async def test_strangers_do_not_cause_reads_of_the_secret(pubsub: FakePubSub) -> None:
    receiver = Receiver("key")
    for headers in ({}, {"X-CIO-Timestamp": "x"}, {"X-CIO-Timestamp": "1", "X-CIO-Signature": "0" * 63}):
        assert (await receiver.client.post("/", content=BODY, headers=headers)).status_code == 401
    assert receiver.secret.reads == 0
    assert {await receiver.post("stranger") for _ in range(100)} == {401}
    assert receiver.secret.reads == 1
    assert pubsub.published == []


async def test_without_a_readable_key_nothing_is_lost() -> None:
    receiver = Receiver()
    assert await receiver.post("key") == 503
    receiver.secret.current = ("key",)
    receiver.clock.now += 5
    assert await receiver.post("key") == 200


async def test_a_secret_that_does_not_answer_is_503_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver("key")
    receiver.secret.slow = asyncio.Event()
    with monkeypatch.context() as shorter:
        shorter.setattr("shared.deadlines.WEBHOOK_ANSWER_SECONDS", 0.1)
        assert await receiver.post("key") == 503
    receiver.secret.slow.set()
    assert await receiver.post("key") == 200


async def test_an_old_timestamp_is_refused_where_a_limit_is_set() -> None:
    now = str(int(time.time()))
    receiver = Receiver("key", max_age=300)
    assert await receiver.post("key", timestamp=now) == 200
    assert await receiver.post("key", timestamp=TIMESTAMP) == 401


async def test_an_old_timestamp_is_refused_with_a_key_that_is_new_to_us_too() -> None:
    receiver = Receiver("old", max_age=300)
    await receiver.post("old", timestamp=str(int(time.time())))
    receiver.secret.current = ("new", "old")
    receiver.clock.now += 10
    assert await receiver.post("new", timestamp=TIMESTAMP) == 401
    assert await receiver.post("new", timestamp=str(int(time.time()))) == 200


@pytest.mark.parametrize(("metric", "logged"), [("bounced", "bounced"), ("ada@example.com", "other"), ("x y", "other")])
async def test_only_a_plain_word_of_an_event_reaches_the_log(
    capsys: pytest.CaptureFixture[str], metric: str, logged: str
) -> None:
    body = json.dumps({"event_id": "01J", "object_type": "email", "metric": metric}).encode()
    assert await Receiver("key").post("key", body=body) == 200
    line = json.loads(capsys.readouterr().out)
    assert (line["outcome"], line["reason"]) == ("published", logged)


async def test_a_fault_of_ours_is_503_and_its_text_stays_out_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert await Receiver("key").post("key", body=b"ada@example.com") == 503
    log = capsys.readouterr().out
    assert "RuntimeError" in log
    assert "ada" not in log


async def test_a_caller_that_hangs_up_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    await Receiver("key").endpoint(request)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("max_age", ["0", "-1", "soon", "inf"])
def test_a_wrong_setting_stops_the_start(max_age: str) -> None:
    environment = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "EVENTS_TOPIC": EVENTS,
        "CONSENT_TOPIC": CONSENT,
        "DEAD_LETTER_TOPIC": DEAD_LETTERS,
        "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "key",
    }
    endpoint(read := Settings.from_environment("webhook", environment | {"CUSTOMERIO_WEBHOOK_MAX_AGE": "300"}))
    assert read.webhook_max_age == 300
    with pytest.raises(SettingsError, match="CUSTOMERIO_WEBHOOK_MAX_AGE"):
        Settings.from_environment("webhook", environment | {"CUSTOMERIO_WEBHOOK_MAX_AGE": max_age})
    for name in environment:
        with pytest.raises(SettingsError, match=name):
            Settings.from_environment("webhook", {key: value for key, value in environment.items() if key != name})
