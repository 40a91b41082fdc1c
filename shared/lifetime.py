"""The life of an instance: it runs until SIGTERM, then has seconds to finish what it began.

Cloud Run sends SIGTERM and, 10 s later, SIGKILL. What a kill interrupts is sent again by whoever takes the job over, so
nothing new begins after SIGTERM, what waits is given back, and what is on the wire is finished and recorded.
https://cloud.google.com/run/docs/container-contract#instance-shutdown
"""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType

from . import deadlines


class Lifetime:
    """Whether the instance is shutting down, and who wants to know.

    One object per process, used in one event loop.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self._callbacks: list[Callable[[], None]] = []
        self._limits: set[asyncio.Timeout] = set()
        self._is_watching = False

    def on_end(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called, in the event loop, when the shutdown begins."""
        self._callbacks.append(callback)

    def watch(self) -> None:
        """Begin the shutdown at SIGTERM, before the server's own handler runs. Called in the event loop; idempotent.

        Not done when the module is imported: the server installs its handler later, and would replace ours.
        """
        if self._is_watching or threading.current_thread() is not threading.main_thread():
            return
        self._is_watching = True
        loop = asyncio.get_running_loop()
        server = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.end)
            if callable(server):
                server(number, frame)

        signal.signal(signal.SIGTERM, handle)

    def end(self) -> None:
        """Begin the shutdown: tell everybody, and leave what is under way ``SHUTDOWN_SECONDS``."""
        if self.is_ending:
            return
        self.is_ending = True
        for callback in self._callbacks:
            callback()
        latest = asyncio.get_running_loop().time() + deadlines.SHUTDOWN_SECONDS
        for limit in self._limits:
            if (when := limit.when()) is not None and when > latest:
                limit.reschedule(latest)

    @asynccontextmanager
    async def limit(self, deadline: float) -> AsyncIterator[None]:
        """Bound what is done inside by ``deadline`` (``time.monotonic()``), and by the shutdown if that comes first.

        Raises:
            TimeoutError: if it is not done by then.
        """
        loop = asyncio.get_running_loop()
        when = loop.time() + deadline - time.monotonic()
        if self.is_ending:
            when = min(when, loop.time() + deadlines.SHUTDOWN_SECONDS)
        async with asyncio.timeout_at(when) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)
