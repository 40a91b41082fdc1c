from datetime import UTC, datetime, timedelta

import pytest

from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.commands.dead_letters.selection import Selection, instant
from ops.jobs import persons, read_person
from shared.jobs.operation import person_key

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def letter(**changed: object) -> DeadLetter:
    values = {
        "kind": "identify",
        "message_id": "1",
        "job_id": "someone@example.com",
        "data": b'{"identifiers":{"email":"Someone@Example.com"}}',
        "attributes": {},
        "ordering_key": "",
        "first_published_at": NOW - timedelta(days=1),
        "arrived_at": NOW,
        "reason": "invalid",
        "error_class": "rejected",
        "details": {},
    } | changed
    return DeadLetter(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({"invalid", "other"})), True),
        (Selection(reasons=frozenset({"other"})), False),
        (Selection(classes=frozenset({"rejected"})), True),
        (Selection(classes=frozenset({"expired"})), False),
        (Selection(since=NOW), True),
        (Selection(since=NOW + timedelta(seconds=1)), False),
        (Selection(before=NOW + timedelta(seconds=1)), True),
        (Selection(before=NOW), False),
        (Selection(person="email:someone@example.com"), True),
        (Selection(person="id:someone@example.com"), False),
        (Selection(job_ids=frozenset({"someone@example.com"})), True),
        (Selection(job_ids=frozenset({"hashed-5bbf92fcc6eb0cd4"})), False),
        (Selection(reasons=frozenset({"invalid"}), classes=frozenset({"expired"})), False),
    ],
)
def test_all_filters_must_hold(selection: Selection, chosen: bool) -> None:
    assert (letter() in selection) is chosen


def test_a_job_id_that_lists_show_as_a_hash_is_found_by_it() -> None:
    from shared.redaction import loggable_key  # noqa: PLC0415

    shown = loggable_key("someone@example.com")
    assert shown != "someone@example.com"
    assert letter() in Selection(job_ids=frozenset({shown}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("31d", NOW - timedelta(days=31)),
        ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01T02:00+02:00", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_age_or_iso_8601(text: str, expected: datetime) -> None:
    assert instant(text, now=lambda: NOW) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "2w", "-2h", "yesterday", "9" * 30 + "d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an age"):
        instant(text)


@pytest.mark.parametrize(
    ("kind", "data", "channel", "expected"),
    [
        ("identify", b'{"identifiers":{"id":42}}', "", ("id:42",)),
        (
            "identify",
            b'{"action":"merge","primary":{"id":"1"},"secondary":{"email":"A@example.com"}}',
            "",
            ("id:1", "email:a@example.com"),
        ),
        ("track", b'{"identifiers":{"cio_id":"c"},"name":"n"}', "", ("cio_id:c",)),
        ("send", b'{"identifiers":{"id":"1"},"transactional_message_id":3}', "sms", ("id:1",)),
        ("sync", b'{"id":7}', "", ("id:7",)),
        ("broadcast", b'{"broadcast_id":7}', "", ()),
        ("events", b'{"event_id":"e","metric":"sent","data":{"identifiers":{"id":"5"}}}', "", ("id:5",)),
        # Jobs that cannot succeed are the ones to be found.
        ("track", b'{"identifiers":{"id":"42","email":"A@example.com"}}', "", ("id:42", "email:a@example.com")),
        ("sync", b'{"id":"7","email":3}', "", ("id:7", "email:3")),
        ("events", b'{"identifiers":{"id":true}}', "", ()),
        ("identify", b'{"identifiers":[]}', "", ()),
        ("identify", b"[]", "", ()),
        ("identify", b"\xff", "", ()),
    ],
)
def test_the_persons_of_a_job(kind: str, data: bytes, channel: str, expected: tuple[str, ...]) -> None:
    assert persons(kind, data, {"channel": channel} if channel else {}) == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("42", "id:42"),
        ("id:42", "id:42"),
        ("A@example.com", "email:a@example.com"),
        ("email:A@example.com", "email:a@example.com"),
        ("cio_id:a3", "cio_id:a3"),
        ("urn:user:1", "id:urn:user:1"),
    ],
)
def test_a_person_is_written_with_or_without_the_kind_of_identifier(text: str, key: str) -> None:
    assert person_key(*read_person(text)) == key
