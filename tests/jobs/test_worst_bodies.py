"""No body holds up the event loop: what would take long to parse is refused by counting, before it is parsed."""

import json
import time
from collections.abc import Callable

import pytest

from shared.attributes import JobAttributes
from shared.errors import InvalidJob
from shared.jobs import limits, parse
from shared.redaction import redacted

# CPU time of this thread, so that a busy machine fails nothing. On an idle core the worst body takes 20 ms, on a slow
# one that is shared up to 70 ms; without the limits it is seconds.
MAX_CPU_SECONDS = 0.25
SIZES = {
    "identify": limits.MAX_TRACK_DATA_BYTES,
    "track": limits.MAX_TRACK_DATA_BYTES,
    "sync": limits.MAX_TRACK_DATA_BYTES,
    "send": limits.MAX_SEND_DATA_BYTES,
}
AROUND = {
    "identify": b'{"identifiers":{"id":"1"},"attributes":{"x":%b}}',
    "track": b'{"identifiers":{"id":"1"},"name":"n","attributes":{"x":%b}}',
    "sync": b'{"id":"1","x":%b}',
    "send": b'{"transactional_message_id":1,"to":"a@b.c","identifiers":{"id":"1"},"message_data":{"x":%b}}',
}


def deep(count: int) -> bytes:
    return b"[" + b",".join([b"[" * 490 + b"]" * 490] * (count // 490)) + b"]"


# Each fills the size that it is given.
BODIES: dict[str, Callable[[int], bytes]] = {
    "deep lists": lambda size: deep(size // 2 - 1000),
    "small lists": lambda size: b"[" + b",".join([b"[]"] * (size // 3)) + b"]",
    "small objects": lambda size: b"[" + b",".join([b'{"a":1}'] * (size // 8)) + b"]",
    "many keys": lambda size: b"{" + b",".join(b'"%x":1' % n for n in range(size // 11)) + b"}",
    "numbers": lambda size: b"[" + b",".join([b"1.1"] * (size // 4)) + b"]",
    "escapes": lambda size: b'"' + rb"\u00e9" * (size // 6) + b'"',
    "one number": lambda size: b"0." + b"1" * size,
    "lists as many as are allowed": lambda _: deep(limits.MAX_BRACKETS - 490),
    "objects as many as are allowed": lambda _: b"[" + b",".join([b'{"a":1}'] * (limits.MAX_BRACKETS - 20)) + b"]",
    "numbers as many as are allowed": lambda _: b"[" + b",".join([b"1.1"] * (limits.MAX_COMMAS - 20)) + b"]",
}


def cpu_seconds(run: Callable[[], object]) -> float:
    """Least CPU time of three runs."""

    def once() -> float:
        started = time.thread_time()
        run()
        return time.thread_time() - started

    return min(once() for _ in range(3))


def judge(kind: str, data: bytes) -> str:
    """The refusal of a job; empty if it is taken."""
    try:
        parse(kind, data, JobAttributes())
    except InvalidJob as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("kind", AROUND)
@pytest.mark.parametrize("body", BODIES)
def test_no_body_takes_long(kind: str, body: str) -> None:
    data = AROUND[kind] % BODIES[body](SIZES[kind] - 1000)
    assert cpu_seconds(lambda: judge(kind, data)) < MAX_CPU_SECONDS


@pytest.mark.parametrize("kind", [*AROUND, "broadcast"])
def test_too_many_parts_are_refused_before_they_are_parsed(kind: str) -> None:
    brackets = limits.MAX_BROADCAST_BRACKETS if kind == "broadcast" else limits.MAX_BRACKETS
    assert judge(kind, b"[" * (brackets + 1)) == (
        f"body: must have at most {brackets} objects and arrays; it has {brackets + 1}"
    )
    commas = limits.MAX_BROADCAST_COMMAS if kind == "broadcast" else limits.MAX_COMMAS
    assert judge(kind, b"," * (commas + 1)) == f"body: must have at most {commas} commas; it has {commas + 1}"


def test_as_many_as_are_allowed_are_taken() -> None:
    lists = b"[" + b",".join([b"[]"] * (limits.MAX_BRACKETS - 4)) + b"]"
    data = AROUND["send"] % lists
    assert data.count(b"[") + data.count(b"{") == limits.MAX_BRACKETS
    assert judge("send", data) == ""


def test_a_broadcast_names_ten_thousand_people_with_their_data() -> None:
    people = [{"id": str(n), "data": {"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}} for n in range(10_000)]
    assert judge("broadcast", json.dumps({"broadcast_id": 1, "per_user_data": people}).encode()) == ""


@pytest.mark.parametrize("to", ["," * 3_000_000, '"a' * 900_000, "a@b.c" * 5_000])
def test_a_list_of_recipients_that_is_far_too_long_is_refused_by_its_length(to: str) -> None:
    job = {"transactional_message_id": 1, "to": to, "identifiers": {"id": "1"}}
    data = json.dumps(job).encode()
    assert judge("send", data).startswith(("to: must be at most 20000 characters", "body: must have at most"))
    assert cpu_seconds(lambda: judge("send", data)) < MAX_CPU_SECONDS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([f"value {n}" for n in range(9_000)], "abcdefghijklmnop " * 120),
        (["a" * n for n in range(6, 440)], "a" * 2_000),
        (["ab" * 1_000 + str(n) for n in range(48)], "ab" * 1_000),
        (["x" * 40_000], "x" * 2_000),
    ],
    ids=["many", "each within the next", "alike", "one long one"],
)
def test_no_refusal_takes_long_to_redact(values: list[str], message: str) -> None:
    data = json.dumps({"identifiers": {"id": "1"}, "values": values}).encode()
    assert cpu_seconds(lambda: redacted(message, data)) < MAX_CPU_SECONDS
