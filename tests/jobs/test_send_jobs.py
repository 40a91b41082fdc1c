"""Jobs of the send topic: six channels with every documented field; accepted, refused, limits."""

import base64
from functools import partial
from typing import Any

import pytest

from shared.attributes import JobAttributes
from shared.jobs import CHANNELS, SendRequest, parse
from tests.jobs.job_helpers import NOW, encoded, refusal

parse_send = partial(parse, "send")

COMMON = {
    "transactional_message_id": "welcome",
    "identifiers": {"id": "42"},
    "message_data": {"name": "Ada", "lines": [{"n": 1}]},
    "send_at": NOW,
    "language": "de",
    "disable_message_retention": True,
    "queue_draft": False,
}
EMAIL = {
    **COMMON,
    "to": "ada@example.com, Bob <bob@example.com>",
    "from": "Us <us@example.com>",
    "reply_to": "help@example.com",
    "cc": "c@example.com",
    "bcc": "d@example.com",
    "fake_bcc": False,
    "subject": "Hi",
    "preheader": "pre",
    "body": "<p>Hi</p>",
    "body_plain": "Hi",
    "body_amp": "<html amp4email>",
    "headers": {"X-One": "1"},
    "attachments": {"a.txt": "aGk="},
    "disable_css_preprocessing": True,
    "tracked": False,
    "send_to_unsubscribed": False,
}
PUSH = {
    **COMMON,
    "to": "last_used",
    "title": "Hi",
    "message": "there",
    "image_url": "https://example.com/a.png",
    "link": "app://home",
    "sound": "default",
    "custom_data": {"a": "b"},
    "custom_device": {"token": "t", "platform": "ios"},
    "custom_payload": {"ios": {"aps": {}}, "android": {}},
    "send_to_unsubscribed": True,
}
SMS = {**COMMON, "to": "+4915112345678", "from": "+4915100000000", "send_to_unsubscribed": True}
WHOLE: dict[str, dict[str, Any]] = {
    "email": EMAIL,
    "push": PUSH,
    "sms": SMS,
    "whatsapp": {**SMS, "tracked": True},
    "inbox_message": COMMON,
    "in_app": COMMON,
}
SMALLEST = {"transactional_message_id": 7, "identifiers": {"id": "42"}}
LETTER = {**SMALLEST, "to": "ada@example.com"}
WITHOUT_TEMPLATE = {key: EMAIL[key] for key in ("identifiers", "to", "body", "subject", "from")}
NOT_WHOLE = "must be unix seconds as a whole number, not "
HEADERS = "must be an object, an array, or either as JSON in text"
ONE_OF = "must have exactly one of id, email, cio_id; it has"


def test_every_channel_is_here() -> None:
    assert tuple(WHOLE) == CHANNELS


@pytest.mark.parametrize(("channel", "body"), WHOLE.items(), ids=WHOLE)
def test_every_documented_field_leaves_as_it_came(channel: Any, body: dict[str, Any]) -> None:
    assert parse_send(encoded(body), JobAttributes(channel=channel)) == SendRequest(channel, "id:42", body)


@pytest.mark.parametrize("channel", CHANNELS)
def test_unknown_fields_leave_as_they_came(channel: str) -> None:
    body = {**LETTER, "cio_new": {"a": [1.5, None]}, "tracked": None}
    assert parse_send(encoded(body), JobAttributes(channel=channel)).body == body


@pytest.mark.parametrize(
    ("identifiers", "person"),
    [
        ({"id": "42"}, "id:42"),
        ({"email": "Ada@example.com"}, "email:ada@example.com"),
        ({"cio_id": "a3000001"}, "cio_id:a3000001"),
    ],
)
def test_whom_it_is_for(identifiers: dict[str, str], person: str) -> None:
    request = parse_send(encoded({**LETTER, "identifiers": identifiers}))
    assert (request.channel, request.subject, request.body["identifiers"]) == ("email", person, identifiers)


def test_an_id_that_is_a_number_leaves_as_text() -> None:
    assert parse_send(encoded({**LETTER, "identifiers": {"id": 42}})).body["identifiers"] == {"id": "42"}


@pytest.mark.parametrize(
    "headers",
    [{"X-One": "1"}, [{"name": "X-One", "value": "1"}], '[{"name":"a","value":"b"}]', '{"X-One": "1"}', "", None],
)
def test_headers_in_each_documented_form(headers: object) -> None:
    assert parse_send(encoded({**LETTER, "headers": headers})).body["headers"] == headers


def test_an_email_needs_no_template() -> None:
    assert parse_send(encoded(WITHOUT_TEMPLATE)).body == WITHOUT_TEMPLATE


@pytest.mark.parametrize("field", ["body", "subject", "from"])
def test_without_a_template_it_needs_the_rest(field: str) -> None:
    expected = (field, "is required without transactional_message_id")
    assert refusal(parse_send, {key: value for key, value in WITHOUT_TEMPLATE.items() if key != field}) == expected
    assert refusal(parse_send, {**WITHOUT_TEMPLATE, field: ""}) == expected


@pytest.mark.parametrize("channel", ["fax", "", "Email", "in-app"])
def test_no_other_channel(channel: str) -> None:
    problem = "the attribute must be one of email, push, sms, whatsapp, inbox_message, in_app"
    assert refusal(lambda data: parse_send(data, JobAttributes(channel=channel)), LETTER) == ("channel", problem)


