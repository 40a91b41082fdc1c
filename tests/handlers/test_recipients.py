"""Whoever is not allowed gets nothing, in whatever field and spelling; what cannot be read is not allowed."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.attributes import JobAttributes
from shared.handlers.recipients import allowed_send, refused_broadcast
from shared.jobs import SendRequest, parse
from shared.outcome import Failed
from shared.recipients import NOBODY, RecipientPolicy

OUTSIDER = "ada@customer.example"
POLICY = RecipientPolicy.decode(
    json.dumps(
        {
            "domains": ["Example.com"],
            "addresses": ["qa@partner.example"],
            "ids": ["42"],
            "phone_prefixes": ["+1555"],
        }
    )
)
REDIRECT = msgspec.structs.replace(POLICY, redirect_to="inbox@example.com")

insiders = st.sampled_from(["me@example.com", "QA@partner.example", "Me <ME@Example.COM>", '"Doe, J" <j@example.com>'])
outsiders = st.one_of(
    st.sampled_from(
        [
            OUTSIDER,
            OUTSIDER.upper(),
            f"Ada <{OUTSIDER}>",
            f'"me@example.com" <{OUTSIDER}>',
            f"me@example.com <{OUTSIDER}>",
            f"{OUTSIDER}(me@example.com)",
            f"me@example.com\r\nBcc: {OUTSIDER}",
            f"me@example.com;{OUTSIDER}",
            f"me@example.com {OUTSIDER}",
            f"<{OUTSIDER}>,",
            f'"{OUTSIDER}"@example.com',
            f"{OUTSIDER}%example.com",
            f"me@example.com.{OUTSIDER.partition('@')[2]}",
            "me@sub.example.com",
            "me@notexample.com",
            "me@example.com.",
            "me@example.com@customer.example",
            "@example.com:ada@customer.example",
            "me@\N{KELVIN SIGN}example.com",
            "me@ex\N{CYRILLIC SMALL LETTER A}mple.com",
            "me@example\N{FULLWIDTH FULL STOP}com",
            "example.com",
            "{{customer.email}}",
            "{{customer.manager_email}}",
            f"{{{{ '{OUTSIDER}' }}}}",
            "{{message_data.to}}@example.com",
            "{% if true %}ada@customer.example{% endif %}",
            ",",
        ]
    ),
    # Whatever an address list holds, one that names the outsider's domain is refused.
    st.text(st.sampled_from('ab.@<>",;:() \t\\[]{}'), max_size=20).map(
        lambda junk: f"{junk}ada@customer.example{junk}"
    ),
)


def send(channel: str, body: Mapping[str, Any]) -> SendRequest:
    data = msgspec.json.encode({"identifiers": {"id": "7"}, "transactional_message_id": 1, **body})
    return parse("send", data, JobAttributes(channel=channel))


def refused_field(channel: str, body: Mapping[str, Any], policy: RecipientPolicy = POLICY) -> str | None:
    result = allowed_send(send(channel, body), policy)
    if isinstance(result, Failed):
        assert result.error_class == "recipient_not_allowed"
        assert OUTSIDER not in result.message
        return result.field
    return None


@given(st.lists(insiders, min_size=1, max_size=4).map(", ".join))
def test_an_insider_gets_the_email(to: str) -> None:
    assert refused_field("email", {"to": to, "cc": to, "bcc": to}) is None


@given(st.sampled_from(["to", "cc", "bcc"]), st.lists(insiders, max_size=2), outsiders, st.lists(insiders, max_size=2))
def test_one_outsider_in_any_field_holds_the_email_back(
    field: str, before: list[str], outsider: str, after: list[str]
) -> None:
    body = {"to": "me@example.com", field: ",".join([*before, outsider, *after])}
    if outsider == ",":
        body[field] = ",,"
    assert refused_field("email", body) == field


@pytest.mark.parametrize(
    "headers",
    [
        {"Bcc": OUTSIDER},
        {" CC ": OUTSIDER},
        [{"name": "Resent-To", "value": OUTSIDER}],
        json.dumps([{"name": "to", "value": OUTSIDER}]),
        [["Bcc", OUTSIDER]],
    ],
)
def test_a_header_names_no_further_recipient(headers: object) -> None:
    assert refused_field("email", {"to": "me@example.com", "headers": headers}, REDIRECT) == "headers"


def test_a_harmless_header_stays() -> None:
    assert refused_field("email", {"to": "me@example.com", "headers": {"X-Campaign": "spring"}}) is None


@pytest.mark.parametrize(
    ("channel", "body", "field"),
    [
        ("sms", {"to": "+15550100"}, None),
        ("sms", {"to": "+44 1555"}, "to"),
        ("sms", {"to": "+1 555 0100"}, "to"),
        ("sms", {"to": "0015550100"}, "to"),
        ("sms", {"to": "{{customer.phone}}"}, "identifiers"),
        ("sms", {"to": "{{customer.boss}}"}, "to"),
        ("sms", {}, "identifiers"),
        ("sms", {"identifiers": {"id": 42}}, None),
        ("whatsapp", {"to": "+4915550100"}, "to"),
        ("push", {"to": "all"}, "identifiers"),
        ("push", {"to": "last_used", "identifiers": {"id": "42"}}, None),
        ("push", {"to": "a-token", "identifiers": {"id": "42"}}, "to"),
        ("in_app", {}, "identifiers"),
        ("in_app", {"identifiers": {"cio_id": "42"}}, "identifiers"),
        ("inbox_message", {"identifiers": {"email": "me@example.com"}}, None),
        ("inbox_message", {"identifiers": {"email": OUTSIDER}}, "identifiers"),
        ("email", {"to": "{{ customer.email }}", "identifiers": {"id": "42"}}, None),
        ("email", {"to": "{{customer.email}}, me@example.com", "identifiers": {"id": "42"}}, "to"),
        ("email", {"to": "{{customer.email}}", "identifiers": {"email": OUTSIDER}}, "to"),
    ],
)
def test_what_customerio_has_stored_is_allowed_by_the_person(
    channel: str, body: Mapping[str, Any], field: str | None
) -> None:
    assert refused_field(channel, body) == field


def test_nobody_is_allowed_by_default_and_everybody_only_when_it_says_so() -> None:
    assert refused_field("email", {"to": "me@example.com"}, NOBODY) == "to"
    assert refused_field("email", {"to": OUTSIDER}, RecipientPolicy.decode('{"everybody": true}')) is None


@given(outsiders)
def test_a_redirected_email_goes_to_the_inbox_alone(outsider: str) -> None:
    result = allowed_send(send("email", {"to": f"{outsider}x", "bcc": OUTSIDER, "subject": "hi"}), REDIRECT)
    assert isinstance(result, SendRequest)
    assert {name: result.body.get(name) for name in ("to", "cc", "bcc")} == {
        "to": "inbox@example.com",
        "cc": None,
        "bcc": None,
    }


def test_a_broadcast_needs_a_word_of_its_own() -> None:
    assert refused_broadcast(POLICY)
    assert refused_broadcast(RecipientPolicy(broadcasts=True)) is None
    assert refused_broadcast(RecipientPolicy(everybody=True)) is None


@pytest.mark.parametrize(
    "text", ["{", '{"domain": ["example.com"]}', '{"redirect_to": "nobody"}', '{"phone_prefixes": [""]}', "null"]
)
def test_a_policy_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec words most of them
        RecipientPolicy.decode(text)
