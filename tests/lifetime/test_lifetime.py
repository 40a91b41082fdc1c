"""After SIGTERM nothing new begins, what waits is given back, and what is under way has seconds to end."""

import asyncio
import time

import pytest

from shared import deadlines
from shared.lifetime import Lifetime


async def test_a_limit_ends_at_its_deadline() -> None:
    with pytest.raises(TimeoutError):
        async with Lifetime().limit(time.monotonic() + 0.01):
            await asyncio.Event().wait()


async def test_the_end_tells_everybody_once_and_shortens_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "SHUTDOWN_SECONDS", 0.01)
    lifetime, told = Lifetime(), []
    lifetime.on_end(lambda: told.append(1))

    async def work() -> None:
        async with lifetime.limit(time.monotonic() + 60):
            await asyncio.Event().wait()

    working = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    lifetime.end()
    lifetime.end()
    assert told == [1]
    with pytest.raises(TimeoutError):
        await working
    with pytest.raises(TimeoutError):  # what begins all the same is bounded alike
        await work()


async def test_the_end_lengthens_nothing() -> None:
    lifetime = Lifetime()

    async def work() -> None:
        async with lifetime.limit(time.monotonic() + 0.01):
            lifetime.end()
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
