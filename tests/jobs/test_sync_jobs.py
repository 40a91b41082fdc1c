"""Jobs of the sync topic: user records and deletions; accepted, refused, limits."""

from functools import partial
from typing import Any

import pytest

from shared.jobs import UserDeleted, UserRecord, parse
from tests.jobs.job_helpers import NOW, encoded, padded, refusal

parse_sync = partial(parse, "sync")

INSTANT = "must be unix seconds, or ISO 8601 with an offset"


def record(**body: Any) -> UserRecord:
    user = parse_sync(encoded({"id": "42", **body}))
    assert isinstance(user, UserRecord)
    return user


def test_a_record_becomes_attributes_of_a_person() -> None:
    user = record(
        email="ada@example.com",
        first_name="Ada",
        last_name="Lovelace",
        plan="pro",
        created_at=NOW,
        preferences={"marketing": True, "transactional": True},
        favourite={"colour": ["green", 1.5]},
        nothing=None,
    )
    assert user == UserRecord(
        subject="id:42",
        id="42",
        attributes={
            "email": "ada@example.com",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "plan": "pro",
            "created_at": NOW,
            "favourite": {"colour": ["green", 1.5]},
            "marketing_opt_in": True,
            "transactional_opt_in": True,
        },
        wants_nothing=False,
        consent={"unsubscribed": False},
        empty=("nothing",),
    )


def test_the_smallest_record() -> None:
    assert parse_sync(b'{"id": 42}') == UserRecord("id:42", "42", {}, wants_nothing=False)


@pytest.mark.parametrize(
    ("preferences", "marketing", "transactional"),
    [
        ({}, True, True),
        ({"marketing": False}, False, True),
        ({"transactional": False}, True, False),
        ({"marketing": False, "transactional": False}, False, False),
        ({"marketing": False, "transactional": False, "sms": True}, False, False),
    ],
)
def test_who_wants_what(preferences: dict[str, bool], marketing: bool, transactional: bool) -> None:
    user = record(preferences=preferences)
    assert user.attributes == {"marketing_opt_in": marketing, "transactional_opt_in": transactional}
    assert user.wants_nothing is not (marketing or transactional)


def test_without_preferences_nothing_is_said_about_them() -> None:
    assert record(preferences=None) == record()
    assert record().wants_nothing is False


@pytest.mark.parametrize("body", [{"id": "42"}, {"id": 42}, {"id": "42", "email": "a@example.com", "preferences": {}}])
def test_a_deletion(body: dict[str, Any]) -> None:
    assert parse_sync(encoded({**body, "deleted": True})) == UserDeleted("id:42", "42")


@pytest.mark.parametrize("deleted", [False, None])
def test_not_deleted_is_a_record_like_any_other(deleted: bool | None) -> None:
    assert record(deleted=deleted, plan="pro") == record(plan="pro")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-05-01T12:00:00Z", NOW),
        ("2026-05-01T14:00:00+02:00", NOW),
        ("2026-05-01T12:00:00.400Z", NOW),
        ("20260501T120000Z", NOW),
    ],
)
def test_an_instant_becomes_unix_seconds(text: str, seconds: int) -> None:
    assert record(created_at=text).attributes["created_at"] == seconds


@pytest.mark.parametrize(
    ("value", "microseconds"),
    [
        (NOW, NOW * 1_000_000),
        (NOW + 0.25, NOW * 1_000_000 + 250_000),
        ("2026-05-01T14:00:00.000001+02:00", NOW * 1_000_000 + 1),
        (None, None),
    ],
)
def test_when_a_record_changed_is_no_attribute(value: object, microseconds: int | None) -> None:
    assert (record(updated_at=value).updated_at, record(updated_at=value).attributes) == (microseconds, {})
    gone = parse_sync(encoded({"id": "42", "deleted": True, "updated_at": value}))
    assert gone == UserDeleted("id:42", "42", updated_at=microseconds)


