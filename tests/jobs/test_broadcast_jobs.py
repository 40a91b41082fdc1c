"""Jobs of the broadcast topic: every audience with its flags; accepted, refused, limits."""

from functools import partial
from typing import Any

import pytest

from shared.attributes import JobAttributes
from shared.jobs import BroadcastTrigger, parse
from tests.jobs.job_helpers import encoded, refusal

parse_broadcast = partial(parse, "broadcast")
as_configured = partial(parse_broadcast, attributes=JobAttributes(audience="as_configured"))

DATA = {"headline": "Sale", "items": [{"n": 1}]}
FILTER = {"and": [{"segment": {"id": 7}}, {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}]}
EMAIL_FLAGS = {"email_add_duplicates": True, "email_ignore_missing": False}
ALL_FLAGS = {**EMAIL_FLAGS, "id_ignore_missing": True}
PEOPLE = [{"id": "1", "data": {"a": 1}}, {"id": "2"}, {"email": "a@example.com", "data": None}]
FILE = "https://example.com/people.jsonl"

AUDIENCES: dict[str, dict[str, Any]] = {
    "recipients": {"recipients": FILTER, "data": DATA},
    "emails": {"emails": ["a@example.com", "b@example.com"]},
    "emails with flags": {"emails": ["a@example.com"], **EMAIL_FLAGS},
    "ids": {"ids": ["1", "2"]},
    "ids with flag": {"ids": ["1"], "id_ignore_missing": True},
    "per_user_data": {"per_user_data": PEOPLE},
    "per_user_data with flags": {"per_user_data": PEOPLE, **ALL_FLAGS},
    "data_file_url": {"data_file_url": FILE},
    "data_file_url with flags": {"data_file_url": FILE, **ALL_FLAGS},
    "nulls are no audience": {"ids": ["1"], "emails": None, "email_add_duplicates": None},
}


@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES)
def test_every_audience_leaves_as_it_came(audience: dict[str, Any]) -> None:
    assert parse_broadcast(encoded({"broadcast_id": 12, **audience})) == BroadcastTrigger(12, audience)


@pytest.mark.parametrize(
    ("audience", "given", "as_text"),
    [
        ("ids", ["1", 2, 2**70], ["1", "2", "1180591620717411303424"]),
        ("per_user_data", [{"id": 1, "data": {"n": 1}}, {"email": "a@example.com"}], None),
    ],
)
def test_ids_that_are_numbers_leave_as_text(audience: str, given: list[Any], as_text: list[Any] | None) -> None:
    expected = as_text or [{"id": "1", "data": {"n": 1}}, {"email": "a@example.com"}]
    assert parse_broadcast(encoded({"broadcast_id": 12, audience: given})).body == {audience: expected}


@pytest.mark.parametrize(("given", "number"), [(12, 12), ("12", 12), ("0012", 12), (10**17, 10**17)])
def test_the_broadcasts_number(given: object, number: int) -> None:
    assert parse_broadcast(encoded({"broadcast_id": given, "ids": ["1"]})).broadcast_id == number


@pytest.mark.parametrize("given", [0, -1, "0", "", "-3", "1.0", "12/../13", " 12", "²", "१२", 10**18, "9" * 19])
def test_what_is_no_number_of_a_broadcast(given: object) -> None:
    expected = ("broadcast_id", "must be a whole number above 0")
    assert refusal(parse_broadcast, {"broadcast_id": given, "ids": ["1"]}) == expected


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({}, "broadcast_id", "is required"),
        ({"broadcast_id": 1.0}, "broadcast_id", "expected int | str, got float"),
        ({"broadcast_id": True}, "broadcast_id", "expected int | str, got bool"),
        (b"[", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        ({"broadcast_id": 1, "ids": "1"}, "ids", "expected array | null, got str"),
        ({"broadcast_id": 1, "ids": [1.5]}, "ids[0]", "expected int | str, got float"),
        ({"broadcast_id": 1, "emails": [1]}, "emails[0]", "expected str, got int"),
        ({"broadcast_id": 1, "recipients": []}, "recipients", "expected object | null, got array"),
        ({"broadcast_id": 1, "data": []}, "data", "expected object | null, got array"),
        ({"broadcast_id": 1, "id_ignore_missing": "yes"}, "id_ignore_missing", "expected bool | null, got str"),
        ({"broadcast_id": 1, "per_user_data": [{}]}, "per_user_data[0]", "must have id or email, one of them"),
        (
            {"broadcast_id": 1, "per_user_data": [{"id": "1"}, {"id": "1", "email": "a@example.com"}]},
            "per_user_data[1]",
            "must have id or email, one of them",
        ),
    ],
)
def test_what_can_never_succeed_is_refused(body: object, field: str, problem: str) -> None:
    assert refusal(parse_broadcast, body) == (field, problem)


