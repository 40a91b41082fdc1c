import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pubsub.message import NotAnEnvelopeError, PushMessage, read_push

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
        data=DATA,
        attributes={"job_id": "01J", "channel": "sms"},
        first_published_at=datetime(2026, 5, 1, 12, 0, 0, 123000, UTC),
        lane="main",
        attempt=3,
        ordering_key="id:42",
    )
    assert delivery.has_own_key


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


def test_the_key_survives_forwarding_to_the_retry_lane() -> None:
    forwarded = {
        "data": ENCODED,
        "messageId": "another",
        "publishTime": "2026-05-01T13:59:59.999Z",
        "attributes": {
            "CloudPubSubDeadLetterSourceSubscription": "cio-identify",
            "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-05-01T12:00:00.123000+00:00",
        },
    }
    delivery = read_push(push(forwarded))
    assert delivery.lane == "retry"
    assert delivery.key == read_push(push(wrapped())).key
    assert delivery.first_published_at == datetime(2026, 5, 1, 12, 0, 0, 123000, UTC)


def test_other_data_or_another_time_is_another_key() -> None:
    keys = {
        read_push(push(wrapped())).key,
        read_push(push(wrapped(data=base64.b64encode(b"{}").decode()))).key,
        read_push(push(wrapped(publishTime="2026-05-01T12:00:00.124Z"))).key,
    }
    assert len(keys) == 3


def test_without_a_publish_time_the_message_id_tells_jobs_apart() -> None:
    assert (
        read_push(push({"data": ENCODED, "messageId": "1"})).key
        != read_push(push({"data": ENCODED, "messageId": "2"})).key
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"message": null}', b'{"message": []}', b'{"message": {"data": "@"}}', b"\xff\xfe"],
)
def test_what_is_no_push_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(NotAnEnvelopeError, match="not a Pub/Sub push"):
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
    except NotAnEnvelopeError as error:
        assert "canary" not in str(error)


FIELDS = ["data", "attributes", "messageId", "message_id", "publishTime", "publish_time", "orderingKey"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.just(ENCODED) | st.just("canary")), JSON)
def test_nothing_but_a_refusal_comes_out_of_any_message(message: dict[str, Any], attempt: Any) -> None:
    try:
        read_push(push(message, deliveryAttempt=attempt))
    except NotAnEnvelopeError as error:
        assert "canary" not in str(error)


@given(st.integers(0, 4102444800000))
def test_the_instant_is_read_alike_in_every_precision(milliseconds: int) -> None:
    instant = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    spellings = [
        instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        instant.isoformat(timespec="microseconds"),
        instant.isoformat(timespec="microseconds").replace("+00:00", "000Z"),
    ]
    assert len({read_push(push(wrapped(publishTime=text))).key for text in spellings}) == 1


def test_a_replay_keeps_the_key_and_the_time_of_a_job_that_nobody_named() -> None:
    first = read_push(push(wrapped()))
    attributes = {"job_id": first.key, "first_publish_time": first.first_published_at.isoformat()}
    replayed = read_push(push({"data": ENCODED, "publishTime": "2026-05-20T08:00:00Z", "attributes": attributes}))
    assert (replayed.key, replayed.first_published_at) == (first.key, first.first_published_at)
    assert not replayed.has_own_key
    assert not first.has_own_key
