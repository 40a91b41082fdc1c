"""Consent as Customer.io reports it, whichever webhook brings it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.consent import consent_attributes, consents
from shared.events import NotAnEventError, read_event
from tests.payloads import SAMPLES

NOW = datetime(2026, 5, 1, tzinfo=UTC)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def read(metric: str, object_type: str = "email", **data: Any) -> list[tuple[str | None, str | None, bool]]:
    event = {"event_id": "E", "metric": metric, "object_type": object_type, "data": {"customer_id": "42", **data}}
    found = consents(read_event(json.dumps(event).encode()), NOW)
    assert all((each.id, each.source, each.at) == ("42", metric, NOW.isoformat()) for each in found)
    return [(each.channel, each.topic, each.wanted) for each in found]


@pytest.mark.parametrize("object_type", ["customer", "email", "sms", "push"])
def test_a_subscription_is_everything_wherever_it_was_ended(object_type: str) -> None:
    assert read("unsubscribed", object_type) == [(None, None, False)]
    assert read("subscribed", object_type) == [(None, None, True)]


def test_a_complaint_ends_emails() -> None:
    assert read("spammed") == [("email", None, False)]


@pytest.mark.parametrize(
    ("message", "is_hard"),
    [
        ("550 5.5.0 Requested action not taken: mailbox unavailable", True),
        ("5.1.1 no such user", True),
        ("smtp 554 rejected", True),
        ("421 try again later, 550 of you wait", False),
        ("452 4.2.2 mailbox full", False),
        ("Something went wrong!", False),
        ("5500 is no reply code", False),
        (None, False),
    ],
)
def test_a_bounce_ends_emails_where_it_is_for_good(message: str | None, is_hard: bool) -> None:
    assert read("bounced", failure_message=message) == ([("email", None, False)] if is_hard else [])


def test_preferences_are_one_change_for_each_choice() -> None:
    content = {"topics": {"topic_1": True, "topic_2": False, "odd": "yes"}, "channels": {"push": False}, "more": 1}
    expected = [(None, "topic_1", True), (None, "topic_2", False), ("push", None, False)]
    assert read("cio_subscription_preferences_changed", "customer", content=json.dumps(content)) == expected
    assert read("cio_subscription_preferences_changed", "customer", content=content) == expected


@pytest.mark.parametrize("content", [None, "", "{", "[]", "1", '{"topics": []}', [], {"topics": {"topic_1": None}}])
def test_preferences_that_do_not_say_what_changed_are_no_change(content: Any) -> None:
    assert read("cio_subscription_preferences_changed", "customer", content=content) == []


@given(st.dictionaries(st.sampled_from(["identifiers", "content", "customer_id", "email_address"]), values))
def test_whatever_an_event_holds_reading_it_does_not_fail(data: dict[str, Any]) -> None:
    for metric in ("unsubscribed", "cio_subscription_preferences_changed", "spammed", "bounced"):
        event = read_event(json.dumps({"event_id": "E", "metric": metric, "data": data}).encode())
        for change in consents(event, NOW):
            assert all(isinstance(value, str) and value.isascii() for value in consent_attributes(change).values())


def test_every_other_event_is_no_change_of_consent() -> None:
    told = {"subscribed", "unsubscribed", "spammed", "bounced"}
    for sample in SAMPLES:
        try:
            event = read_event(json.dumps(sample["payload"]).encode())
        except NotAnEventError:
            continue
        if event.metric not in told:
            assert consents(event, NOW) == []
