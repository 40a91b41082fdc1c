"""What every open page is sent: numbers and fragments of HTML, read once a second while anybody looks."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from local import deadlines

type Read = Callable[[], Coroutine[Any, Any, Mapping[str, str]]]
"""Reads the present parts of the page: text by the name of a part."""

_log = logging.getLogger(__name__)
_RETRY_LINE = f"retry: {deadlines.CONSOLE_RECONNECT_SECONDS * 1000:.0f}\n\n".encode()


class Live:
    """Sends each watcher the parts that changed since it was sent them last.

    Args:
        read: Reads all parts. A failure is logged, and the next reading is tried as usual.
        follow: Runs while anybody watches, and is cancelled when the last watcher leaves.
    """

    def __init__(self, read: Read, follow: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._read = read
        self._follow = follow
        self._following: asyncio.Task[None] | None = None
        self._parts: dict[str, str] = {}
        self._version = 0
        self._watchers = 0
        self._watched = asyncio.Event()
        self._changed = asyncio.Condition()
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Read again at once: something was changed from the page."""
        self._hurry.set()

    async def run(self) -> None:
        """Read while anybody watches, until cancelled."""
        while True:
            await self._watched.wait()
            try:
                parts = await self._read()
            except Exception:  # noqa: BLE001 - the page's next second may be better
                _log.exception("The console could not read the stack's state.")
            else:
                async with self._changed:
                    self._parts = dict(parts)
                    self._version += 1
                    self._changed.notify_all()
            self._hurry.clear()
            try:
                async with asyncio.timeout(deadlines.CONSOLE_LOOK_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events for one watcher: each is named after its part and has JSON text as data."""
        sent: dict[str, str] = {}
        seen = 0
        self._add_watcher()
        try:
            yield _RETRY_LINE
            while True:
                async with self._changed:
                    while self._version == seen:
                        await self._changed.wait()
                    seen, parts = self._version, self._parts
                for name, text in parts.items():
                    if sent.get(name) != text:
                        yield f"event: {name}\ndata: {json.dumps(text)}\n\n".encode()
                sent = parts
        finally:
            self._remove_watcher()

    async def close(self) -> None:
        """End what runs while anybody watches."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _add_watcher(self) -> None:
        self._watchers += 1
        if self._watchers == 1 and self._follow is not None:
            self._following = asyncio.create_task(self._follow())
        self._watched.set()
        self._hurry.set()

    def _remove_watcher(self) -> None:
        self._watchers -= 1
        if not self._watchers:
            self._watched.clear()
            if self._following is not None:
                self._following.cancel()
