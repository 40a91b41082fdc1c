import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.events import NotAnEventError, event_attributes, event_row, read_event, row_id, to_row
from tests.payloads import SAMPLES

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def body(**fields: Any) -> bytes:
    return json.dumps({"event_id": "e1", "metric": "sent", "object_type": "email"} | fields).encode()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["name"])
def test_every_known_payload_is_an_event(sample: dict[str, Any]) -> None:
    payload = sample["payload"]
    event = read_event(json.dumps(payload).encode())
    assert (event.event_id, event.metric, event.object_type) == (
        payload["event_id"],
        payload["metric"],
        payload["object_type"],
    )
    assert event.time == datetime.fromtimestamp(int(payload["timestamp"]), UTC)
    assert event.person == f"id:{payload['data']['identifiers']['id']}"


def test_object_type_under_its_other_name_or_missing() -> None:
    changed = {"event_id": "e1", "metric": "cio_subscription_preferences_changed", "timestamp": 1, "data": {}}
    assert read_event(json.dumps(changed | {"object_type_type": "email"}).encode()).object_type == "email"
    assert read_event(json.dumps(changed).encode()).object_type == ""


@pytest.mark.parametrize(
    ("event_type", "object_type", "metric"),
    [
        ("email_sent", "email", "sent"),
        ("in_app_opened", "in_app", "opened"),
        ("customer_cio_subscription_preferences_changed", "customer", "cio_subscription_preferences_changed"),
        ("pinged", "", "pinged"),
    ],
)
def test_legacy_shape(event_type: str, object_type: str, metric: str) -> None:
    raw = json.dumps(
        {"event_type": event_type, "event_id": "e1", "timestamp": 1585250199, "data": {"campaign_id": "7"}}
    ).encode()
    event = read_event(raw)
    assert (event.object_type, event.metric) == (object_type, metric)
    assert to_row(raw, NOW)["campaign_id"] == 7


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1585250199, "2020-03-26T19:16:39+00:00"),
        ("1585250199", "2020-03-26T19:16:39+00:00"),
        (1585250199.5, "2020-03-26T19:16:39.500000+00:00"),
        (1585250199000, None),
        ("yesterday", None),
        (True, None),
        (None, None),
        ([1], None),
        ("nan", None),
    ],
)
def test_timestamps(timestamp: Any, expected: str | None) -> None:
    assert to_row(body(timestamp=timestamp), NOW).get("event_time") == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{}",
        b'{"event_id":"e1"}',
        b'{"metric":"sent"}',
        b'{"event_id":"","metric":"sent"}',
        b'{"event_id":"e1","metric":""}',
        b'{"event_id":{},"metric":"sent"}',
        b'{"event_id":"e1","metric":["sent"]}',
        b'{"event_id":"e1","metric":"sent","data":NaN}',
        b'{"event_id":"\xff","metric":"sent"}',
        b"[" * 100_000,
    ],
    ids=lambda raw: raw[:40].decode(errors="replace"),
)
def test_what_is_no_event(raw: bytes) -> None:
    with pytest.raises(NotAnEventError):
        read_event(raw)


def test_an_error_does_not_quote_the_body() -> None:
    with pytest.raises(NotAnEventError) as caught:
        read_event(b'{"event_id": "ada@example.com", ')
    assert "ada" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_attributes_that_subscriptions_filter_on() -> None:
    data = {"campaign_id": 7, "newsletter_id": "8", "broadcast_id": 9, "transactional_message_id": 44, "action_id": 1}
    assert event_attributes(read_event(body(data=data))) == {
        "event_id": "e1",
        "object_type": "email",
        "metric": "sent",
        "campaign_id": "7",
        "newsletter_id": "8",
        "broadcast_id": "9",
        "transactional_message_id": "44",
    }


def test_values_that_are_no_attribute_are_left_out() -> None:
    event = read_event(body(object_type="é-mail", data={"campaign_id": "7" * 1025, "newsletter_id": "a\nb"}))
    assert event_attributes(event) == {"event_id": "e1", "metric": "sent"}


def test_values_that_do_not_fit_a_column_stay_in_raw_alone() -> None:
    data = {
        "campaign_id": "seven",
        "action_id": 2**63,
        "newsletter_id": 1.5,
        "machine": "maybe",
        "subject": ["a"],
        "recipients": ["x", {}, {"device_id": "tok", "more": 1}],
    }
    row = to_row(body(data=data), NOW)
    assert row.keys().isdisjoint({"campaign_id", "action_id", "newsletter_id", "machine", "subject"})
    assert row["recipients"] == [{"device_id": "tok"}]
    assert json.loads(row["raw"])["data"] == data


def test_a_row_says_when_it_was_received_and_keeps_the_body_as_it_came() -> None:
    raw = b' {"metric":"sent",   "event_id":"e1"} '
    row = to_row(raw, NOW)
    assert row == {
        "event_id": "e1",
        "metric": "sent",
        "received_at": "2026-01-02T03:04:05.000678+00:00",
        "raw": raw.decode(),
    }


def test_the_same_body_is_the_same_row_and_another_body_is_not() -> None:
    assert row_id(body()) == row_id(body())
    assert row_id(body()) != row_id(body(timestamp=1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        *("event_id", "metric", "object_type", "object_type_type", "event_type", "timestamp", "data", "delivery_id"),
        *("campaign_id", "link_id", "machine", "recipients", "identifiers", "subject", "to", "id", "email", "cio_id"),
    ]
)
objects = st.dictionaries(names, json_values, max_size=5)
nearly_events = st.dictionaries(names, json_values | objects | st.lists(objects, max_size=2), max_size=6)


@settings(deadline=None)  # how long it takes is up to the machine
@given(st.binary() | nearly_events.map(lambda fields: json.dumps(fields).encode()))
@example(b'{"event_id":"e","metric":"m","timestamp":' + b"9" * 400 + b"}")
@example(b'{"event_id":"e","metric":"m","data":{"campaign_id":"' + b"9" * 5000 + b'"}}')
@example(b'{"event_id":"e","metric":"m","data":{"campaign_id":"1e9999","action_id":1e300}}')
@example(b'{"event_id":"e","metric":"\\ud800"}')
def test_reading_any_body_gives_an_event_or_not_an_event(raw: bytes) -> None:
    try:
        event = read_event(raw)
    except NotAnEventError:
        return
    attributes = event_attributes(event)
    assert all(value.isascii() and 0 < len(value) <= 1024 for value in attributes.values())
    row = event_row(event, raw, NOW)
    assert row["event_id"]
    assert row["metric"]
    assert json.loads(json.dumps(row)) == row


@settings(deadline=None)  # how long it takes is up to the machine
@given(nearly_events)
def test_whatever_else_an_event_holds_it_is_one(fields: dict[str, Any]) -> None:
    assert read_event(json.dumps(fields | {"event_id": "e1", "metric": "sent"}).encode()).event_id == "e1"
