"""The Track API v2: operations on people, objects, events and deliveries, sent in batches.

https://docs.customer.io/integrations/api/track/#operation/batch
"""

from collections.abc import Iterable, Sequence
from functools import partial

from ..batching import BacklogFullError, BatchLimits, Entry, MicroBatcher, NotSentError, ResultLateError
from ..deadlines import (
    BATCH_INTERVAL_SECONDS,
    BREAKER_MIN_PAUSE_SECONDS,
    MIN_REQUEST_SECONDS,
)
from .breaker import CircuitBreaker
from .errors import (
    CustomerIOError,
    DeadlineExceededError,
    RateLimitedError,
    RejectedError,
    UnknownOutcomeError,
)
from .http import Connection
from .rate_limit import TokenBucket
from .responses import batch_error, item_errors

_BATCH_PATH = "/api/v2/batch"
_PREFIX, _SEPARATOR, _SUFFIX = b'{"batch":[', b",", b"]}"

# "Smaller than 500kb": a kb may be 1000 or 1024 bytes, and the smaller one fits both.
MAX_BATCH_BYTES = 500_000
# Customer.io documents no number; RudderStack sends as many in production.
MAX_BATCH_ITEMS = 1_000

LIMITS = BatchLimits(
    max_bytes=MAX_BATCH_BYTES - len(_PREFIX) - len(_SUFFIX),
    max_items=MAX_BATCH_ITEMS,
    max_in_flight=16,
    max_waiting_items=4_000,
    max_waiting_bytes=32_000_000,
    interval=BATCH_INTERVAL_SECONDS,
    min_seconds=MIN_REQUEST_SECONDS,
)


class TrackAPI:
    """Applies operations; many callers share one request.

    Args:
        connection: Connection to the Track host.
        requests_per_second: This instance's share of the account's rate; None sets no limit.
        limits: How operations are gathered.
    """

    def __init__(
        self, connection: Connection, *, requests_per_second: float | None = None, limits: BatchLimits = LIMITS
    ) -> None:
        self._connection = connection
        self._breaker = CircuitBreaker()
        self._bucket = TokenBucket(requests_per_second)
        self._batcher = MicroBatcher(
            self._send, limits, max_in_flight=partial(self._breaker.max_in_flight, limits.max_in_flight)
        )

    def stop(self) -> None:
        """Begin nothing new, because the instance ends. Requests in flight go on."""
        self._breaker.stop()
        self._bucket.stop()

    async def apply(self, item: bytes, *, keys: Iterable[str], exclusive: bool, deadline: float | None = None) -> None:
        """Send one operation, and return when Customer.io accepted it.

        Operations that name the same key are sent in the order in which they came.

        Args:
            item: The operation's JSON, at most 32 KB.
            keys: Keys of the people and objects that the operation is about.
            exclusive: Whether the operation may not share a request with another one of the same key, because the
                order within a batch is not documented.
            deadline: Latest moment for the result, in seconds of ``time.monotonic()``. No request is started that
                cannot end by it. None sets no limit.

        Raises:
            CustomerIOError: if the operation was not accepted; the class says what can be done.
        """
        self._breaker.check()
        try:
            await self._batcher.submit(
                item, size=len(item) + len(_SEPARATOR), keys=tuple(keys), exclusive=exclusive, deadline=deadline
            )
        except BacklogFullError:
            raise RateLimitedError("too many operations wait for Customer.io") from None
        except NotSentError:
            raise DeadlineExceededError("the operation waited for Customer.io until the push's deadline") from None
        except ResultLateError:
            raise UnknownOutcomeError("no answer before the push's deadline", reason="timeout") from None

    async def _send(self, batch: Sequence[Entry[bytes]]) -> None:
        """Post one batch and settle its callers. Refused whole, it is halved until the item at fault is alone."""
        try:
            errors = await self._attempt(batch)
        except RejectedError as error:
            if len(batch) == 1:
                batch[0].settle(error)
                return
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                if in_time := self._batcher.give_back_late(half):
                    await self._send(in_time)
        except CustomerIOError as error:
            for entry in batch:
                entry.settle(error)
        else:
            for entry, rejection in zip(batch, errors, strict=True):
                entry.settle(rejection)

    async def _attempt(self, batch: Sequence[Entry[bytes]]) -> Sequence[RejectedError | None]:
        self._breaker.check()  # it may have opened since the operations were taken in
        deadlines = [entry.deadline for entry in batch if entry.deadline is not None]
        earliest = min(deadlines) - MIN_REQUEST_SECONDS if deadlines else None
        await self._bucket.take(deadline=earliest)
        # The operations' deadlines differ by little. A caller whose own is earlier is answered at its own.
        latest = max(deadlines) if len(deadlines) == len(batch) else None
        body = _PREFIX + _SEPARATOR.join([entry.item for entry in batch]) + _SUFFIX
        try:
            with self._breaker.request():
                return await self._post_twice(body, len(batch), latest)
        except RateLimitedError as error:
            if error.status == 429:
                self._bucket.pause(error.retry_after or BREAKER_MIN_PAUSE_SECONDS)
            raise

    async def _post_twice(self, body: bytes, count: int, deadline: float | None) -> Sequence[RejectedError | None]:
        """Post, and once more if the connection was dead: operations can be repeated, and events carry their id.

        An idle connection that Customer.io closed meanwhile is the usual cause (customerio-python#92).
        """
        try:
            return await self._post(body, count, deadline)
        except UnknownOutcomeError as error:
            if error.reason != "no_answer":
                raise
            first = error
        try:
            return await self._post(body, count, deadline)
        except DeadlineExceededError:
            raise first from None

    async def _post(self, body: bytes, count: int, deadline: float | None) -> Sequence[RejectedError | None]:
        answer = await self._connection.post(_BATCH_PATH, body, deadline=deadline, read=batch_error)
        return item_errors(answer, count)
