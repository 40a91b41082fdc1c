"""The broker's clock, and a queue of things that become due."""

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count


class Clock:
    """The broker's clock.

    Args:
        time_scale: Divides backoffs (retry policies and push backoff) and nothing else. Ack deadlines, retention and
            publish times are real ones at any scale.

    Raises:
        ValueError: if ``time_scale`` is not above 0.
    """

    def __init__(self, time_scale: float = 1.0) -> None:
        if time_scale <= 0:
            raise ValueError(f"time_scale must be above 0, not {time_scale}")
        self.time_scale = time_scale

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970, for publish times and retention."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds on the running loop's clock, for deadlines and backoffs."""
        return asyncio.get_running_loop().time()

    def scaled(self, seconds: float) -> float:
        """Return the length of a backoff under the time scale."""
        return seconds / self.time_scale


class DueQueue[T]:
    """Items with a time each, served by a single timer.

    A single item cannot be removed: ``on_due`` has to ignore one that no longer matters.

    Args:
        on_due: Called with all items that are due, soonest first.
    """

    def __init__(self, on_due: Callable[[list[T]], None]) -> None:
        self._on_due = on_due
        self._heap: list[tuple[float, int, T]] = []
        self._tie_break = count()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T, at: float) -> None:
        """Pass ``item`` to ``on_due`` at loop time ``at``."""
        heapq.heappush(self._heap, (at, next(self._tie_break), item))
        if self._timer is None or at < self._timer.when():
            self._arm()

    def __len__(self) -> int:
        return len(self._heap)

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Remove every item that is not ``wanted``. Visits all of them."""
        self._heap = [entry for entry in self._heap if wanted(entry[2])]
        heapq.heapify(self._heap)

    def clear(self) -> None:
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        items: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            items.append(heapq.heappop(self._heap)[2])
        if items:
            self._on_due(items)
        if self._heap and self._timer is None:
            self._arm()
