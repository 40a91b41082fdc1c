"""Forms make the jobs that the functions take, and put each error at its field."""

import json

import pytest

from local.console.forms import FORMS, MAX_COPIES, FormError, build
from shared.attributes import JobAttributes
from shared.jobs import KINDS, parse


def starting(kind: str, **changed: str) -> dict[str, str]:
    return {field.name: field.value for field in FORMS[kind].fields} | changed


def test_there_is_a_form_for_each_kind_of_job() -> None:
    assert set(FORMS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_as_it_starts_is_a_job_that_its_function_takes(kind: str) -> None:
    [job] = build(FORMS[kind], starting(kind))
    assert parse(kind, job.data, JobAttributes.decode(job.attributes))


@pytest.mark.parametrize(
    ("kind", "changed", "field", "problem"),
    [
        ("send", {"to": ""}, "to", "is required"),
        ("send", {"identifiers": ""}, "identifiers", "is required"),
        ("send", {"identifiers": "x" * 151}, "identifiers", "identifiers.id must be at most 150 bytes; it has 151"),
        ("send", {"channel": "pigeon"}, "channel", "the attribute must be one of"),
        ("send", {"message_data": "[1]"}, "message_data", "must be a JSON object"),
        ("send", {"message_data": "{"}, "message_data", "must be a JSON object"),
        ("send", {"transactional_message_id": ""}, "transactional_message_id", "body is required without"),
        ("send", {"more": '{"send_at": "soon"}'}, "more", "send_at must be unix seconds as a whole number"),
        ("send", {"channel": "sms", "transactional_message_id": ""}, "transactional_message_id", "is required"),
        ("identify", {"attributes": '{"bio": "' + "x" * 1001 + '"}'}, "attributes", "attributes.bio must be at most"),
        ("track", {"name": ""}, "name", "is required"),
        ("broadcast", {"broadcast_id": "twelve"}, "broadcast_id", "must be a whole number above 0"),
        ("sync", {"id": ""}, "id", ""),
        ("track", {"copies": "0"}, "copies", "must be a whole number from 1 to"),
        ("track", {"copies": "many"}, "copies", "must be a whole number from 1 to"),
        ("track", {"copies": str(MAX_COPIES + 1)}, "copies", "must be a whole number from 1 to"),
    ],
)
def test_an_error_is_at_its_field(kind: str, changed: dict[str, str], field: str, problem: str) -> None:
    with pytest.raises(FormError) as raised:
        build(FORMS[kind], starting(kind, **changed))
    assert raised.value.field == field
    assert problem in raised.value.problem


def test_each_copy_is_a_job_of_its_own() -> None:
    jobs = build(FORMS["send"], starting("send", copies="3"))
    assert len({job.attributes["job_id"] for job in jobs}) == 3


def test_more_fields_become_fields_of_the_body() -> None:
    [job] = build(FORMS["send"], starting("send", more='{"language": "fr"}'))
    assert json.loads(job.data)["language"] == "fr"
