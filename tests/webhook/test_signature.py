import hashlib
import hmac
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.customerio.signature import sign, verify
from tests.payloads import BODY, KEY, SIGNATURE, TIMESTAMP


def hexdigest(message: bytes) -> str:
    return hmac.new(KEY.encode(), message, hashlib.sha256).hexdigest()


def test_published_vector() -> None:
    assert sign(KEY, TIMESTAMP, BODY) == SIGNATURE
    assert verify([KEY], TIMESTAMP, SIGNATURE, BODY)
    assert verify([KEY.encode()], TIMESTAMP, f"v0={SIGNATURE}", BODY)


def test_any_of_the_keys_verifies_and_an_empty_one_never() -> None:
    assert verify(["other", KEY], TIMESTAMP, SIGNATURE, BODY)
    assert not verify(["other", "another"], TIMESTAMP, SIGNATURE, BODY)
    assert not verify([], TIMESTAMP, SIGNATURE, BODY)
    assert not verify([""], TIMESTAMP, sign("", TIMESTAMP, BODY), BODY)


@pytest.mark.parametrize("position", [0, len(BODY) // 2, len(BODY) - 1])
def test_a_flipped_byte(position: int) -> None:
    flipped = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
    assert not verify([KEY], TIMESTAMP, SIGNATURE, flipped)


@pytest.mark.parametrize(
    ("timestamp", "value"),
    [
        (None, SIGNATURE),
        (TIMESTAMP, None),
        ("", SIGNATURE),
        (TIMESTAMP, ""),
        (TIMESTAMP, SIGNATURE.upper()),
        (TIMESTAMP, SIGNATURE[:-1]),
        (TIMESTAMP, SIGNATURE + "0"),
        (TIMESTAMP, SIGNATURE + "\n"),
        (TIMESTAMP, "é" * 64),
        (TIMESTAMP, "z" * 64),
        ("16926334\u0663\u0662", SIGNATURE),
        ("1692633433", SIGNATURE),
        (TIMESTAMP + "\n", SIGNATURE),
        (TIMESTAMP, hexdigest(BODY)),
        (TIMESTAMP, hexdigest(TIMESTAMP.encode() + b"." + BODY)),
        (TIMESTAMP, hexdigest(TIMESTAMP.encode() + b":" + BODY)),
    ],
)
def test_what_does_not_verify(timestamp: str | None, value: str | None) -> None:
    assert not verify([KEY], timestamp, value, BODY)


def test_the_start_of_a_body_cannot_be_moved_into_the_header() -> None:
    head, _, tail = BODY.partition(b":")
    assert not verify([KEY], f"{TIMESTAMP}:{head.decode()}", SIGNATURE, tail)


def test_age_is_checked_only_where_a_limit_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    now = int(TIMESTAMP) + 300
    monkeypatch.setattr(time, "time", lambda: float(now))
    assert verify([KEY], TIMESTAMP, SIGNATURE, BODY)
    assert verify([KEY], TIMESTAMP, SIGNATURE, BODY, max_age=300)
    assert not verify([KEY], TIMESTAMP, SIGNATURE, BODY, max_age=299)
    ahead = str(now + 301)
    assert not verify([KEY], ahead, sign(KEY, ahead, BODY), BODY, max_age=300)


texts = st.none() | st.text() | st.from_regex(r"(v0=)?[0-9a-f]{60,66}", fullmatch=True) | st.just(SIGNATURE)


@settings(deadline=None)  # how long it takes is up to the machine
@given(
    keys=st.lists(st.binary() | st.text() | st.text(alphabet="\ud800k")),
    timestamp=texts | st.from_regex(r"[0-9]+", fullmatch=True),
    value=texts,
    body=st.binary(),
    max_age=st.none() | st.floats(),
)
@example(keys=["\ud800"], timestamp="9" * 20, value="0" * 64, body=b"", max_age=1.0)
@example(keys=["k"], timestamp="9" * 5000, value="0" * 64, body=b"", max_age=1.0)
def test_never_raises_and_never_verifies_what_nobody_signed(
    keys: list[bytes | str], timestamp: str | None, value: str | None, body: bytes, max_age: float | None
) -> None:
    assert verify(keys, timestamp, value, body, max_age=max_age) is False


@settings(deadline=None)  # how long it takes is up to the machine
@given(key=st.text(min_size=1) | st.binary(min_size=1), timestamp=st.integers(0, 10**12), body=st.binary())
def test_what_was_signed_verifies(key: str | bytes, timestamp: int, body: bytes) -> None:
    assert verify([key], str(timestamp), sign(key, timestamp, body), body) is True
