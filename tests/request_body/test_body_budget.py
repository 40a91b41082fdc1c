"""Bodies within limits: what is held is counted, and given back whatever happens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from shared.request_body import BodyBudget, BodyTooLargeError, TooManyBytesError


def request(*chunks: bytes, announced: str | None = None, hangs_up: bool = False) -> Request:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    messages.append({"type": "http.disconnect"} if hangs_up else {"type": "http.request", "body": b""})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [] if announced is None else [(b"content-length", announced.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


@pytest.fixture
def budget() -> BodyBudget:
    return BodyBudget(max_body=10, max_total=15)


@pytest.mark.parametrize("announced", [None, "10", "3", "nonsense", "\u0661"])
async def test_a_body_is_read_whatever_was_announced(budget: BodyBudget, announced: str | None) -> None:
    for _ in range(5):
        with budget.holding(request(b"12345", b"67890", announced=announced)) as held:
            assert await held.read() == b"1234567890"
    assert budget._held == 0


@pytest.mark.parametrize("announced", [None, "11", "9" * 18, "9" * 400])
async def test_a_longer_one_is_refused_and_leaves_nothing_behind(budget: BodyBudget, announced: str | None) -> None:
    with (
        pytest.raises(BodyTooLargeError),
        budget.holding(request(b"12345", b"67890", b"1", announced=announced)) as held,
    ):
        await held.read()
    assert budget._held == 0


@pytest.mark.parametrize("announced", [None, "10"])
async def test_what_others_hold_leaves_no_room_and_is_room_again(budget: BodyBudget, announced: str | None) -> None:
    with budget.holding(request(b"1234567890", announced="10")) as first:
        assert await first.read() == b"1234567890"
        with (
            pytest.raises(TooManyBytesError),
            budget.holding(request(b"1234567890", announced=announced)) as second,
        ):
            await second.read()
        with budget.holding(request(b"12345")) as third:
            assert await third.read() == b"12345"
    assert budget._held == 0


async def test_a_caller_that_hangs_up_gives_its_bytes_back(budget: BodyBudget) -> None:
    with pytest.raises(ClientDisconnect), budget.holding(request(b"12345", announced="10", hangs_up=True)) as held:
        await held.read()
    assert budget._held == 0


@given(st.lists(st.tuples(st.lists(st.binary(max_size=6), max_size=4), st.none() | st.integers(0, 20)), max_size=8))
async def test_never_more_than_the_budget_and_never_less_than_nothing(
    bodies: list[tuple[list[bytes], int | None]],
) -> None:
    budget = BodyBudget(max_body=10, max_total=15)
    for chunks, announced in bodies:
        try:
            made = request(*chunks, announced=None if announced is None else str(announced))
            with budget.holding(made) as held:
                assert await held.read() == b"".join(chunks)
                assert len(b"".join(chunks)) <= budget._held <= 15
        except (BodyTooLargeError, TooManyBytesError):
            assert len(b"".join(chunks)) > 10 or (announced or 0) > 10
        assert budget._held == 0
