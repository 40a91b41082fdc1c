"""When a delivery is tried again: per message (the retry policy) and per push subscription (the slow-down)."""

from dataclasses import dataclass

from local.pubsub.clock import Clock

_MOST_DOUBLINGS = 64
"""From a nanosecond past any maximum. Without a dead-letter policy failures go on for ever, and a float does not."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A subscription's ``retry_policy``: exponential, per message.

    The nth failure of a message waits ``minimum * 2 ** (n - 1)`` seconds, at most ``maximum``; 0 stays 0.
    A subscription without a policy redelivers at once (https://docs.cloud.google.com/pubsub/docs/handling-failures).
    """

    minimum: float
    maximum: float

    def delay(self, failures: int) -> float:
        """Seconds, before the time scale."""
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        return min(self.maximum, self.minimum * 2.0**doublings)


IMMEDIATELY = RetryPolicy(0, 0)


class PushSlowDown:
    """Push backoff on a whole subscription (https://docs.cloud.google.com/pubsub/docs/push#push_backoff).

    Google documents the range (100 ms to 60 s) and that it grows exponentially with failures, not the arithmetic. Here:

    - a failed push (any answer that is not an ack, a timeout, no connection) doubles the pause, from 100 ms to 60 s;
    - only a push that was started after the last growth counts: a thousand pushes that were in flight when an endpoint
      died say one thing, not a thousand;
    - when a pause is over pushes start again, up to a hundred of them before the next one;
    - a push that succeeds quarters the pause; below 100 ms it is gone and the subscription is back at full width;
    - a pause that has not grown for two minutes is gone too.

    So a few sick messages among healthy ones do not slow the others, a dead endpoint is asked in rounds a minute apart,
    and one that is back gets its full rate soon after its first success. The time scale divides all of it.
    """

    _SHRINK = 4
    _ROUND = 100

    def __init__(self, clock: Clock) -> None:
        self._first = clock.scaled(0.1)
        self._longest = clock.scaled(60)
        self._grown_at = float("-inf")
        self._resume_at = float("-inf")
        self._started = 0
        self.pause = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next push may start; 0 when it may start now."""
        if self.pause and now - self._grown_at > 2 * self._longest:
            self.pause = 0.0
        return max(0.0, self._resume_at - now) if self.pause else 0.0

    def started(self, now: float) -> None:
        """Note that a push was started: between two pauses there is one round of them."""
        if not self.pause:
            return
        self._started += 1
        if self._started >= self._ROUND:
            self._begin_pause(now)

    def failed(self, *, started_at: float, now: float) -> None:
        if started_at <= self._grown_at:
            return
        self.pause = min(self._longest, max(self._first, self.pause * 2))
        self._grown_at = now
        self._begin_pause(now)

    def succeeded(self, now: float) -> None:
        if not self.pause:
            return
        self.pause /= self._SHRINK
        if self.pause < self._first:
            self.pause = 0.0
        self._resume_at = min(self._resume_at, now + self.pause)

    def _begin_pause(self, now: float) -> None:
        self._started = 0
        self._resume_at = now + self.pause
