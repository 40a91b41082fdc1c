"""Micro-batching: one request for the items of many concurrent callers, and to each caller the result of its own.

Under load a batch leaves every few milliseconds with all that came meanwhile, so the requests stay few however many
callers there are. A lone item, after a lull as long as that, leaves at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field


class BatchingError(Exception):
    """Base of what the batcher itself raises."""


class BacklogFullError(BatchingError):
    """Too many items wait already; this one was not taken."""


class NotSentError(BatchingError):
    """The item's deadline came before it was sent. It will not be sent."""


class ResultLateError(BatchingError):
    """The item's deadline came while its request was in flight, so the result is not known."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How items are gathered.

    Args:
        max_bytes: Bytes of one batch; an item that is larger travels alone.
        max_items: Items of one batch.
        max_in_flight: Batches that may be in flight at once.
        max_waiting_items: Items that may wait; one more is refused.
        max_waiting_bytes: Bytes that may wait, so that memory stays bounded while the other side is slow.
        interval: Least seconds between two batches that are not full, so that they fill under load.
        min_seconds: Least seconds before an item's deadline at which it may still be sent.
    """

    max_bytes: int
    max_items: int
    max_in_flight: int
    max_waiting_items: int
    max_waiting_bytes: int
    interval: float
    min_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Entry[Item]:
    """One item with its caller.

    Args:
        item: The item as submitted.
        size: Its bytes in a request.
        keys: Its keys.
        exclusive: Whether it may not share a request with another item of one of its keys.
        deadline: Moment at which the caller goes away, in seconds of ``time.monotonic()``; None if it waits.
        result: None once the item is accepted, or the error for its caller.
    """

    item: Item = field(repr=False)
    size: int
    keys: Sequence[str] = field(repr=False)
    exclusive: bool
    deadline: float | None
    result: "asyncio.Future[BaseException | None]" = field(repr=False)

    def settle(self, error: BaseException | None = None) -> None:
        """Give the caller its result: None if the item was accepted. Does nothing if it has one or is gone."""
        if not self.result.done():
            self.result.set_result(error)

    @property
    def is_settled(self) -> bool:
        """Whether the caller has its result or is gone."""
        return self.result.done()