@pytest.mark.parametrize("channel", CHANNELS[1:])
def test_the_other_channels_need_a_template(channel: str) -> None:
    body = {"identifiers": {"id": "42"}}
    assert refusal(lambda data: parse_send(data, JobAttributes(channel=channel)), body) == (
        "transactional_message_id",
        "is required",
    )


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"nope", "body", "must be JSON in UTF-8, without NaN or Infinity"),
        ({}, "identifiers", "is required"),
        (SMALLEST, "to", "is required"),
        ({**LETTER, "to": " "}, "to", "must not be empty"),
        ({**LETTER, "to": ["ada@example.com"]}, "to", "expected str, got array"),
        ({**LETTER, "identifiers": {}}, "identifiers", f"{ONE_OF} 0"),
        ({**LETTER, "identifiers": {"id": "1", "email": "a@example.com"}}, "identifiers", f"{ONE_OF} 2"),
        ({**LETTER, "identifiers": {"phone": "+49"}}, "identifiers", f"{ONE_OF} 0"),
        ({**LETTER, "identifiers": {"email": "ada"}}, "identifiers.email", "must be an email address"),
        ({**LETTER, "identifiers": {"id": "語" * 50 + "x"}}, "identifiers.id", "must be at most 150 bytes; it has 151"),
        (
            {**LETTER, "transactional_message_id": 1.5},
            "transactional_message_id",
            "expected int | str | null, got float",
        ),
        ({**LETTER, "send_at": NOW * 1000}, "send_at", "must be unix seconds; this looks like milliseconds"),
        ({**LETTER, "send_at": NOW + 0.5}, "send_at", f"{NOT_WHOLE}a decimal number"),
        ({**LETTER, "send_at": str(NOW)}, "send_at", f"{NOT_WHOLE}a string"),
        ({**LETTER, "send_at": 0}, "send_at", "must be unix seconds after 999999999"),
        ({**LETTER, "message_data": "x"}, "message_data", "expected object | null, got str"),
        ({**LETTER, "tracked": "yes"}, "tracked", "expected bool | null, got str"),
        ({**LETTER, "headers": {"X": "é"}}, "headers", "must be ASCII"),
        ({**LETTER, "headers": [{"name": "X", "value": "é"}]}, "headers", "must be ASCII"),
        ({**LETTER, "headers": "é"}, "headers", "must be ASCII"),
        ({**LETTER, "headers": r'{"X": "\u00e9"}'}, "headers", "must be ASCII"),
        ({**LETTER, "headers": "X-One: 1"}, "headers", HEADERS),
        ({**LETTER, "headers": '"X-One"'}, "headers", HEADERS),
        ({**LETTER, "headers": "[" * 19_000}, "headers", HEADERS),
        ({**LETTER, "headers": {"X": 1}}, "headers[...]", "expected str, got int"),
        ({**LETTER, "attachments": ["aGk="]}, "attachments", "expected object | null, got array"),
        ({**LETTER, "attachments": {"a.txt": 1}}, "attachments[...]", "expected str, got int"),
    ],
)
def test_what_can_never_succeed_is_refused(body: object, field: str, problem: str) -> None:
    assert refusal(parse_send, body) == (field, problem)


def test_fifteen_recipients() -> None:
    to, bcc = (",".join(f"{name}{n}@example.com" for n in range(count)) for name, count in (("a", 10), ("b", 5)))
    parse_send(encoded({**LETTER, "to": to + ", ", "bcc": bcc}))
    expected = ("to", "must be at most 15 recipients with cc and bcc; it has 16")
    assert refusal(parse_send, {**LETTER, "to": to, "bcc": bcc + ",c@example.com"}) == expected
    assert refusal(parse_send, {**LETTER, "to": to, "bcc": bcc, "cc": "c@example.com"}) == expected


def test_copies_count_as_recipients() -> None:
    copies = [f"c{n}@example.com" for n in range(15)]
    parse_send(encoded({**LETTER, "cc": ",".join(copies[:14])}))
    expected = ("to", "must be at most 15 recipients with cc and bcc; it has 16")
    assert refusal(parse_send, {**LETTER, "cc": ",".join(copies)}) == expected


def test_a_comma_within_a_name_is_no_recipient() -> None:
    to = ",".join(f'"Lovelace, Ada" <a{n}@example.com>' for n in range(15))
    parse_send(encoded({**LETTER, "to": to}))


@pytest.mark.parametrize("sizes", [[2 * 1024 * 1024 - 1], [1024 * 1024, 1024 * 1024 - 1], [2 * 1024 * 1024 - 3, 1, 1]])
def test_attachments_have_less_than_two_megabytes_in_all(sizes: list[int]) -> None:
    def with_attachments(*sizes: int) -> dict[str, Any]:
        return {
            **LETTER,
            "attachments": {f"{n}": base64.b64encode(b"x" * size).decode() for n, size in enumerate(sizes)},
        }

    parse_send(encoded(with_attachments(*sizes)))
    expected = ("attachments", "must be less than 2097152 bytes; they have 2097152")
    assert refusal(parse_send, with_attachments(*sizes, 1)) == expected
