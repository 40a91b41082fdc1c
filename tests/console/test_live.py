"""Live updates: only what changed is sent, nothing is read while nobody looks, and a failure is survived."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from local.console.live import Live


class Parts:
    """What is read: one part that always changes, one that never does."""

    def __init__(self) -> None:
        self.reads = 0
        self.fails = False
        self.failed = asyncio.Event()

    async def read(self) -> Mapping[str, str]:
        self.reads += 1
        if self.fails:
            self.failed.set()
            raise ValueError("broken")
        return {"count": str(self.reads), "same": "as ever"}


@asynccontextmanager
async def running(live: Live) -> AsyncIterator[None]:
    task = asyncio.create_task(live.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_part_that_did_not_change_is_sent_once() -> None:
    parts = Parts()
    live = Live(parts.read)
    async with running(live), asyncio.timeout(10):
        stream = live.stream()
        events = [await anext(stream) for _ in range(3)]
        live.hurry()
        events.append(await anext(stream))
        await stream.aclose()
    assert events[0].startswith(b"retry: ")
    assert [event.split(b"\n")[0] for event in events[1:]] == [b"event: count", b"event: same", b"event: count"]
    assert json.loads(events[3].split(b"data: ")[1]) == "2"


async def test_nothing_is_read_while_nobody_watches() -> None:
    parts = Parts()
    live = Live(parts.read)
    async with running(live), asyncio.timeout(10):
        for _ in range(5):
            live.hurry()
            await asyncio.sleep(0)
        assert parts.reads == 0
        stream = live.stream()
        await anext(stream)
        await anext(stream)
        await stream.aclose()
        before = parts.reads
        for _ in range(5):
            live.hurry()
            await asyncio.sleep(0)
        # A reading that had begun may end. No other begins.
        assert parts.reads <= before + 1


async def test_a_reading_that_fails_is_logged_and_the_next_one_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    parts.fails = True
    live = Live(parts.read)
    async with running(live), asyncio.timeout(10):
        stream = live.stream()
        await anext(stream)
        shown = asyncio.create_task(anext(stream))
        await parts.failed.wait()
        parts.fails = False
        live.hurry()
        assert (await shown).startswith(b"event: count")
        await stream.aclose()
    assert "could not read the stack's state" in caplog.text