class MicroBatcher[Item]:
    """Gathers items of concurrent callers into batches.

    Items that share a key are sent in the order in which they came, never in two requests at once, and never in one
    request either when one of them is exclusive.

    Args:
        send: Sends one batch and settles each of its entries. An exception that it raises settles those that are left.
        limits: How items are gathered.
        max_in_flight: Returns the number of batches that may be in flight at the moment, at most the number in
            ``limits``; None takes that number.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Entry[Item]]], Awaitable[None]],
        limits: BatchLimits,
        *,
        max_in_flight: Callable[[], int] | None = None,
    ) -> None:
        self._send = send
        self._limits = limits
        self._max_in_flight = max_in_flight or (lambda: limits.max_in_flight)
        # A dict serves as queue, because a caller that goes away leaves from the middle.
        self._waiting: dict[Entry[Item], None] = {}
        self._waiting_bytes = 0
        self._keys_in_flight: set[str] = set()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._dispatched_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._with_deadline: dict[Entry[Item], float] = {}
        self._expiry: asyncio.TimerHandle | None = None

    async def submit(
        self,
        item: Item,
        *,
        size: int,
        keys: Sequence[str] = (),
        exclusive: bool = False,
        deadline: float | None = None,
    ) -> None:
        """Send one item, and return when it was accepted.

        Args:
            item: The item.
            size: Bytes that it takes in a request.
            keys: Names of what it is about.
            exclusive: Whether it may not share a request with another item of one of its keys.
            deadline: Moment at which the item is given back, in seconds of ``time.monotonic()``; None waits for the
                result however long it takes.

        Raises:
            BacklogFullError: if too many items wait.
            NotSentError: as soon as the deadline is too near for the item to be sent.
            ResultLateError: if the deadline came while the item's request was in flight.
            Exception: if ``send`` settled the item with it.
        """
        limits = self._limits
        if len(self._waiting) >= limits.max_waiting_items or self._waiting_bytes + size > limits.max_waiting_bytes:
            raise BacklogFullError
        loop = asyncio.get_running_loop()
        entry = Entry(item, size, keys, exclusive, deadline, loop.create_future())
        if deadline is not None:
            self._expire_at(entry, deadline - limits.min_seconds)
        self._waiting[entry] = None
        self._waiting_bytes += size
        self._schedule()
        try:
            if error := await entry.result:
                raise error.with_traceback(None)
        finally:
            self._with_deadline.pop(entry, None)
            if entry in self._waiting:  # its caller was cancelled
                self._remove(entry)
                self._schedule()

    def give_back_late(self, entries: Sequence[Entry[Item]]) -> list[Entry[Item]]:
        """Settle entries whose deadline is too near for a request, and return those that are still to be sent.

        The batcher does so before it sends a batch; ``send`` does so again before each further request of its own.
        """
        earliest = self._earliest_deadline()
        return [entry for entry in entries if not self._is_given_back(entry, earliest)]

    def _earliest_deadline(self) -> float:
        """Earliest deadline that leaves time for a request that starts now."""
        return asyncio.get_running_loop().time() + self._limits.min_seconds

    @staticmethod
    def _is_given_back(entry: Entry[Item], earliest_deadline: float) -> bool:
        if entry.deadline is not None and entry.deadline < earliest_deadline:
            entry.settle(NotSentError())
        return entry.is_settled

    def _expire_at(self, entry: Entry[Item], when: float) -> None:
        """Settle ``entry`` at ``when``. There is one timer for all: one each would cost half an item's CPU."""
        self._with_deadline[entry] = when
        if self._expiry is None or when < self._expiry.when():
            self._set_expiry(when)

    def _set_expiry(self, when: float | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = None if when is None else asyncio.get_running_loop().call_at(when, self._expire)

    def _expire(self) -> None:
        # The loop calls a timer when it is due to within the clock's resolution, which may be a moment early.
        now = max(asyncio.get_running_loop().time(), self._expiry.when() if self._expiry else 0.0)
        for entry in [entry for entry, when in self._with_deadline.items() if when <= now]:
            del self._with_deadline[entry]
            entry.settle(NotSentError() if entry in self._waiting else ResultLateError())
            self._remove(entry)
        self._set_expiry(min(self._with_deadline.values(), default=None))
        self._schedule()  # what was behind an item that expired may go

    def _remove(self, entry: Entry[Item]) -> None:
        if entry in self._waiting:
            del self._waiting[entry]
            self._waiting_bytes -= entry.size

    def _schedule(self) -> None:
        """Send what waits: at once if it fills a batch, otherwise when the interval since the last batch is over.

        Then, too, not before the loop's next turn, so that what came in this turn travels together.
        """
        if len(self._in_flight) >= self._max_in_flight():
            return  # the batch that ends next sends what waits
        if self._waiting_bytes >= self._limits.max_bytes or len(self._waiting) >= self._limits.max_items:
            self._dispatch()
        elif self._timer is None and self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._dispatched_at + self._limits.interval), self._dispatch)

    def _dispatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self._in_flight) >= self._max_in_flight():
            return
        batch = self._take_batch()
        if not batch:
            return  # all that wait are behind a request about one of their keys
        loop = asyncio.get_running_loop()
        self._dispatched_at = loop.time()
        task = loop.create_task(self._run(batch))
        self._in_flight.add(task)
        task.add_done_callback(lambda done: self._ended(done, batch))
        self._schedule()

    def _take_batch(self) -> list[Entry[Item]]:
        """Take, in order, what fits and is not behind an item of the same key. The rest keeps its order."""
        batch: list[Entry[Item]] = []
        given_back: list[Entry[Item]] = []
        taken: set[str] = set()
        barred = set(self._keys_in_flight)
        size = 0
        earliest_deadline = self._earliest_deadline()
        for entry in self._waiting:
            if self._is_given_back(entry, earliest_deadline):
                given_back.append(entry)
                continue
            if not barred.isdisjoint(entry.keys) or (entry.exclusive and not taken.isdisjoint(entry.keys)):
                barred.update(entry.keys)
                continue
            if batch and (size + entry.size > self._limits.max_bytes or len(batch) >= self._limits.max_items):
                break
            batch.append(entry)
            size += entry.size
            taken.update(entry.keys)
            if entry.exclusive:
                barred.update(entry.keys)
        for entry in (*batch, *given_back):
            self._remove(entry)
        for entry in batch:
            if entry.deadline is not None:  # its caller may wait for the result until then
                self._with_deadline[entry] = entry.deadline
        self._keys_in_flight |= taken
        return batch

    async def _run(self, batch: list[Entry[Item]]) -> None:
        try:
            await self._send(batch)
        except BaseException as error:  # a fault of ours must reach every caller, or their pushes would hang
            for entry in batch:
                entry.settle(error)
            if not isinstance(error, Exception):
                raise

    def _ended(self, task: asyncio.Task[None], batch: list[Entry[Item]]) -> None:
        self._in_flight.discard(task)
        for entry in batch:
            self._keys_in_flight.difference_update(entry.keys)
        self._schedule()
