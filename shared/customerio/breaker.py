"""A circuit breaker: whether a request may go to Customer.io now.

It opens on failures in a row, on a 429 and when Customer.io turns the account away. It never waits: while it is open,
the caller answers its push at once and Pub/Sub brings the job again.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

from ..deadlines import BREAKER_MAX_PAUSE_SECONDS, BREAKER_MIN_PAUSE_SECONDS
from .errors import (
    ConfigurationError,
    CustomerIOError,
    RateLimitedError,
    RejectedError,
    ShuttingDownError,
    SuspendedError,
    UnknownOutcomeError,
    UnreachableError,
)

_FAILURES_TO_OPEN = 5


class CircuitBreaker:
    """Closed, open for a pause, or half-open: after the pause one request at a time probes until one succeeds.

    Use one breaker per API and instance.

    Args:
        now: A monotonic clock in seconds; the event loop's by default.
    """

    def __init__(self, *, now: Callable[[], float] = lambda: asyncio.get_running_loop().time()) -> None:
        self._now = now
        self._failures = 0
        self._pause = BREAKER_MIN_PAUSE_SECONDS
        self._open_until = 0.0
        self._cause: CustomerIOError | None = None
        self._probe_in_flight = False

    @property
    def is_closed(self) -> bool:
        """Whether requests go freely. Open and half-open both count as not closed."""
        return self._cause is None

    def max_in_flight(self, requests: int) -> int:
        """Number of requests that may be in flight: ``requests`` while closed, otherwise the one that probes."""
        return requests if self.is_closed else 1

    def check(self) -> None:
        """Return unless the breaker is open.

        Raises:
            RateLimitedError: if Customer.io asked for a pause.
            SuspendedError: if Customer.io failed too often in a row.
            ConfigurationError: if Customer.io turned the account away, so that a person has to act.
            ShuttingDownError: after ``stop``.
        """
        if self._cause is not None and self._now() < self._open_until:
            raise _held_back(self._cause)

    def stop(self) -> None:
        """Open for good, because the instance ends. Requests in flight go on."""
        self._cause = ShuttingDownError("the instance is shutting down")
        self._open_until = float("inf")

    @contextmanager
    def request(self) -> Iterator[None]:
        """Surround one request, and learn from the ``CustomerIOError`` that it raises or does not raise.

        Raises:
            CustomerIOError: as ``check``, and if a probe is in flight already.
        """
        self.check()
        probing = self._cause is not None
        if probing and self._probe_in_flight and self._cause is not None:
            raise _held_back(self._cause)
        self._probe_in_flight = self._probe_in_flight or probing
        try:
            yield
        except CustomerIOError as error:
            self._record_failure(error)
            raise
        else:
            self._record_success()
        finally:
            if probing:
                self._probe_in_flight = False

    def _record_success(self) -> None:
        """Customer.io answered. A request that was in flight when the pause began does not end the pause."""
        self._failures = 0
        if self._now() < self._open_until:
            return
        self._pause = BREAKER_MIN_PAUSE_SECONDS
        self._cause = None

    def _record_failure(self, error: CustomerIOError) -> None:
        match error:
            case RejectedError():
                self._record_success()  # a refusal shows that Customer.io is there
            case RateLimitedError():
                self._open(error, error.retry_after)
            case ConfigurationError():
                self._open(error)
            case UnreachableError() | UnknownOutcomeError():
                self._failures += 1
                if self._failures >= _FAILURES_TO_OPEN or self._cause is not None:
                    self._open(SuspendedError(f"suspended after failures: {error.message}", status=error.status))

    def _open(self, cause: CustomerIOError, seconds: float | None = None) -> None:
        now = self._now()
        was_open = now < self._open_until
        if was_open and seconds is None:
            return  # the first of the requests that were in flight together has opened it
        self._open_until = max(self._open_until, now + (self._pause if seconds is None else seconds))
        self._cause = cause
        if not was_open:
            self._pause = min(self._pause * 2, BREAKER_MAX_PAUSE_SECONDS)


def _held_back(cause: CustomerIOError) -> CustomerIOError:
    """The error for a request that does not go out, because of an earlier one's ``cause``."""
    error = copy(cause).with_traceback(None)
    error.is_held_back = True
    return error
