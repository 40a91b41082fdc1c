"""Jobs of the track topic: events, pages, screens and delivery metrics; accepted, refused, limits."""

from functools import partial
from typing import Any

import pytest

from shared.jobs import TrackOperation, is_ulid, job_ulid, parse
from tests.jobs.job_helpers import NOW, encoded, padded, refusal

parse_track = partial(parse, "track")

ULID = "01J9ZZZZZZ0123456789ABCDEF"
OTHER_ULID = "01J9ZZZZZZ0123456789ABCDEG"
BOUGHT = {"identifiers": {"id": "42"}, "name": "bought"}
OPENED = {"type": "delivery", "identifiers": {"id": "dgOq6QU"}, "name": "opened"}
METRICS = "must be one of opened, converted, delivered"
ONE_OF = "must have exactly one of id, email, phone, cio_id, anonymous_id; it has"
NOT_WHOLE = "must be unix seconds as a whole number, not "

ACCEPTED: dict[str, tuple[dict[str, Any], str]] = {
    "event by default": (BOUGHT, "id:42"),
    "event": (
        {
            "type": "person",
            "action": "event",
            "identifiers": {"email": "Ada@example.com"},
            "name": "bought",
            "id": ULID,
            "timestamp": NOW,
            "attributes": {"total": 9.5, "items": [{"sku": "a"}], "recipient": "b@example.com", "none": None},
        },
        "email:ada@example.com",
    ),
    "page": ({**BOUGHT, "action": "page", "name": "https://example.com/pricing"}, "id:42"),
    "screen": ({**BOUGHT, "action": "screen"}, "id:42"),
    "by phone": ({**BOUGHT, "identifiers": {"phone": "+4915112345678"}}, "phone:+4915112345678"),
    "by cio_id": ({**BOUGHT, "identifiers": {"cio_id": "a3000001"}}, "cio_id:a3000001"),
    "anonymous": ({**BOUGHT, "identifiers": {"anonymous_id": "cookie-1"}}, "anonymous_id:cookie-1"),
    "unknown fields": ({**BOUGHT, "cio_new": {"a": [1.5, "é"]}}, "id:42"),
    "values as long as the item allows": ({**BOUGHT, "attributes": {"text": "x" * 20_000}}, "id:42"),
}
DELIVERIES: dict[str, dict[str, Any]] = {
    "opened": OPENED,
    "converted": {**OPENED, "name": "converted", "action": "event"},
    "delivered": {**OPENED, "name": "delivered", "timestamp": NOW, "attributes": {"device_token": "t"}},
    "unknown fields": {**OPENED, "cio_new": 1},
}


@pytest.mark.parametrize(("body", "person"), ACCEPTED.values(), ids=ACCEPTED)
def test_events_leave_as_they_came(body: dict[str, Any], person: str) -> None:
    complete = {"type": "person", "action": "event", **body}
    assert parse_track(encoded(body)) == TrackOperation(person, complete, complete["action"], ordered=False)


@pytest.mark.parametrize("body", DELIVERIES.values(), ids=DELIVERIES)
def test_what_became_of_a_delivery_leaves_as_it_came(body: dict[str, Any]) -> None:
    expected = TrackOperation("delivery:dgOq6QU", {"action": "event", **body}, "event", ordered=False)
    assert parse_track(encoded(body)) == expected


def test_the_anonymous_id_of_track_v1_is_adopted() -> None:
    body = {"anonymous_id": "cookie-1", "name": "bought"}
    assert parse_track(encoded(body)).body["identifiers"] == {"anonymous_id": "cookie-1"}
    assert "anonymous_id" not in parse_track(encoded(body)).body


@pytest.mark.parametrize("name", ["id", "anonymous_id"])
def test_ids_that_are_numbers_leave_as_text(name: str) -> None:
    assert parse_track(encoded({**BOUGHT, "identifiers": {name: 42}})).body["identifiers"] == {name: "42"}


def with_defaults(data: bytes) -> TrackOperation:
    return parse_track(data).with_event_defaults(event_id=ULID, occurred_at=NOW)


def complete(body: dict[str, Any]) -> dict[str, Any]:
    return with_defaults(encoded(body)).body


def test_an_event_gets_the_id_and_the_time_that_it_does_not_name() -> None:
    body = complete(BOUGHT)
    assert (body["id"], body["timestamp"]) == (ULID, NOW)
    assert complete({**BOUGHT, "id": None, "timestamp": None}) == body
    assert complete({**BOUGHT, "id": ""}) == body
    own = complete({**BOUGHT, "id": OTHER_ULID, "timestamp": NOW - 9})
    assert (own["id"], own["timestamp"]) == (OTHER_ULID, NOW - 9)


def test_a_deliverys_report_gets_a_time_and_no_id() -> None:
    body = complete(OPENED)
    assert body["timestamp"] == NOW
    assert "id" not in body


def test_defaults_leave_the_operation_as_it_was() -> None:
    operation = parse_track(encoded(BOUGHT))
    operation.with_event_defaults(event_id=ULID, occurred_at=NOW)
    assert operation == parse_track(encoded(BOUGHT))


