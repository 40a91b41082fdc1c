"""The webhook function under the real functions-framework, over sockets, with a Pub/Sub that records."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

import httpx
import pytest

from shared.customerio.signature import sign
from shared.handlers.webhook import MAX_EVENT_BYTES, MAX_UNSIGNED_BYTES
from tests.function_process import RunningFunction
from tests.payloads import BODY, KEY, SAMPLES, SIGNATURE, TIMESTAMP
from tests.webhook.conftest import CONSENT, DEAD_LETTERS, EVENTS, FakePubSub

LIMIT = MAX_UNSIGNED_BYTES


def headers(body: bytes, *, key: str = KEY, timestamp: str = TIMESTAMP) -> dict[str, str]:
    return {"X-CIO-Timestamp": timestamp, "X-CIO-Signature": sign(key, timestamp, body)}


def digest(message: bytes) -> str:
    return hmac.new(KEY.encode(), message, hashlib.sha256).hexdigest()


async def test_a_signed_event_is_published_as_it_came(caller: httpx.AsyncClient, pubsub: FakePubSub) -> None:
    answer = await caller.post("/", content=BODY, headers={"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": SIGNATURE})
    assert answer.status_code == 200
    [(topic, data, attributes)] = pubsub.published
    assert (topic, data) == (EVENTS, BODY)
    received_at = attributes.pop("received_at")
    assert received_at.endswith("+00:00")
    assert attributes == {
        "event_id": "01E2EMRMM6TZ12TF9WGZN0WJQT",
        "object_type": "email",
        "metric": "sent",
        "campaign_id": "23",
    }


async def test_every_known_payload_is_published(caller: httpx.AsyncClient, pubsub: FakePubSub) -> None:
    bodies = [json.dumps(sample["payload"]).encode() for sample in SAMPLES]
    answers = await asyncio.gather(*(caller.post("/hook", content=body, headers=headers(body)) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(data for topic, data, _ in pubsub.published if topic == EVENTS) == sorted(bodies)


async def test_a_change_of_consent_is_published_in_one_form_too(caller: httpx.AsyncClient, pubsub: FakePubSub) -> None:
    content = json.dumps({"topics": {"topic_1": False, "topic_2": True}})
    identifiers = {"id": "42", "email": "ada@example.com", "cio_id": "d9c1"}
    body = json.dumps(
        {
            "event_id": "E1",
            "metric": "cio_subscription_preferences_changed",
            "timestamp": 1_613_063_089,
            "data": {"identifiers": identifiers, "content": content},
        }
    ).encode()
    assert (await caller.post("/", content=body, headers=headers(body))).status_code == 200
    told = [(json.loads(data), attributes) for topic, data, attributes in pubsub.published if topic == CONSENT]
    common = {
        "event_id": "E1",
        "id": "42",
        "cio_id": "d9c1",
        "email": "ada@example.com",
        "channel": None,
        "at": "2021-02-11T17:04:49+00:00",
        "source": "cio_subscription_preferences_changed",
    }
    by_topic = sorted(told, key=lambda each: each[0]["topic"])
    assert [data for data, _ in by_topic] == [
        {**common, "topic": "topic_1", "wanted": False},
        {**common, "topic": "topic_2", "wanted": True},
    ]
    assert by_topic[0][1] == {
        "event_id": "E1",
        "source": "cio_subscription_preferences_changed",
        "wanted": "false",
        "subscription_topic": "topic_1",
    }
    assert [topic for topic, _, _ in pubsub.published].count(EVENTS) == 1


async def test_either_key_of_a_rotation_is_accepted(caller: httpx.AsyncClient, pubsub: FakePubSub) -> None:
    for key in (KEY, "a-newer-key"):
        assert (await caller.post("/", content=BODY, headers=headers(BODY, key=key))).status_code == 200
    assert len(pubsub.published) == 2


@pytest.mark.parametrize(
    ("sent", "with_headers"),
    [
        (BODY[:-2] + b"!}", headers(BODY)),
        (json.dumps(json.loads(BODY)).encode(), headers(BODY)),
        (BODY, {"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": digest(BODY)}),
        (BODY, {"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": digest(TIMESTAMP.encode() + b"." + BODY)}),
        (BODY, {"X-CIO-Timestamp": TIMESTAMP}),
        (BODY, {"X-CIO-Signature": SIGNATURE}),
        (BODY, {}),
        (b"", {}),
        (BODY, {"X-CIO-Timestamp": "1692633433", "X-CIO-Signature": SIGNATURE}),
        (BODY, {"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": "z" * 64}),
        (BODY, {"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": SIGNATURE[:40]}),
        (BODY, headers(BODY, key="somebody-else")),
    ],
    ids=[
        "flipped",
        "re-serialised",
        "body only",
        "ts.body",
        "no signature",
        "no timestamp",
        "neither",
        "empty",
        "other time",
        "not hex",
        "short",
        "other key",
    ],
)
async def test_what_nobody_signed_is_401(
    caller: httpx.AsyncClient, pubsub: FakePubSub, sent: bytes, with_headers: Mapping[str, str]
) -> None:
    answer = await caller.post("/", content=sent, headers=with_headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert pubsub.published == []


@pytest.mark.parametrize("name", ["X-CIO-Timestamp", "X-CIO-Signature"])
@pytest.mark.parametrize("value", [b"\xc3\xa9" * 32, b"\xff\xfe", b"16926334\xb2", b""])
async def test_headers_that_are_not_ascii_are_401(
    caller: httpx.AsyncClient, pubsub: FakePubSub, name: str, value: bytes
) -> None:
    signed = [(key.encode(), text.encode()) for key, text in headers(BODY).items() if key != name]
    answer = await caller.post("/", content=BODY, headers=[*signed, (name.encode(), value)])
    assert answer.status_code == 401
    assert pubsub.published == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_only_post(caller: httpx.AsyncClient, pubsub: FakePubSub, method: str) -> None:
    answer = await caller.request(method, "/", content=BODY, headers=headers(BODY))
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert pubsub.published == []


async def test_a_signed_webhook_of_several_megabytes_is_an_event(caller: httpx.AsyncClient, pubsub: FakePubSub) -> None:
    largest = BODY[:-1] + b" " * (MAX_EVENT_BYTES - len(BODY)) + b"}"
    assert (await caller.post("/", content=largest, headers=headers(largest))).status_code == 200
    assert pubsub.published[0][1] == largest


async def test_a_signed_webhook_larger_than_a_message_is_set_aside_cut_and_never_stalls_the_stream(
    caller: httpx.AsyncClient, pubsub: FakePubSub
) -> None:
    larger = BODY[:-1] + b" " * (MAX_EVENT_BYTES + 1 - len(BODY)) + b"}"
    assert (await caller.post("/", content=larger, headers=headers(larger))).status_code == 200
    [(topic, data, attributes)] = pubsub.published
    assert (topic, data) == (DEAD_LETTERS, larger[:MAX_EVENT_BYTES])
    assert (attributes["class"], attributes["reason"]) == ("not_an_event", "too_large")
    assert str(len(larger)) in attributes["message"]


async def test_a_long_body_that_cannot_be_signed_is_413_and_one_that_is_not_signed_401(
    caller: httpx.AsyncClient, pubsub: FakePubSub
) -> None:
    longer = BODY[:-1] + b" " * LIMIT + b"}"
    for body in (longer, longer * 3):  # the caller sees the answer, and no reset
        assert (await caller.post("/", content=body)).status_code == 413
    assert (await caller.post("/", content=longer, headers=headers(BODY))).status_code == 401
    assert pubsub.published == []


async def test_of_a_body_announced_as_too_long_nothing_is_read(webhook: RunningFunction) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999999\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 3)  # to the end: it closes
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()
    writer.close()


async def test_an_endless_body_is_cut_off(webhook: RunningFunction) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0

    async def send_without_end() -> None:
        nonlocal sent
        while True:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
            await asyncio.sleep(0)  # drain alone does not let the reader in

    sending = asyncio.create_task(send_without_end())
    assert (await asyncio.wait_for(reader.readline(), 3)).startswith(b"HTTP/1.1 413 ")
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(sending, 3)
    assert sent < 32 * LIMIT  # the limit, what is thrown away, and what the kernel holds on both sides
    writer.close()


async def test_a_body_that_does_not_come_is_given_up_in_time(webhook: RunningFunction) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port)
    started = time.monotonic()
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
    assert (await asyncio.wait_for(reader.readline(), 4)).startswith(b"HTTP/1.1 503 ")
    assert time.monotonic() - started < 4
    writer.close()


@pytest.mark.parametrize("sent", [b"[]", b"not json", b'{"hello":"ada@example.com"}', b"[" * 50_000])
async def test_a_signed_body_that_is_no_event_is_set_aside(
    caller: httpx.AsyncClient, pubsub: FakePubSub, sent: bytes
) -> None:
    assert (await caller.post("/", content=sent, headers=headers(sent))).status_code == 200
    [(topic, data, attributes)] = pubsub.published
    assert (topic, data) == (DEAD_LETTERS, sent)
    assert attributes["class"] == attributes["reason"] == "not_an_event"
    assert attributes["function"] == "webhook"
    assert attributes["message"]
    assert "ada" not in str(attributes)


@pytest.mark.parametrize("sent", [BODY, b"[]"], ids=["event", "no event"])
async def test_refused_by_pubsub_is_503(caller: httpx.AsyncClient, pubsub: FakePubSub, sent: bytes) -> None:
    pubsub.down = True
    assert (await caller.post("/", content=sent, headers=headers(sent))).status_code == 503


async def test_a_slow_pubsub_is_503_in_time_and_holds_nobody_else_up(
    caller: httpx.AsyncClient, pubsub: FakePubSub
) -> None:
    pubsub.delay = 6.0
    started = time.monotonic()
    waiting = asyncio.create_task(caller.post("/", content=BODY, headers=headers(BODY)))
    assert (await caller.post("/", content=BODY)).status_code == 401
    assert time.monotonic() - started < 1
    assert (await waiting).status_code == 503
    assert time.monotonic() - started < 4
    pubsub.delay = 0.0
    assert (await caller.post("/", content=BODY, headers=headers(BODY))).status_code == 200


async def test_strangers_cause_one_short_line_a_second_and_nothing_of_theirs_in_it(
    caller: httpx.AsyncClient, webhook: RunningFunction
) -> None:
    before = len(webhook.lines())
    started = time.monotonic()
    stranger = {"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": "5" * 64, "User-Agent": "secret-agent"}
    for _ in range(20):
        await asyncio.gather(
            *(caller.post("/secret-path", content=b"secret-body", headers=stranger) for _ in range(10))
        )
    seconds = time.monotonic() - started
    lines = webhook.lines()[before:]
    assert len(lines) <= seconds + 1
    assert all(len(line) < 200 and "secret" not in line and "5555" not in line for line in lines)


async def test_nothing_personal_is_ever_logged(webhook: RunningFunction) -> None:
    log = webhook.log.read_text()
    assert '"outcome":"published"' in log
    assert "@example.com" not in log
    assert KEY not in log
    assert "Traceback" not in log
    assert "fault" not in log
