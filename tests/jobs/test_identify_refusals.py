"""Jobs of the identify topic: what is refused, where, and in which words; and the published limits."""

from functools import partial
from typing import Any

import pytest

from shared.jobs import InvalidJob, parse
from tests.jobs.job_helpers import NOW, encoded, padded, refusal

parse_identify = partial(parse, "identify")

BY_ID = {"identifiers": {"id": "42"}}
ACME = {"type": "object", "identifiers": {"object_type_id": "1", "object_id": "acme"}}
ONE_OF = "must have exactly one of id, email, phone, cio_id; it has"
E164 = "must be E.164: + and up to 15 digits"
ACTIONS = (
    "must be person or object with one of: add_device, add_relationships, delete, delete_device, delete_relationships, "
    "identify, identify_anonymous, merge, suppress, unsuppress"
)
RELATE = {**BY_ID, "action": "add_relationships"}
ANONYMOUS = {**ACME, "action": "identify_anonymous"}
RELATE_OBJECT = {**ACME, "action": "add_relationships"}
DEVICE = {**BY_ID, "action": "add_device"}


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        (b"\xff", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        (b"{} {}", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        ([], "body", "must be a JSON object, not an array"),
        (None, "body", "must be a JSON object, not null"),
        (1.5, "body", "must be a JSON object, not a decimal number"),
        (7, "body", "must be a JSON object, not a number"),
        (True, "body", "must be a JSON object, not a boolean"),
        ("text", "body", "must be a JSON object, not a string"),
        ({}, "identifiers", "is required"),
        ({"identifiers": {}}, "identifiers", f"{ONE_OF} 0"),
        ({"identifiers": {"id": None}}, "identifiers", f"{ONE_OF} 0"),
        ({"identifiers": {"id": "1", "email": "a@example.com"}}, "identifiers", f"{ONE_OF} 2"),
        ({"identifiers": {"anonymous_id": "x"}}, "identifiers", f"{ONE_OF} 0"),
        ({"identifiers": "42"}, "identifiers", "expected object, got str"),
        ({"identifiers": {"id": ""}}, "identifiers.id", "must not be empty"),
        ({"identifiers": {"id": " \t"}}, "identifiers.id", "must not be empty"),
        ({"identifiers": {"id": True}}, "identifiers.id", "expected int | str | null, got bool"),
        ({"identifiers": {"id": 1.0}}, "identifiers.id", "expected int | str | null, got float"),
        ({"identifiers": {"id": ["1"]}}, "identifiers.id", "expected int | str | null, got array"),
        ({"identifiers": {"email": "ada"}}, "identifiers.email", "must be an email address"),
        ({"identifiers": {"email": 1}}, "identifiers.email", "expected str | null, got int"),
        ({"identifiers": {"phone": "4915112345678"}}, "identifiers.phone", E164),
        ({"identifiers": {"phone": "+49 1511 2345678"}}, "identifiers.phone", E164),
        ({"identifiers": {"phone": "+0151123456"}}, "identifiers.phone", E164),
        ({"identifiers": {"phone": "+٤٩١٥١١"}}, "identifiers.phone", E164),
        ({"identifiers": {"phone": 4915112345678}}, "identifiers.phone", "expected str | null, got int"),
        ({**BY_ID, "type": "robot"}, "type", ACTIONS),
        ({**BY_ID, "type": None}, "type", ACTIONS),
        ({**BY_ID, "type": {"a": 1}}, "type", ACTIONS),
        ({**BY_ID, "type": ["person"]}, "type", ACTIONS),
        ({**BY_ID, "action": "explode"}, "action", ACTIONS),
        ({**BY_ID, "action": ["identify"]}, "action", ACTIONS),
        ({**BY_ID, "action": None}, "action", ACTIONS),
        ({**BY_ID, "action": "event"}, "action", "events go to the track topic, not to this one"),
        ({**BY_ID, "action": "page"}, "action", "events go to the track topic, not to this one"),
        ({**ACME, "action": "suppress"}, "action", ACTIONS),
        ({**BY_ID, "attributes": []}, "attributes", "expected object | null, got array"),
        ({"action": "merge", "primary": {"id": "1"}}, "secondary", "is required"),
        (
            {"action": "merge", "primary": {"phone": "+1"}, "secondary": {"id": "1"}},
            "primary",
            "must have exactly one of id, email, cio_id; it has 0",
        ),
        (
            {"action": "merge", "primary": {"id": "1"}, "secondary": {"id": "1"}},
            "secondary",
            "must be another person than primary",
        ),
        (
            {"action": "merge", "primary": {"email": "A@example.com"}, "secondary": {"email": "a@example.com"}},
            "secondary",
            "must be another person than primary",
        ),
        (
            {"action": "merge", "primary": {"id": ["1"]}, "secondary": {"id": "1"}},
            "primary.id",
            "must be text or a whole number, not an array",
        ),
        (
            {"action": "merge", "primary": {"id": "1"}, "secondary": {"id": {}}},
            "secondary.id",
            "must be text or a whole number, not an object",
        ),
        (
            {"action": "merge", "primary": {"id": True}, "secondary": {"id": "1"}},
            "primary.id",
            "must be text or a whole number, not a boolean",
        ),
        (
            {"action": "merge", "primary": {"id": "1"}, "secondary": {"id": 1.5}},
            "secondary.id",
            "must be text or a whole number, not a decimal number",
        ),
        (
            {"action": "merge", "primary": {"email": 5}, "secondary": {"id": "1"}},
            "primary.email",
            "must be an email address",
        ),
        (DEVICE, "device", "is required"),
        ({**DEVICE, "device": {}}, "device.token", "is required"),
        ({**DEVICE, "device": {"token": " ", "platform": "ios"}}, "device.token", "must not be empty"),
        ({**DEVICE, "device": {"token": "t"}}, "device.platform", "is required"),
        ({**DEVICE, "device": {"token": "t", "platform": "iOS"}}, "device.platform", "must be ios or android"),
        ({**DEVICE, "device": {"token": "t", "platform": "symbian"}}, "device.platform", "must be ios or android"),
        (RELATE, "cio_relationships", "is required"),
        ({**RELATE, "cio_relationships": []}, "cio_relationships", "must not be empty"),
        ({**RELATE, "cio_relationships": {}}, "cio_relationships", "expected array, got object"),
        ({**RELATE, "cio_relationships": [{}]}, "cio_relationships[0].identifiers", "is required"),
        (
            {**RELATE, "cio_relationships": [{"identifiers": {"object_type_id": "1"}}]},
            "cio_relationships[0].identifiers.object_id",
            "is required",
        ),
        (
            {**RELATE, "cio_relationships": [{"identifiers": {"object_id": "1"}}]},
            "cio_relationships[0].identifiers.object_type_id",
            "is required",
        ),
        (
            {**RELATE_OBJECT, "cio_relationships": [{"identifiers": {"id": "1"}}, {"identifiers": {}}]},
            "cio_relationships[1].identifiers",
            f"{ONE_OF} 0",
        ),
        ({**ACME, "cio_relationships": ["42"]}, "cio_relationships[0]", "expected object, got str"),
        (
            {**ACME, "cio_relationships": [{"identifiers": {"anonymous_id": "cookie-1"}}]},
            "cio_relationships[0].identifiers",
            f"{ONE_OF} 0",
        ),
        (
            {**ANONYMOUS, "cio_relationships": [{"identifiers": {"id": "42"}}]},
            "cio_relationships[0].identifiers.anonymous_id",
            "is required",
        ),
        (
            {**ANONYMOUS, "cio_relationships": [{"identifiers": {"anonymous_id": " "}}]},
            "cio_relationships[0].identifiers.anonymous_id",
            "must not be empty",
        ),
        ({"type": "object", "identifiers": {"id": "42"}}, "identifiers.object_type_id", "is required"),
        (
            {"type": "object", "identifiers": {"cio_object_id": "ob1", "object_id": "acme"}},
            "identifiers",
            "must have object_type_id and object_id, or cio_object_id alone",
        ),
        ({"type": "object", "identifiers": {"cio_object_id": ""}}, "identifiers.cio_object_id", "must not be empty"),
        (
            {"type": "object", "identifiers": {"object_type_id": "companies", "object_id": "acme"}},
            "identifiers.object_type_id",
            "must be a whole number",
        ),
        (
            {"type": "object", "identifiers": {"object_type_id": "²", "object_id": "acme"}},
            "identifiers.object_type_id",
            "must be a whole number",
        ),
    ],
)
def test_what_can_never_succeed_is_refused(body: object, field: str, problem: str) -> None:
    assert refusal(parse_identify, body) == (field, problem)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_no_number_that_json_does_not_have(number: bytes) -> None:
    body = b'{"identifiers":{"id":"42"},"attributes":{"n":' + number + b"}}"
    assert refusal(parse_identify, body) == ("body", "must be JSON in UTF-8, without NaN or Infinity")