EXAMPLES: dict[str, Any] = {
    "recipients": FILTER,
    "emails": ["a@example.com"],
    "ids": ["1"],
    "per_user_data": PEOPLE,
    "data_file_url": FILE,
}
FLAGS = {
    "recipients": set[str](),
    "emails": set(EMAIL_FLAGS),
    "ids": {"id_ignore_missing"},
    "per_user_data": set(ALL_FLAGS),
    "data_file_url": set(ALL_FLAGS),
}


@pytest.mark.parametrize("body", [{}, {"data": DATA}, {"ids": None, "data": DATA}])
def test_the_audience_set_up_in_customerio_has_to_be_asked_for(body: dict[str, Any]) -> None:
    assert as_configured(encoded({"broadcast_id": 12, **body})) == BroadcastTrigger(12, body)
    field, problem = refusal(parse_broadcast, {"broadcast_id": 12, **body})
    assert field == "audience"
    assert problem.startswith("is required: give one of recipients, emails, ids, per_user_data, data_file_url, or set")


@pytest.mark.parametrize("value", ["", "everybody", "AS_CONFIGURED"])
def test_no_other_audience_can_be_asked_for(value: str) -> None:
    parser = partial(parse_broadcast, attributes=JobAttributes(audience=value))
    expected = ("audience", "the attribute must be as_configured, or absent")
    assert refusal(parser, {"broadcast_id": 12}) == refusal(parser, {"broadcast_id": 12, "ids": ["1"]}) == expected


def test_an_audience_of_its_own_and_the_one_set_up_do_not_go_together() -> None:
    expected = ("ids", "does not go with the attribute audience = as_configured")
    assert refusal(as_configured, {"broadcast_id": 12, "ids": ["1"]}) == expected


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"segment": {"id": 7}}, "segment", "is not a documented field: a misspelt one?"),
        ({"ids": ["1"], "segment": {"id": 7}}, "segment", "is not a documented field: a misspelt one?"),
        (
            {"per_user_data": [{"id": "1", "dta": 1}]},
            "per_user_data[0].dta",
            "is not a documented field: a misspelt one?",
        ),
        ({"ids": ["1"], "ada@example.com": 1}, "body", "has a field that is not documented"),
    ],
)
def test_a_misspelt_audience_reaches_nobody(body: dict[str, Any], field: str, problem: str) -> None:
    assert refusal(parse_broadcast, {"broadcast_id": 1, **body}) == (field, problem)
    assert refusal(as_configured, {"broadcast_id": 1, **body}) == (field, problem)


@pytest.mark.parametrize("audience", EXAMPLES)
def test_an_audience_is_not_empty_and_alone(audience: str) -> None:
    empty = type(EXAMPLES[audience])()
    assert refusal(parse_broadcast, {"broadcast_id": 1, audience: empty}) == (audience, "must not be empty")
    for other in EXAMPLES.keys() - {audience}:
        first, second = sorted((audience, other), key=list(EXAMPLES).index)
        expected = (second, f"must be the only audience; {first} is there too")
        body = {"broadcast_id": 1, audience: EXAMPLES[audience], other: EXAMPLES[other]}
        assert refusal(parse_broadcast, body) == expected


@pytest.mark.parametrize("audience", EXAMPLES)
@pytest.mark.parametrize("flag", ALL_FLAGS)
@pytest.mark.parametrize("value", [True, False])
def test_each_flag_goes_with_its_audiences(audience: str, flag: str, value: bool) -> None:
    body = {"broadcast_id": 1, audience: EXAMPLES[audience], flag: value}
    if flag in FLAGS[audience]:
        assert parse_broadcast(encoded(body)).body[flag] is value
    else:
        assert refusal(parse_broadcast, body) == (flag, f"does not go with {audience}")


@pytest.mark.parametrize("flag", ALL_FLAGS)
def test_without_an_audience_there_is_no_flag(flag: str) -> None:
    expected = (flag, "does not go with the audience set up in Customer.io")
    assert refusal(as_configured, {"broadcast_id": 1, flag: True}) == expected


@pytest.mark.parametrize(("audience", "one"), [("ids", 1), ("per_user_data", {"id": 1})])
def test_ten_thousand_people(audience: str, one: object) -> None:
    parse_broadcast(encoded({"broadcast_id": 1, audience: [one] * 10_000}))
    expected = (audience, "must be at most 10000 people; it has 10001")
    assert refusal(parse_broadcast, {"broadcast_id": 1, audience: [one] * 10_001}) == expected
