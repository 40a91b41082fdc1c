"""When a message is delivered again: retry backoff per message, and push backoff per subscription."""

from dataclasses import dataclass

from local.deadlines import FORGET_PUSH_BACKOFF_SECONDS, MAX_PUSH_BACKOFF_SECONDS, MIN_PUSH_BACKOFF_SECONDS
from local.pubsub.clock import Clock

# 64 doublings of a nanosecond exceed every maximum. Without a limit, endless failures would overflow a float.
_MAX_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A subscription's ``retry_policy``: exponential backoff per message.

    The nth failure of a message waits ``minimum * 2 ** (n - 1)`` seconds, at most ``maximum``; 0 stays 0.
    A subscription without a policy redelivers at once (https://docs.cloud.google.com/pubsub/docs/handling-failures).
    """

    minimum: float
    maximum: float

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after that many failures, before the time scale is applied."""
        doublings = min(failures - 1, _MAX_DOUBLINGS)
        return min(self.maximum, self.minimum * 2.0**doublings)


IMMEDIATE_RETRY = RetryPolicy(0, 0)


class PushBackoff:
    """Push backoff of a whole subscription (https://docs.cloud.google.com/pubsub/docs/push#push_backoff).

    Google documents the range (100 ms to 60 s) and that it grows exponentially with failures, not the arithmetic. Here:

    - A failed push (any answer that is not an ack, a timeout, no connection) doubles the delay, from 100 ms to 60 s.
    - Only a push that started after the last increase counts: a thousand pushes that were in flight when an endpoint
      died are one failure, not a thousand.
    - After each delay there is a round of up to a hundred pushes.
    - A successful push quarters the delay. Below 100 ms it is removed, and the subscription has its full window again.
    - A delay that has not grown for two minutes is removed too.

    So a few failing messages among healthy ones do not slow the others, a dead endpoint is tried once a minute, and one
    that is back gets its full rate soon after its first success. The time scale divides every delay.
    """

    _DECREASE_FACTOR = 4
    _PUSHES_PER_ROUND = 100

    def __init__(self, clock: Clock) -> None:
        self._min_delay = clock.scaled(MIN_PUSH_BACKOFF_SECONDS)
        self._max_delay = clock.scaled(MAX_PUSH_BACKOFF_SECONDS)
        self._forget_after = clock.scaled(FORGET_PUSH_BACKOFF_SECONDS)
        self._increased_at = float("-inf")
        self._resume_at = float("-inf")
        self._started_in_round = 0
        self.delay = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next push may start; 0 if it may start now."""
        if self.delay and now - self._increased_at > self._forget_after:
            self.delay = 0.0
        return max(0.0, self._resume_at - now) if self.delay else 0.0

    def started(self, now: float) -> None:
        """Count a push that was started. The last one of a round begins the next delay."""
        if not self.delay:
            return
        self._started_in_round += 1
        if self._started_in_round >= self._PUSHES_PER_ROUND:
            self._begin_delay(now)

    def failed(self, *, started_at: float, now: float) -> None:
        if started_at <= self._increased_at:
            return
        self.delay = min(self._max_delay, max(self._min_delay, self.delay * 2))
        self._increased_at = now
        self._begin_delay(now)

    def succeeded(self, now: float) -> None:
        if not self.delay:
            return
        self.delay /= self._DECREASE_FACTOR
        if self.delay < self._min_delay:
            self.delay = 0.0
        self._resume_at = min(self._resume_at, now + self.delay)

    def _begin_delay(self, now: float) -> None:
        self._started_in_round = 0
        self._resume_at = now + self.delay
