"""What holds of every parser whatever it is given: it refuses in its own words, or returns what can be sent."""

import json
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.attributes import JobAttributes
from shared.jobs import (
    CHANNELS,
    SCHEMAS,
    BroadcastTrigger,
    InvalidJob,
    SendRequest,
    TrackOperation,
    UserDeleted,
    UserRecord,
    parse,
)
from tests.jobs.job_helpers import NOW

CANARY = "canary"
NUMBER = 987_654_321_012  # a canary among numbers
Parsed = TrackOperation | SendRequest | BroadcastTrigger | UserRecord | UserDeleted


def parse_event(data: bytes) -> TrackOperation:
    return parse("track", data).with_event_defaults(event_id="0" * 26, occurred_at=NOW)


PARSERS: dict[str, Callable[[bytes], Parsed]] = {
    "identify": partial(parse, "identify"),
    "track": parse_event,
    "broadcast": partial(parse, "broadcast"),
    "sync": partial(parse, "sync"),
    **{channel: partial(parse, "send", attributes=JobAttributes(channel=channel)) for channel in CHANNELS},
}


def encodable(parsed: Parsed) -> bytes:
    """What the handlers make of it."""
    match parsed:
        case TrackOperation() | SendRequest() | BroadcastTrigger():
            return msgspec.json.encode(parsed.body)
        case UserRecord():
            msgspec.json.encode(parsed.attributes, order="deterministic")
            return msgspec.json.encode({"identifiers": {"id": parsed.id}, "attributes": parsed.attributes})
        case UserDeleted():
            return msgspec.json.encode({"identifiers": {"id": parsed.id}})


def holds(parser: str, data: bytes) -> None:
    try:
        parsed = PARSERS[parser](data)
    except InvalidJob as error:
        assert CANARY not in str(error)
        assert str(NUMBER) not in str(error)
        assert error.field
        assert error.problem
        assert not error.field.startswith(".")
    else:
        assert json.loads(encodable(parsed)) is not None


def fields_of(form: type[msgspec.Struct]) -> set[str]:
    """Names of a form's fields and of those nested in it."""
    names: set[str] = set()
    for field in msgspec.structs.fields(form):
        names.add(field.encode_name)
        for nested in _structs_in(field.type):
            names |= fields_of(nested)
    return names


def _structs_in(annotation: Any) -> list[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [struct for argument in get_args(annotation) for struct in _structs_in(argument)]


FIELDS = sorted(set[str]().union(*(fields_of(form) for forms in SCHEMAS.values() for form in forms)))
WORDS = ["person", "object", "delivery", "identify", "merge", "add_device", "event", "suppress", "add_relationships"]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 10**11)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(CANARY)
    | st.just(f"{CANARY} {CANARY}@example.com")
    | st.just(CANARY * 300)
    | st.just(NUMBER)
    | st.just(-(10**200))
    | st.sampled_from(WORDS)
)
NAMES = st.sampled_from(FIELDS) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=10
)
IDENTIFIERS = st.dictionaries(st.sampled_from(["id", "email", "cio_id", "object_type_id", "object_id"]), SCALARS)
LIKELY = st.fixed_dictionaries(
    {"identifiers": IDENTIFIERS | st.just({"id": CANARY})},
    optional={
        "type": st.sampled_from(["person", "object", "delivery"]) | VALUES,
        "action": st.sampled_from(WORDS) | VALUES,
        "name": st.just(CANARY) | VALUES,
        "id": SCALARS,
        "device": st.fixed_dictionaries({"token": SCALARS, "platform": SCALARS, "last_used": SCALARS}),
        "primary": IDENTIFIERS,
        "secondary": IDENTIFIERS,
        "cio_relationships": st.lists(st.fixed_dictionaries({"identifiers": IDENTIFIERS}), max_size=3),
        "attributes": st.dictionaries(NAMES, VALUES),
        "timestamp": SCALARS,
        "to": SCALARS,
        "transactional_message_id": SCALARS,
        "broadcast_id": SCALARS,
        "created_at": SCALARS,
        "deleted": SCALARS,
    },
)
BODIES = st.dictionaries(NAMES, VALUES) | LIKELY | VALUES


@pytest.mark.parametrize("parser", PARSERS)
@given(
    data=st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from('[]{}:,"1e\\u')).map("".join).map(str.encode)
)
@example(data=b"[" * 100_000)
@example(data=b'{"id":' + b"1" * 5000 + b"}")
@example(data=b'{"identifiers":{"id":"\\ud800"}}')
@example(data=b'{"identifiers":{"id":"\xed\xa0\x80"}}')
@example(data=b'{"identifiers":{"id":"\xff"}}')
@example(data=b'\xef\xbb\xbf{"identifiers":{"id":"1"}}')
def test_of_any_bytes(parser: str, data: bytes) -> None:
    holds(parser, data)


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=60)  # of each of nine parsers, which share most of their checks
@given(body=BODIES)
def test_of_any_json_that_is_shaped_like_a_job(parser: str, body: Any) -> None:
    holds(parser, json.dumps(body).encode())


FRAMES = {
    "identify": (b'{"identifiers":{"id":1},"attributes":{"a":', b"}}"),
    "track": (b'{"identifiers":{"id":1},"name":"n","attributes":{"a":', b"}}"),
    "email": (b'{"identifiers":{"id":1},"transactional_message_id":1,"to":"a@example.com","message_data":{"a":', b"}}"),
    "broadcast": (b'{"broadcast_id":1,"ids":["1"],"data":{"a":', b"}}"),
    "sync": (b'{"id":1,"a":', b"}"),
}


@pytest.mark.parametrize("parser", FRAMES)
@pytest.mark.parametrize("nesting", [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_of_any_depth(parser: str, nesting: tuple[bytes, bytes]) -> None:
    before, after = FRAMES[parser]
    opening, closing = nesting
    levels = 500 - before.count(b'":{"a":') - 1
    assert encodable(PARSERS[parser](before + opening * levels + b"1" + closing * levels + after))
    for deeper in (levels + 1, 1_000, 5_000, *range(9_970, 10_000), 20_000):  # ten thousand is where parsers end
        with pytest.raises(InvalidJob) as caught:
            PARSERS[parser](before + opening * deeper + b"1" + closing * deeper + after)
        assert caught.value.field == "body"


@pytest.mark.parametrize("parser", FRAMES)
@pytest.mark.parametrize("data", [b'{"secret": "canary"', b'{"id": ["canary"]}', b'["canary"]', b"\xff canary"])
def test_a_refusal_leaves_no_payload_in_its_traceback(parser: str, data: bytes) -> None:
    with pytest.raises(InvalidJob) as caught:
        PARSERS[parser](data)
    text = "".join(traceback.format_exception(caught.value))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    # The traceback's own source lines are ours; the parser's error, which may quote the data, is not in it.
    assert CANARY not in text


@pytest.mark.parametrize("parser", FRAMES)
@pytest.mark.parametrize(
    "number", [b"1" * 4300, b"-" + b"9" * 4000, b"1e308", b"5e-324", b"-0.0", b"18446744073709551616"]
)
def test_of_any_number(parser: str, number: bytes) -> None:
    before, after = FRAMES[parser]
    parsed = PARSERS[parser](before + number + after)
    assert json.loads(encodable(parsed)) is not None
