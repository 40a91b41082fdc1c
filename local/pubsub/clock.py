import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count


class Clock:
    """Time as the broker sees it.

    Args:
        time_scale: what backoffs are divided by: retry policies and the push slow-down, and nothing else. Ack
            deadlines, retention and publish times are the real ones at any scale.
    """

    def __init__(self, time_scale: float = 1.0) -> None:
        if time_scale <= 0:
            message = f"time_scale must be above 0, not {time_scale}"
            raise ValueError(message)
        self.time_scale = time_scale

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, for publish times and retention."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds on the running loop's clock, for deadlines and backoffs."""
        return asyncio.get_running_loop().time()

    def scaled(self, seconds: float) -> float:
        """A backoff as long as it is to last here."""
        return seconds / self.time_scale


class DueQueue[T]:
    """Items that become due at a time of their own, behind one timer however many they are.

    A single item cannot be taken out: the receiver recognises one that no longer matters.

    Args:
        due: called with every item that is due, soonest first.
    """

    def __init__(self, due: Callable[[list[T]], None]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, T]] = []
        self._tie_break = count()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T, at: float) -> None:
        """Hand ``item`` over at loop time ``at``."""
        heapq.heappush(self._heap, (at, next(self._tie_break), item))
        if self._timer is None or at < self._timer.when():
            self._arm()

    def __len__(self) -> int:
        return len(self._heap)

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Forget every item that is not ``wanted``. Looks at all of them."""
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
            self._due(items)
        if self._heap and self._timer is None:
            self._arm()
