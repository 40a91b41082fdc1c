import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.attributes import republished
from shared.pubsub.message import NotAPushError, PushMessage, read_push

DATA = b'{"identifiers": {"id": "42"}}'
ENCODED = base64.b64encode(DATA).decode()
PUBLISHED = "2026-05-01T12:00:00.123Z"


def push(message: dict[str, Any], **rest: Any) -> bytes:
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s", **rest}).encode()


def wrapped(**rest: Any) -> dict[str, Any]:
    return {"data": ENCODED, "messageId": "7", "publishTime": PUBLISHED, **rest}


def test_a_push_as_pubsub_sends_it() -> None:
    message = wrapped(attributes={"job_id": "01J", "channel": "sms"}, orderingKey="id:42")
    delivery = read_push(push(message, deliveryAttempt=3))
    assert delivery == PushMessage(
        key="01J",
        is_named=True,
        data=DATA,
        attributes={"job_id": "01J", "channel": "sms"},
        first_published_at=datetime(2026, 5, 1, 12, 0, 0, 123000, UTC),
        message_id="7",
        subscription="s",
        lane="main",
        attempt=3,
        ordering_key="id:42",
    )


@pytest.mark.parametrize(
    "body",
    [
        push({"data": ENCODED, "message_id": "7", "publish_time": PUBLISHED}),
        push({**wrapped(), "message_id": "7", "publish_time": PUBLISHED, "attributes": None}),
        json.dumps({"specversion": "1.0", "type": "t", "data": {"message": wrapped(), "subscription": "s"}}).encode(),
        json.dumps({"message": wrapped()}).encode(),
    ],
    ids=["emulator", "both spellings", "cloudevent, structured", "no subscription"],
)
def test_every_form_is_the_same_job(body: bytes) -> None:
    delivery = read_push(body)
    assert (delivery.data, delivery.attempt, delivery.lane) == (DATA, None, "main")
    assert delivery.key == read_push(push(wrapped())).key


def test_a_job_that_nobody_named_has_its_message_id_as_key() -> None:
    same_instant = [read_push(push(wrapped(messageId=number))) for number in ("7", "8")]
    assert [message.key for message in same_instant] == ["7", "8"]
    assert not any(message.is_named for message in same_instant)


FORWARDED = {
    "CloudPubSubDeadLetterSourceSubscription": "cio-identify",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-05-01T12:00:00.123456+00:00",
}


def test_a_message_that_pubsub_forwarded_lost_its_id_and_is_known_by_its_data_and_time() -> None:
    def forwarded(attributes: dict[str, str], **rest: Any) -> PushMessage:
        return read_push(push(wrapped(attributes=attributes, **rest)))

    first = forwarded(FORWARDED, messageId="another", publishTime="2026-05-01T13:59:59.999Z")
    assert first.lane == "retry"
    assert first.first_published_at == datetime(2026, 5, 1, 12, 0, 0, 123456, UTC)
    assert first.key == forwarded(FORWARDED, messageId="a third").key
    other_time = {**FORWARDED, "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-05-01T12:00:00.124+00:00"}
    others = {forwarded(other_time).key, forwarded(FORWARDED, data=base64.b64encode(b"{}").decode()).key}
    assert len(others | {first.key}) == 3
    assert forwarded({**FORWARDED, "job_id": "mine"}).key == "mine"


def test_a_job_that_is_published_again_keeps_its_key_and_its_time() -> None:
    for attributes in ({}, {"job_id": "mine"}):
        first = read_push(push(wrapped(attributes=attributes)))
        again = wrapped(messageId="9", publishTime="2026-05-20T08:00:00Z")
        moved = read_push(push({**again, "attributes": republished(first.attributes, first.origin)}))
        assert (moved.key, moved.first_published_at, moved.is_named) == (
            first.key,
            first.first_published_at,
            bool(attributes),
        )


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"message": null}', b'{"message": []}', b'{"message": {"data": "@"}}', b"\xff\xfe"],
)
def test_what_is_no_push_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(NotAPushError, match="not a Pub/Sub push"):
        read_push(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | st.builds(lambda v: json.dumps(v).encode(), JSON))
def test_nothing_but_a_refusal_comes_out_of_any_body(body: bytes) -> None:
    try:
        read_push(body)
    except NotAPushError as error:
        assert "canary" not in str(error)


FIELDS = ["data", "attributes", "messageId", "message_id", "publishTime", "publish_time", "orderingKey"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.just(ENCODED) | st.just("canary")), JSON)
def test_nothing_but_a_refusal_comes_out_of_any_message(message: dict[str, Any], attempt: Any) -> None:
    try:
        read_push(push(message, deliveryAttempt=attempt))
    except NotAPushError as error:
        assert "canary" not in str(error)


@given(st.integers(0, 4102444800000))
def test_the_instant_is_read_alike_in_every_precision(milliseconds: int) -> None:
    instant = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    spellings = [
        instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        instant.isoformat(timespec="microseconds"),
        instant.isoformat(timespec="microseconds").replace("+00:00", "000Z"),
    ]
    keys = {
        read_push(push(wrapped(attributes={**FORWARDED, "CloudPubSubDeadLetterSourceTopicPublishTime": text}))).key
        for text in spellings
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    "body", [b'{"message":{"data":"canary!"}}', b'{"message":{"attributes":{"a":"\xff"}}}', b"[" * 100_000]
)
def test_no_part_of_a_body_stands_in_the_traceback_of_its_refusal(body: bytes) -> None:
    with pytest.raises(NotAPushError) as caught:
        read_push(body)
    assert caught.value.__suppress_context__