MILLISECONDS = "must be unix seconds; this looks like milliseconds"
EARLIEST = "must be unix seconds after 999999999"
NOT_WHOLE = "must be unix seconds as a whole number, not "


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (NOW * 1000, MILLISECONDS),
        (100_000_000_000, MILLISECONDS),
        (999_999_999, EARLIEST),
        (0, EARLIEST),
        (-1, EARLIEST),
        (NOW + 0.5, f"{NOT_WHOLE}a decimal number"),
        (float(NOW), f"{NOT_WHOLE}a decimal number"),
        (str(NOW), f"{NOT_WHOLE}a string"),
        ("2026-05-01T12:00:00Z", f"{NOT_WHOLE}a string"),
        (True, f"{NOT_WHOLE}a boolean"),
        ([NOW], f"{NOT_WHOLE}an array"),
    ],
)
def test_a_timestamp_is_unix_seconds(value: object, problem: str) -> None:
    assert refusal(parse_identify, {**BY_ID, "timestamp": value}) == ("timestamp", problem)
    device = {"token": "t", "platform": "ios", "last_used": value}
    assert refusal(parse_identify, {**DEVICE, "device": device}) == ("device.last_used", problem)


@pytest.mark.parametrize("value", [1_000_000_000, 99_999_999_999])
def test_the_first_and_the_last_timestamp(value: int) -> None:
    assert parse_identify(encoded({**BY_ID, "timestamp": value})).body["timestamp"] == value