def test_force_and_restore_are_no_attributes() -> None:
    user = record(force=True, restore=True)
    assert (user.force, user.restore, user.attributes) == (True, True, {})


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"{", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        ({}, "id", "is required"),
        ({"deleted": True}, "id", "is required"),
        ({"id": "1", "deleted": "yes"}, "deleted", "expected bool, got str"),
        ({"id": "1", "deleted": 1}, "deleted", "expected bool, got int"),
        ({"id": ""}, "id", "must not be empty"),
        ({"id": " ", "deleted": True}, "id", "must not be empty"),
        ({"id": None}, "id", "expected int | str, got null"),
        ({"id": 1.0}, "id", "expected int | str, got float"),
        ({"id": "語" * 50 + "x"}, "id", "must be at most 150 bytes; it has 151"),
        ({"id": "語" * 50 + "x", "deleted": True}, "id", "must be at most 150 bytes; it has 151"),
        ({"id": "1", "email": "ada"}, "email", "must be an email address"),
        ({"id": "1", "email": 5}, "email", "expected str | null, got int"),
        ({"id": "1", "first_name": 5}, "first_name", "expected str | null, got int"),
        ({"id": "1", "preferences": True}, "preferences", "expected object | null, got bool"),
        ({"id": "1", "preferences": {"marketing": "no"}}, "preferences.marketing", "expected bool, got str"),
        ({"id": "1", "preferences": {"marketing": None}}, "preferences.marketing", "expected bool, got null"),
        ({"id": "1", "created_at": 1.5}, "created_at", "expected int | str | null, got float"),
        ({"id": "1", "created_at": NOW * 1000}, "created_at", "must be unix seconds; this looks like milliseconds"),
        ({"id": "1", "created_at": 0}, "created_at", "must be unix seconds after 999999999"),
        ({"id": "1", "created_at": "2026-05-01T12:00:00"}, "created_at", INSTANT),
        ({"id": "1", "created_at": "2026-05-01"}, "created_at", INSTANT),
        ({"id": "1", "created_at": "yesterday"}, "created_at", INSTANT),
        ({"id": "1", "created_at": str(NOW)}, "created_at", INSTANT),
        ({"id": "1", "created_at": "0001-01-01T00:00:00Z"}, "created_at", "must be unix seconds after 999999999"),
        (
            {"id": "1", "created_at": "9999-12-31T23:59:59Z"},
            "created_at",
            "must be unix seconds; this looks like milliseconds",
        ),
        ({"id": "1", "updated_at": "2026-05-01T12:00:00"}, "updated_at", INSTANT),
        ({"id": "1", "deleted": True, "updated_at": "now"}, "updated_at", INSTANT),
        (
            {"id": "1", "updated_at": NOW * 1000},
            "updated_at",
            "must be unix seconds; this looks like milliseconds",
        ),
        ({"id": "1", "force": "yes"}, "force", "expected bool, got str"),
        ({"id": "1", "restore": 1}, "restore", "expected bool, got int"),
        ({"id": "1", "bio": "語" * 334}, "user.bio", "must be at most 1000 bytes; it has 1002"),
        ({"id": "1", "語" * 51: 1}, "user", "has a name of 153 bytes; a name has at most 150"),
    ],
)
def test_what_can_never_succeed_is_refused(body: object, field: str, problem: str) -> None:
    assert refusal(parse_sync, body) == (field, problem)


def test_the_number_of_attributes_is_limited_with_those_that_we_make() -> None:
    attributes = {f"a{n}": n for n in range(298)}
    assert len(record(**attributes, preferences={}).attributes) == 300
    problem = "must be at most 300 attributes; it has 301"
    assert refusal(parse_sync, {"id": "1", **attributes, "one": 1, "preferences": {}}) == ("user", problem)


def test_the_identify_that_it_becomes_has_32_kb() -> None:
    frame = b'{"type":"person","action":"identify","identifiers":{"id":"42"},"attributes":{"user":{}}}'
    own = len(b'{"id":"42","user":{}}')
    size = 32 * 1024 - len(frame) + own
    parse_sync(padded({"id": "42", "user": {}}, size, "user"))
    expected = ("body", "must be at most 32768 bytes; it has 32769")
    assert refusal(parse_sync, padded({"id": "42", "user": {}}, size + 1, "user")) == expected