def test_its_own_id_stays_and_becomes_a_ulid_if_it_is_none() -> None:
    given = {text: parse_track(encoded({**BOUGHT, "id": text})).body["id"] for text in (ULID, "order-7")}
    assert given == {ULID: ULID, "order-7": job_ulid("order-7", None)}
    assert is_ulid(given["order-7"])


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"{", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        ({}, "identifiers", "is required"),
        ({"identifiers": {"id": "1"}}, "name", "is required"),
        ({**BOUGHT, "name": None}, "name", "expected str, got null"),
        ({**BOUGHT, "name": 5}, "name", "expected str, got int"),
        ({**BOUGHT, "name": "  "}, "name", "must not be empty"),
        ({**OPENED, "name": ""}, "name", METRICS),
        ({**OPENED, "name": "clicked"}, "name", METRICS),
        ({**OPENED, "name": "Opened"}, "name", METRICS),
        ({**OPENED, "name": 7}, "name", "expected str, got int"),
        ({**BOUGHT, "identifiers": {"phone": "0151"}}, "identifiers.phone", "must be E.164: + and up to 15 digits"),
        ({**BOUGHT, "identifiers": {}}, "identifiers", f"{ONE_OF} 0"),
        ({**BOUGHT, "identifiers": {"id": "1", "anonymous_id": "2"}}, "identifiers", f"{ONE_OF} 2"),
        ({**BOUGHT, "identifiers": {"anonymous_id": " "}}, "identifiers.anonymous_id", "must not be empty"),
        ({**BOUGHT, "id": 7}, "id", "expected str | null, got int"),
        ({**BOUGHT, "attributes": [1]}, "attributes", "expected object | null, got array"),
        ({**BOUGHT, "data": {"total": 1}}, "data", "is Track v1's name; Track v2 calls it attributes"),
        (
            {**BOUGHT, "action": "identify"},
            "action",
            "must be one of event, page, screen; other actions go to the identify topic",
        ),
        (
            {**BOUGHT, "action": {"a": 1}},
            "action",
            "must be one of event, page, screen; other actions go to the identify topic",
        ),
        ({**OPENED, "action": "page"}, "action", "is not one of the documented values"),
        (
            {**BOUGHT, "type": "object"},
            "type",
            "must be one of person, delivery; people and objects go to the identify topic",
        ),
        (
            {**BOUGHT, "type": {"a": 1}},
            "type",
            "must be one of person, delivery; people and objects go to the identify topic",
        ),
        ({**OPENED, "identifiers": {}}, "identifiers.id", "is required"),
        ({**OPENED, "identifiers": {"id": ""}}, "identifiers.id", "must not be empty"),
        ({**OPENED, "identifiers": {"id": 7}}, "identifiers.id", "expected str, got int"),
        ({**BOUGHT, "timestamp": NOW * 1000}, "timestamp", "must be unix seconds; this looks like milliseconds"),
        ({**OPENED, "timestamp": NOW * 1000}, "timestamp", "must be unix seconds; this looks like milliseconds"),
        ({**BOUGHT, "timestamp": 999_999_999}, "timestamp", "must be unix seconds after 999999999"),
        ({**BOUGHT, "timestamp": float(NOW)}, "timestamp", f"{NOT_WHOLE}a decimal number"),
        ({**BOUGHT, "timestamp": str(NOW)}, "timestamp", f"{NOT_WHOLE}a string"),
        ({**OPENED, "timestamp": {}}, "timestamp", f"{NOT_WHOLE}an object"),
    ],
)
def test_what_can_never_succeed_is_refused(body: object, field: str, problem: str) -> None:
    assert refusal(parse_track, body) == (field, problem)


@pytest.mark.parametrize("action", ["event", "page", "screen"])
@pytest.mark.parametrize("name", ["x" * 100, "語" * 33 + "x"])
def test_names_are_limited_in_bytes(action: str, name: str) -> None:
    body = {**BOUGHT, "action": action}
    assert parse_track(encoded({**body, "name": name})).body["name"] == name
    assert refusal(parse_track, {**body, "name": name + "x"}) == ("name", "must be at most 100 bytes; it has 101")


@pytest.mark.parametrize(
    ("body", "name"), [(BOUGHT, "id"), (BOUGHT, "anonymous_id"), (OPENED, "id")], ids=["id", "anonymous", "delivery"]
)
def test_ids_are_limited_in_bytes(body: dict[str, Any], name: str) -> None:
    parse_track(encoded({**body, "identifiers": {name: "語" * 50}}))
    expected = (f"identifiers.{name}", "must be at most 150 bytes; it has 151")
    assert refusal(parse_track, {**body, "identifiers": {name: "語" * 50 + "x"}}) == expected


def test_an_item_has_32_kb_with_what_is_added_to_it() -> None:
    whole: dict[str, Any] = {"type": "person", "action": "event", **BOUGHT, "attributes": {}}
    added = len(f',"id":"{ULID}","timestamp":{NOW}')
    longest = padded(whole, 32 * 1024 - added, "attributes")
    assert with_defaults(longest).body["id"] == ULID
    one_more = padded({**whole, "attributes": {}}, 32 * 1024 - added + 1, "attributes")
    parse_track(one_more)
    expected = ("body", "must be at most 32768 bytes; it has 32769")
    assert refusal(with_defaults, one_more) == expected
