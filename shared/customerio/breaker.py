"""Whether a request may go to Customer.io now: rate, pause after a 429, breaker after failures, hold when turned away.

One gate per API and instance. It decides and never waits; whoever asks answers its push at once, and Pub/Sub brings
the job again.
"""

import time
from collections.abc import Callable

from .errors import (
    ConfigurationError,
    CustomerIOError,
    RateLimitedError,
    RejectedError,
    SuspendedError,
    UnknownOutcomeError,
    UnreachableError,
)

_FAILURES_TO_OPEN = 5
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


class CircuitBreaker:
    """Open, paused (429), suspended (breaker) or held (credentials, region); after a pause one probe decides.

    Args:
        now: a monotonic clock in seconds; given by tests.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures = 0
        self._pause = _SHORTEST_PAUSE
        self._closed_until = 0.0
        self._because: CustomerIOError | None = None

    def check(self) -> None:
        """Return when a request may go.

        Raises:
            RateLimitedError: Customer.io asked for a pause.
            SuspendedError: it failed too often in a row.
            ConfigurationError: it turned us away, and a person has to act.
        """
        if self._because is not None and self._now() < self._closed_until:
            raise self._because.with_traceback(None)

    @property
    def is_probing(self) -> bool:
        """Whether the pause is over and nothing has succeeded since: one request at a time, then."""
        return self._because is not None

    def succeeded(self) -> None:
        """Customer.io took a request, or refused it for its own sake: it is there.

        A request that was under way when the pause began does not end it.
        """
        self._failures = 0
        if self._now() < self._closed_until:
            return
        self._pause = _SHORTEST_PAUSE
        self._because = None

    def failed(self, error: CustomerIOError) -> None:
        """Take note of a request that failed."""
        match error:
            case RejectedError():
                self.succeeded()
            case RateLimitedError():
                self._close(error, error.retry_after)
            case ConfigurationError():
                self._close(error)
            case UnreachableError() | UnknownOutcomeError():
                self._failures += 1
                if self._failures >= _FAILURES_TO_OPEN or self.is_probing:
                    self._close(SuspendedError(f"suspended after failures: {error.message}", status=error.status))

    def _close(self, because: CustomerIOError, seconds: float | None = None) -> None:
        now = self._now()
        if self._because is not None and now < self._closed_until and seconds is None:
            return  # of requests that were under way together, the first one has closed it
        self._closed_until = max(self._closed_until, now + (self._pause if seconds is None else seconds))
        self._because = because
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


class TokenBucket:
    """Token bucket: this instance's share of the account's rate.

    Args:
        per_second: requests per second; None is no limit.
        now: a monotonic clock in seconds; given by tests.
    """

    def __init__(self, per_second: float | None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._burst = max(0.0, 1.0 - self._interval)
        self._now = now
        self._next = now()

    def reserve(self, longest_wait: float) -> float:
        """Take the next token and return the seconds to wait for it; after a rest, one second's tokens are due at once.

        Raises:
            RateLimitedError: it would be due later than in ``longest_wait`` seconds; none is taken.
        """
        now = self._now()
        due = max(self._next, now - self._burst)
        if due - now > longest_wait:
            msg = "our share of Customer.io's rate is used up"
            raise RateLimitedError(msg)
        self._next = due + self._interval
        return max(0.0, due - now)
