"""Jobs of the identify topic: what is accepted, and as what it leaves."""

from functools import partial
from typing import Any

import pytest

from shared.jobs import TrackOperation, parse
from tests.jobs.job_helpers import NOW, encoded

parse_identify = partial(parse, "identify")

BY_ID = {"identifiers": {"id": "42"}}
TO_ACME = {"identifiers": {"object_type_id": "1", "object_id": "acme"}, "relationship_attributes": {"role": "owner"}}
TO_CIO_OBJECT = {"identifiers": {"cio_object_id": "ob1"}}
DEVICE = {"token": "t0k3n", "platform": "ios", "last_used": NOW, "attributes": {"app_version": "7"}}
ACME = {"type": "object", "identifiers": {"object_type_id": "1", "object_id": "acme"}}

PEOPLE: dict[str, tuple[dict[str, Any], str]] = {
    "identify by default": (BY_ID, "id:42"),
    "identify": (
        {
            "type": "person",
            "action": "identify",
            "identifiers": {"email": "Ada@Example.com"},
            "timestamp": NOW,
            "attributes": {"plan": "pro", "age": 36, "score": 1.5, "vip": True, "gone": None, "tags": ["a", {"b": 1}]},
            "cio_relationships": [TO_ACME, TO_CIO_OBJECT],
        },
        "email:ada@example.com",
    ),
    "identify without attributes": ({**BY_ID, "attributes": None, "timestamp": None}, "id:42"),
    "identify that never creates": (
        {**BY_ID, "attributes": {"_update": True, "cio_subscription_preferences": {"topics": {"topic_1": False}}}},
        "id:42",
    ),
    "by phone": ({"identifiers": {"phone": "+4915112345678"}}, "phone:+4915112345678"),
    "by cio_id": ({"identifiers": {"cio_id": "a3000001"}}, "cio_id:a3000001"),
    "delete": ({**BY_ID, "action": "delete"}, "id:42"),
    "suppress": ({**BY_ID, "action": "suppress"}, "id:42"),
    "unsuppress": ({**BY_ID, "action": "unsuppress"}, "id:42"),
    "add_device": ({**BY_ID, "action": "add_device", "device": DEVICE}, "id:42"),
    "add_device on android": (
        {**BY_ID, "action": "add_device", "device": {"token": "t", "platform": "android"}},
        "id:42",
    ),
    "delete_device": ({**BY_ID, "action": "delete_device", "device": {"token": "t"}}, "id:42"),
    "add_relationships": (
        {**BY_ID, "action": "add_relationships", "cio_relationships": [TO_ACME, TO_CIO_OBJECT]},
        "id:42",
    ),
    "delete_relationships": ({**BY_ID, "action": "delete_relationships", "cio_relationships": [TO_ACME]}, "id:42"),
    "unknown fields": (
        {**BY_ID, "action": "suppress", "reason_of_ours": {"deep": [1, None, "é"]}, "cio_new": 1.25},
        "id:42",
    ),
}
OBJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "identify by default": (ACME, "object:1:acme"),
    "identify": (
        {
            **ACME,
            "action": "identify",
            "attributes": {"name": "Acme"},
            "timestamp": NOW,
            "cio_relationships": [{"identifiers": {"id": "42"}}],
        },
        "object:1:acme",
    ),
    "identify_anonymous": (
        {
            **ACME,
            "action": "identify_anonymous",
            "attributes": {"name": "Acme"},
            "cio_relationships": [
                {"identifiers": {"anonymous_id": "cookie-1"}, "relationship_attributes": {"role": "owner"}}
            ],
        },
        "object:1:acme",
    ),
    "identify_anonymous with the id beside": (
        {**ACME, "action": "identify_anonymous", "anonymous_id": "cookie-1"},
        "object:1:acme",
    ),
    "delete": ({"type": "object", "action": "delete", "identifiers": {"cio_object_id": "ob1"}}, "object:ob1"),
    "add_relationships": (
        {
            **ACME,
            "action": "add_relationships",
            "cio_relationships": [
                {"identifiers": {"email": "ada@example.com"}, "relationship_attributes": {"role": "owner"}},
                {"identifiers": {"cio_id": "a3000001"}},
            ],
        },
        "object:1:acme",
    ),
    "delete_relationships": (
        {**ACME, "action": "delete_relationships", "cio_relationships": [{"identifiers": {"id": "42"}}]},
        "object:1:acme",
    ),
    "unknown fields": ({**ACME, "cio_new": [1]}, "object:1:acme"),
}


