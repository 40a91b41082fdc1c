"""A job is refused by the length of its data before anything is parsed, because parsing costs memory and time."""

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shared.jobs import InvalidJob, parse

LIMITS = {"identify": 256 * 1024, "track": 256 * 1024, "sync": 256 * 1024, "send": 4 * 1024 * 1024}
JOBS = {
    "identify": b'{"identifiers":{"id":"42"}}',
    "track": b'{"identifiers":{"id":"42"},"name":"bought"}',
    "sync": b'{"id":"42"}',
    "send": b'{"identifiers":{"id":"42"},"to":"a@example.com","transactional_message_id":7}',
}


@pytest.mark.parametrize("kind", LIMITS)
def test_the_limit_is_judged_by_length(kind: str) -> None:
    limit = LIMITS[kind]
    parse(kind, JOBS[kind].ljust(limit))
    with pytest.raises(InvalidJob) as caught:
        parse(kind, JOBS[kind].ljust(limit + 1))
    assert (caught.value.field, caught.value.problem) == ("body", f"must be at most {limit} bytes; it has {limit + 1}")


@pytest.mark.parametrize("kind", LIMITS)
def test_a_longer_body_is_not_parsed(kind: str) -> None:
    # Dense JSON takes thirty times its length once it is parsed.
    dense = b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"
    assert peak(partial(parse, kind), dense) < len(dense) // 10


def peak(parser: Callable[[bytes], Any], data: bytes) -> int:
    """The most bytes that were allocated while ``data`` was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidJob):
            parser(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
