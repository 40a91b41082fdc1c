"""Gathers Track v2 operations that wait at the same time into one ``POST /api/v2/batch``.

Each caller gets the fate of its own item.

A push carries one job, a batch takes hundreds. Under load a batch leaves every few milliseconds with all that came
meanwhile, so the requests stay few however many jobs there are; a lone job waits no longer than that.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .breaker import CircuitBreaker, TokenBucket
from .errors import CustomerIOError, RateLimitedError, RejectedError, UnknownOutcomeError

# "kb" may be 1000 or 1024 bytes: the smaller one fits both.
# https://docs.customer.io/integrations/api/track/#operation/batch
MAXIMUM_BATCH_BYTES = 500_000
_PREFIX, _SEPARATOR, _SUFFIX = b'{"batch":[', b",", b"]}"
_FRAME_BYTES = len(_PREFIX) + len(_SUFFIX)

PostBatch = Callable[[bytes, int], Awaitable[Sequence[RejectedError | None]]]


@dataclass(frozen=True, slots=True)
class BatcherLimits:
    """How the batcher gathers.

    Args:
        linger: seconds that the first operation waits for company after a lull.
        interval: least seconds between two part-filled batches, so that they fill under load. A full one goes at once.
        requests: how many batches may be under way.
        waiting: operations that may wait; one more is refused at once.
        waiting_bytes: and their bytes, so that memory stays bounded when Customer.io is slow.
        longest_wait: seconds after which a waiting operation is given back.
    """

    linger: float = 0.005
    interval: float = 0.02
    requests: int = 16
    waiting: int = 4_000
    waiting_bytes: int = 32_000_000
    longest_wait: float = 20.0


@dataclass(slots=True, eq=False)
class _Waiting:
    item: bytes
    keys: tuple[str, ...]
    alone: bool
    since: float
    fate: "asyncio.Future[CustomerIOError | None]" = field(repr=False)


class Batcher:
    """Takes operations from many concurrent callers.

    Operations that name the same key are sent in the order in which they came: never in two requests at once, and
    never in one request either when ``alone``, because the order within a batch is not documented.

    Args:
        post: sends one batch (its body, its number of items) and returns each item's fate; raises a
            ``CustomerIOError`` for all of it.
        gate: asked before an operation is taken.
        bucket: the rate of requests.
        limits: how it gathers.
    """

    def __init__(
        self, post: PostBatch, *, gate: CircuitBreaker, bucket: TokenBucket, limits: BatcherLimits | None = None
    ) -> None:
        self._post = post
        self._gate = gate
        self._bucket = bucket
        self._limits = limits or BatcherLimits()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._keys_under_way: set[str] = set()
        self._requests = 0
        self._dispatched_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, item: bytes, *, keys: Iterable[str], alone: bool) -> None:
        """Send one operation and return when Customer.io accepted it.

        Args:
            item: its JSON, at most 32 KB.
            keys: whom or what it is about.
            alone: whether it may not share a request with another operation of the same key.

        Raises:
            CustomerIOError: it was not accepted; the class says what can be done.
        """
        self._gate.check()
        if len(self._waiting) >= self._limits.waiting or self._waiting_bytes + len(item) > self._limits.waiting_bytes:
            msg = "too many operations wait for Customer.io"
            raise RateLimitedError(msg)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, tuple(keys), alone, time.monotonic(), loop.create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += len(item)
        self._schedule()
        if error := await waiting.fate:
            raise error.with_traceback(None)

    def _schedule(self) -> None:
        """See to it that what waits is sent: now when it fills a batch, else when the interval is over."""
        if self._waiting_bytes >= MAXIMUM_BATCH_BYTES:
            self._dispatch()
        elif self._timer is None and self._waiting and self._requests < self._requests_allowed():
            loop = asyncio.get_running_loop()
            due = max(loop.time() + self._limits.linger, self._dispatched_at + self._limits.interval)
            self._timer = loop.call_at(due, self._dispatch)

    def _dispatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._requests >= self._requests_allowed():
            return  # the one that ends next sends what waits
        batch = self._next_batch()
        if not batch:
            return  # all that wait are behind a request about the same key
        self._dispatched_at = asyncio.get_running_loop().time()
        self._requests += 1
        task = asyncio.ensure_future(self._run(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._schedule()

    def _requests_allowed(self) -> int:
        return 1 if self._gate.is_probing else self._limits.requests

    def _next_batch(self) -> list[_Waiting]:
        """Take, in order, what fits and is not behind an operation of the same key; the rest keeps its order."""
        batch: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        taken: set[str] = set()
        barred = set(self._keys_under_way)
        size = _FRAME_BYTES
        while self._waiting:
            waiting = self._waiting.popleft()
            size += len(waiting.item) + 1
            if batch and size > MAXIMUM_BATCH_BYTES:
                left.append(waiting)
                break
            if not barred.isdisjoint(waiting.keys) or (waiting.alone and not taken.isdisjoint(waiting.keys)):
                barred.update(waiting.keys)
                size -= len(waiting.item) + 1
                left.append(waiting)
                continue
            batch.append(waiting)
            taken.update(waiting.keys)
            if waiting.alone:
                barred.update(waiting.keys)
            self._waiting_bytes -= len(waiting.item)
        left.extend(self._waiting)
        self._waiting = left
        self._keys_under_way |= taken
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        try:
            if in_time := self._give_back_late(batch):
                await self._send(in_time)
        except CustomerIOError as error:
            _settle(batch, [error] * len(batch))
        except BaseException as fault:  # a fault of ours must reach every caller, or their pushes would hang
            for waiting in batch:
                if not waiting.fate.done():
                    waiting.fate.set_exception(fault)
            if not isinstance(fault, Exception):
                raise
        finally:
            self._requests -= 1
            for waiting in batch:
                self._keys_under_way.difference_update(waiting.keys)
            self._schedule()

    def _give_back_late(self, batch: list[_Waiting]) -> list[_Waiting]:
        earliest = time.monotonic() - self._limits.longest_wait
        error = RateLimitedError("waited too long for Customer.io")
        late = [waiting for waiting in batch if waiting.since < earliest]
        _settle(late, [error] * len(late))
        return [waiting for waiting in batch if waiting.since >= earliest]

    async def _send(self, batch: list[_Waiting]) -> None:
        """Post one batch and settle its callers; refused whole, it is halved until the item at fault is alone."""
        body = _PREFIX + _SEPARATOR.join([waiting.item for waiting in batch]) + _SUFFIX
        await asyncio.sleep(self._bucket.reserve(self._limits.longest_wait))
        if time.monotonic() - min(waiting.since for waiting in batch) > 2 * self._limits.longest_wait:
            raise RateLimitedError("waited too long for Customer.io")  # halving takes its time when many are at fault
        self._gate.check()  # it may have closed since these were taken in
        try:
            fates = await self._post_twice(body, len(batch))
        except RejectedError as error:
            self._gate.failed(error)
            if len(batch) == 1:
                _settle(batch, [error])
                return
            middle = len(batch) // 2
            await self._send(batch[:middle])
            await self._send(batch[middle:])
        except CustomerIOError as error:
            self._gate.failed(error)
            _settle(batch, [error] * len(batch))
        else:
            self._gate.succeeded()
            _settle(batch, fates)

    async def _post_twice(self, body: bytes, count: int) -> Sequence[RejectedError | None]:
        """Post, and once more when the connection was dead: operations can be repeated, events carry their id.

        An idle connection that Customer.io closed meanwhile is the usual reason (customerio-python#92).
        """
        try:
            return await self._post(body, count)
        except UnknownOutcomeError as error:
            if error.reason != "no_answer":
                raise
            return await self._post(body, count)


def _settle(batch: Sequence[_Waiting], fates: Sequence[CustomerIOError | None]) -> None:
    for waiting, fate in zip(batch, fates, strict=True):
        if not waiting.fate.done():
            waiting.fate.set_result(fate)