def parsed(body: object) -> TrackOperation:
    return parse_identify(encoded(body))


@pytest.mark.parametrize(("body", "person"), PEOPLE.values(), ids=PEOPLE)
def test_of_people_every_action_leaves_as_it_came(body: dict[str, Any], person: str) -> None:
    operation = parsed(body)
    complete = {"type": "person", "action": "identify", **body}
    assert operation == TrackOperation(person, complete, complete["action"], ordered=True)


@pytest.mark.parametrize(("body", "person"), OBJECTS.values(), ids=OBJECTS)
def test_of_objects_every_action_leaves_as_it_came(body: dict[str, Any], person: str) -> None:
    operation = parsed(body)
    complete = {"action": "identify", **body}
    assert operation == TrackOperation(person, complete, complete["action"], ordered=True)


@pytest.mark.parametrize(
    ("primary", "secondary", "keys"),
    [
        ({"id": "1"}, {"email": "A@example.com"}, ("id:1", "email:a@example.com")),
        ({"cio_id": "a3"}, {"id": "2"}, ("cio_id:a3", "id:2")),
    ],
)
def test_a_merge_is_about_both(primary: dict[str, str], secondary: dict[str, str], keys: tuple[str, str]) -> None:
    body = {"action": "merge", "primary": primary, "secondary": secondary, "cio_new": 1}
    expected = TrackOperation(keys[0], {"type": "person", **body}, "merge", ordered=True, others=(keys[1],))
    assert parsed(body) == expected


@pytest.mark.parametrize(
    ("body", "field", "as_text"),
    [
        ({"identifiers": {"id": 42, "email": None}}, "identifiers", {"id": "42"}),
        ({"identifiers": {"id": 2**70}}, "identifiers", {"id": "1180591620717411303424"}),
        ({"action": "merge", "primary": {"id": 1}, "secondary": {"id": 2}}, "secondary", {"id": "2"}),
        (
            {"type": "object", "identifiers": {"object_type_id": 1, "object_id": 7}},
            "identifiers",
            {"object_type_id": "1", "object_id": "7"},
        ),
        (
            {**BY_ID, "cio_relationships": [{"identifiers": {"object_type_id": 1, "object_id": 7}}]},
            "cio_relationships",
            [{"identifiers": {"object_type_id": "1", "object_id": "7"}}],
        ),
        (
            {**ACME, "cio_relationships": [{"identifiers": {"id": 42}}]},
            "cio_relationships",
            [{"identifiers": {"id": "42"}}],
        ),
        (
            {
                **ACME,
                "action": "identify_anonymous",
                "cio_relationships": [{"identifiers": {"anonymous_id": 7}, "x": 1}],
            },
            "cio_relationships",
            [{"identifiers": {"anonymous_id": "7"}, "x": 1}],
        ),
        (
            {**ACME, "action": "add_relationships", "cio_relationships": [{"identifiers": {"id": 42}, "x": 1}]},
            "cio_relationships",
            [{"identifiers": {"id": "42"}, "x": 1}],
        ),
    ],
)
def test_ids_that_are_numbers_leave_as_text(body: dict[str, Any], field: str, as_text: object) -> None:
    assert parsed(body).body[field] == as_text


def test_an_email_address_is_one_person_however_it_is_written() -> None:
    one, other = (parsed({"identifiers": {"email": email}}) for email in ("Ada@Example.com", "ada@example.com"))
    assert one.subject == other.subject
    assert one.body["identifiers"] == {"email": "Ada@Example.com"}
