"""The token bucket in virtual time: the rate, the two classes, and what waits."""

import asyncio
from collections.abc import Awaitable

import pytest

from shared.customerio.errors import RateLimitedError
from shared.customerio.rate_limit import Places, TokenBucket
from tests.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def taken_at(taking: Awaitable[None]) -> float:
    await taking
    return now()


@pytest.mark.parametrize("per_second", [0.1, 1.0, 25.0, 1000.0])
def test_no_second_sees_more_than_the_rate_and_a_tenth(per_second: float) -> None:
    async def main() -> list[float]:
        bucket = TokenBucket(per_second)
        await asyncio.sleep(60)
        return await asyncio.gather(*(taken_at(bucket.take()) for _ in range(300)))

    times = run(main())
    window = max(1.0, 1 / per_second)
    for start in times:
        assert sum(start <= time < start + window - 1e-6 for time in times) <= per_second * window * 1.1 + 1
    assert times[-1] - times[0] <= 299 / per_second + 1e-6, "slower than the rate"


def test_a_taker_that_cannot_be_served_in_time_is_refused_at_once() -> None:
    async def main() -> None:
        bucket = TokenBucket(0.1)
        await bucket.take()
        started = now()
        with pytest.raises(RateLimitedError):
            await bucket.take(deadline=started + 5)
        assert now() == started
        await bucket.take(deadline=started + 10.5)
        assert now() == pytest.approx(started + 10)

    run(main())


def test_who_waits_is_counted_when_the_next_one_asks_for_a_token_in_time() -> None:
    async def main() -> None:
        bucket = TokenBucket(1.0)
        waiting = [asyncio.ensure_future(bucket.take()) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimitedError):
            await bucket.take(deadline=now() + 3)
        await asyncio.gather(*waiting)

    run(main())


def test_urgent_takers_are_served_before_bulk_ones_and_each_class_in_order() -> None:
    async def main() -> list[str]:
        bucket = TokenBucket(1.0)
        await bucket.take()
        order: list[str] = []

        async def take(name: str, *, bulk: bool) -> None:
            await bucket.take(bulk=bulk)
            order.append(name)

        calls = [asyncio.ensure_future(take(f"bulk {n}", bulk=True)) for n in range(2)]
        await asyncio.sleep(0)
        calls += [asyncio.ensure_future(take(f"urgent {n}", bulk=False)) for n in range(2)]
        await asyncio.gather(*calls)
        return order

    assert run(main()) == ["urgent 0", "urgent 1", "bulk 0", "bulk 1"]


def test_a_cancelled_taker_frees_its_place_in_the_line() -> None:
    async def main() -> None:
        bucket = TokenBucket(1.0)
        await bucket.take()
        started = now()
        first, second = (asyncio.ensure_future(taken_at(bucket.take())) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.sleep(0)
        assert bucket.waiting == 1
        assert await second == pytest.approx(started + 1)

    run(main())


def test_a_taker_cancelled_in_the_moment_of_its_token_passes_it_on() -> None:
    async def main() -> None:
        places = Places(lambda: 1)
        bucket = TokenBucket(1.0, places=places)
        await bucket.take()
        started = now()
        first = asyncio.ensure_future(bucket.take())
        await asyncio.sleep(1.5)
        bucket.free_place(bulk=False)  # hands a token to the first, which is gone before it runs
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await taken_at(bucket.take()) == pytest.approx(started + 1.5)

    run(main())


def test_a_deadline_ends_the_wait_for_a_place() -> None:
    async def main() -> None:
        bucket = TokenBucket(None, places=Places(lambda: 1))
        await bucket.take()
        started = now()
        with pytest.raises(RateLimitedError):
            await bucket.take(deadline=started + 2)
        assert now() == pytest.approx(started + 2)
        assert bucket.waiting == 0

    run(main())


def test_a_pause_holds_every_token_back() -> None:
    async def main() -> None:
        bucket = TokenBucket(100.0)
        started = now()
        bucket.pause(60)
        with pytest.raises(RateLimitedError):
            await bucket.take(deadline=started + 59)
        bucket.pause(5)  # a shorter pause does not end the longer one
        assert await taken_at(bucket.take()) == pytest.approx(started + 60)

    run(main())


def test_no_rate_is_no_wait() -> None:
    async def main() -> None:
        bucket = TokenBucket(None)
        started = now()
        for _ in range(1000):
            await bucket.take(deadline=started)
        assert now() == started

    run(main())
