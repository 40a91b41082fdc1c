"""Freeing Customer.io's words from the values of a job, however they are quoted."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.jobs import KINDS_AND_ACTIONS
from shared.redaction import redacted, without_addresses

SECRET = 'Ada Lovelace\'s <b>"canary"</b> é\n\t\\ 😀 of the canary house'
BODY = {"identifiers": {"id": "canary-42"}, "attributes": {"bio": SECRET, "age": 12345678, "plan": "pro"}}
DATA = json.dumps(BODY).encode()

QUOTED = {
    "as it is": SECRET,
    "json": json.dumps(SECRET, ensure_ascii=False),
    "json in ascii": json.dumps(SECRET),
    "json in json": json.dumps(json.dumps(SECRET)),
    "json as go writes it": json.dumps(SECRET).replace("<", "\\u003c").replace(">", "\\u003e"),
    "the body": DATA.decode(),
    "the body as text in json": json.dumps(DATA.decode()),
    "cut off": SECRET[:30],
    "the end of it": SECRET[-20:],
    "the middle of it": f"...{SECRET[5:35]}...",
    "an id": "canary-42",
}


@pytest.mark.parametrize("quoted", QUOTED.values(), ids=QUOTED)
def test_no_value_is_left_however_it_is_quoted(quoted: str) -> None:
    message = redacted(f"property value {quoted} is not valid", DATA)
    assert "canary" not in message
    assert message.startswith("property value ")
    assert message.endswith("is not valid")
    assert "[redacted]" in message


def test_numbers_are_values_too() -> None:
    assert redacted("12345678 is too old", DATA) == "[redacted] is too old"


@pytest.mark.parametrize(
    "message",
    [
        "property value cannot be longer than 1000 bytes",
        "attributes.bio is not allowed for plan pro",
        "person does not exist: identify it first",
        "",
    ],
)
def test_what_quotes_nothing_stays(message: str) -> None:
    data = json.dumps({"type": "person", "action": "identify", **BODY}).encode()
    assert redacted(message, data) == message


@pytest.mark.parametrize(
    "text",
    ["ada@example.com", "<ada@example.com>", '"ada@example.com"', "to=ada+news@mail.example.com", "ädä@exämple.com"],
)
def test_addresses_go_whatever_the_job_says(text: str) -> None:
    assert "example" not in without_addresses(f"bad address {text}, sorry")
    assert "example" not in redacted(f"bad address {text}, sorry", b"{}")


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"7"])
def test_a_job_that_cannot_be_read_hides_nothing_else(data: bytes) -> None:
    assert redacted("bad: ada@example.com", data) == "bad: [redacted]"


@pytest.mark.parametrize("depth", [100, 2_000, 9_000])
def test_of_any_depth(depth: int) -> None:
    data = b"[" * depth + b'"canary-42"' + b"]" * depth
    assert redacted("no canary-42", data) == "no [redacted]"


def test_a_long_message_is_cut_and_hides_what_it_is_cut_in() -> None:
    for padding in range(980, 1001):
        message = redacted("x " * (padding // 2) + "y" * (padding % 2) + "canary-42 " * 300, DATA)
        assert len(message) <= 1024
        assert "canary" not in message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES, st.text(min_size=6, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_of_any_job_and_any_words(other: Any, secret: str, before: str, after: str) -> None:
    message = redacted(before + secret + after, json.dumps([other, secret]).encode())
    assert secret not in message or secret in "[redacted]" or secret in KINDS_AND_ACTIONS


# Names and identifiers of people, however short.
PERSONAL_FIELDS = ["first_name", "last_name", "id", "email", "phone", "customer_id", "city", "to", "bcc"]
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
SPELLINGS = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "json": json.dumps,
    "in brackets": lambda text: f"({text})",
}


@given(st.sampled_from(PERSONAL_FIELDS), WORDS, st.sampled_from(sorted(SPELLINGS)))
def test_names_and_identifiers_go_however_short_and_however_they_are_spelt(
    field: str, value: str, spelling: str
) -> None:
    assume(len(value.lower()) == len(value.upper()) == len(value))
    assume(value not in KINDS_AND_ACTIONS)
    body = json.dumps({"identifiers": {field: value}, "plan": "pro"}).encode()
    message = redacted(f"<< {SPELLINGS[spelling](value)} >> is taken", body)
    assert message.startswith("<< ")
    assert value.lower() not in message.removesuffix("is taken").replace("[redacted]", "").lower()


GROUPS = st.sampled_from([" ", "-", ".", "", ") ", " ("])


@given(st.integers(1_000_000, 999_999_999_999_999), st.lists(GROUPS, min_size=5, max_size=5), st.booleans())
def test_phones_go_however_they_are_grouped(number: int, groups: list[str], plus: bool) -> None:
    digits = str(number)
    spelt = "".join(
        digit + (groups[position // 3 % 5] if position % 3 == 2 and position < len(digits) - 1 else "")
        for position, digit in enumerate(digits)
    )
    body = json.dumps({"to": f"+{digits}", "transactional_message_id": 1}).encode()
    message = redacted(f"no such number: {'+' if plus else ''}{spelt}!", body)
    assert not [each for each in message if each.isdigit()]
    assert message.endswith("!")


@pytest.mark.parametrize("text", ["+45 12 34 56 78", "0045-12345678", "(415) 555-0101", "12 34 56 78"])
def test_a_phone_goes_even_if_the_job_does_not_hold_it(text: str) -> None:
    message = redacted(f"to {text} failed", b"{}")
    assert message.replace("(", "") == "to [redacted] failed"


def test_numbers_that_say_what_to_do_stay() -> None:
    body = b'{"transactional_message_id": 7, "identifiers": {"id": "42"}}'
    message = "transactional message 7 not found; at most 32768 bytes in 300 attributes"
    assert redacted(message, body) == message


@pytest.mark.parametrize("size", [100_001, 400_001, 9_000_000])
def test_a_job_too_large_to_search_leaves_nothing_of_the_words_and_takes_no_time(size: int) -> None:
    body = json.dumps({"identifiers": {"id": "canary-42"}, "data": [f"{n:08}" for n in range(size // 8)]}).encode()
    assert "canary" not in redacted("no canary-42 here", body)
    assert redacted("", body) == ""