# Of each limit the longest text that passes, in characters of one and of three bytes, and where it is refused.
def _id(text: str) -> dict[str, Any]:
    return {"identifiers": {"id": text}}


def _email(text: str) -> dict[str, Any]:
    return {"identifiers": {"email": f"@{text}"}}


def _merged(text: str) -> dict[str, Any]:
    return {"action": "merge", "primary": {"id": "1"}, "secondary": {"id": text}}


def _object(text: str) -> dict[str, Any]:
    return {"type": "object", "identifiers": {"object_type_id": "1", "object_id": text}}


def _cio_object(text: str) -> dict[str, Any]:
    return {"type": "object", "identifiers": {"cio_object_id": text}}


def _related(text: str) -> dict[str, Any]:
    return {**RELATE, "cio_relationships": [{"identifiers": {"object_type_id": "1", "object_id": text}}]}


def _related_person(text: str) -> dict[str, Any]:
    return {**RELATE_OBJECT, "cio_relationships": [{"identifiers": {"id": text}}]}


def _value(text: str) -> dict[str, Any]:
    return {**BY_ID, "attributes": {"bio": text}}


def _object_value(text: str) -> dict[str, Any]:
    return {**ACME, "attributes": {"bio": text}}


@pytest.mark.parametrize(
    ("body", "limit", "taken", "field"),
    [
        (_id, 150, 0, "identifiers.id"),
        (_email, 150, 1, "identifiers.email"),
        (_merged, 150, 0, "secondary.id"),
        (_object, 150, 0, "identifiers.object_id"),
        (_cio_object, 150, 0, "identifiers.cio_object_id"),
        (_related, 150, 0, "cio_relationships[0].identifiers.object_id"),
        (_related_person, 150, 0, "cio_relationships[0].identifiers.id"),
        (_value, 1000, 0, "attributes.bio"),
        (_object_value, 1000, 0, "attributes.bio"),
    ],
)
def test_texts_are_limited_in_bytes(body: Any, limit: int, taken: int, field: str) -> None:
    wide = "語" * ((limit - taken) // 3) + "x" * ((limit - taken) % 3)
    for longest in ("x" * (limit - taken), wide):
        assert len(longest.encode()) == limit - taken
        parse_identify(encoded(body(longest)))
        problem = f"must be at most {limit} bytes; it has {limit + 1}"
        assert refusal(parse_identify, body(longest + "x")) == (field, problem)
    assert refusal(parse_identify, body(wide + "語")) == (field, f"must be at most {limit} bytes; it has {limit + 3}")


@pytest.mark.parametrize("name", ["x" * 150, "語" * 50])
def test_names_of_attributes_are_limited_in_bytes(name: str) -> None:
    parse_identify(encoded({**BY_ID, "attributes": {name: 1}}))
    problem = "has a name of 151 bytes; a name has at most 150"
    assert refusal(parse_identify, {**BY_ID, "attributes": {name + "x": 1}}) == ("attributes", problem)


def test_the_number_of_attributes_is_limited() -> None:
    attributes = {f"a{n}": n for n in range(300)}
    parse_identify(encoded({**BY_ID, "attributes": attributes}))
    problem = "must be at most 300 attributes; it has 301"
    assert refusal(parse_identify, {**BY_ID, "attributes": attributes | {"one": 1}}) == ("attributes", problem)


@pytest.mark.parametrize("phone", ["+" + "1" * 15, "+12"])
def test_the_longest_and_the_shortest_phone(phone: str) -> None:
    assert parse_identify(encoded({"identifiers": {"phone": phone}})).subject == f"phone:{phone}"
    expected = ("identifiers.phone", E164)
    for other in (f"+{'1' * 16}", "+1", f"{phone}\n"):
        assert refusal(parse_identify, {"identifiers": {"phone": other}}) == expected


def test_what_is_true_of_a_relationship_has_no_limit_but_the_items() -> None:
    related = {"identifiers": {"id": "1"}, "relationship_attributes": {"terms": "x" * 1001}}
    parse_identify(encoded({**RELATE_OBJECT, "cio_relationships": [related]}))


def test_an_item_has_32_kb() -> None:
    whole = {"type": "person", "action": "identify", **BY_ID}
    parse_identify(padded({**whole, "attributes": {}}, 32 * 1024, "attributes"))
    too_large = padded({**whole, "attributes": {}}, 32 * 1024 + 1, "attributes")
    assert refusal(parse_identify, too_large) == ("body", "must be at most 32768 bytes; it has 32769")


def test_the_defaults_count_and_blanks_do_not() -> None:
    size = 32 * 1024 - len(b'"type":"person","action":"identify",')
    longest = padded({**BY_ID, "attributes": {}}, size, "attributes")
    parse_identify(longest + b" " * 100_000)
    with pytest.raises(InvalidJob, match="must be at most 32768 bytes; it has 32769"):
        parse_identify(padded({**BY_ID, "attributes": {}}, size + 1, "attributes"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"identifiers":{"id":1},"attributes":{"n":[' + b",".join([b"1e15"] * 4000) + b"]}}",
        b'{"identifiers":{"id":1},"cio_relationships":['
        + b",".join([b'{"identifiers":{"object_type_id":1,"object_id":1}}'] * 610)
        + b"]}",
    ],
    ids=["short numbers that are long when written anew", "many ids that become text"],
)
def test_what_counts_is_the_size_that_is_sent(body: bytes) -> None:
    assert len(body) < 32 * 1024
    field, problem = refusal(parse_identify, body)
    assert field == "body"
    assert problem.startswith("must be at most 32768 bytes; it has ")
