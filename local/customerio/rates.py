"""The account's rates, and the 429 above them.

The numbers are those of shared/topology.json, which the functions keep to, and the App API's published 10 requests a
second for everything that is neither a send nor a broadcast. A burst of three seconds' worth passes, as in the Track
API's "3000 requests per 3 seconds". A broadcast has no burst: one trigger, then a pause.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from local import deadlines
from local.customerio import limits
from shared.topology import topology

type RateName = Literal["track", "send", "app", "broadcast"]


class TokenBucket:
    """Token bucket that starts full and never makes anybody wait.

    Args:
        per_second: Tokens added each second; above 0.
        capacity: Tokens it holds at most; at least 1.
        now: Monotonic clock in seconds.
    """

    def __init__(self, per_second: float, capacity: float, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._capacity = self._tokens = max(1.0, capacity)
        self._now = now
        self._filled_at = now()

    def take(self) -> bool:
        """Take one token; False if there is none."""
        now = self._now()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per second that the account may make; `broadcast_pause` is in seconds, 0 for none."""

    track: float
    send: float
    app: float
    broadcast_pause: float

    @classmethod
    def published(cls, time_scale: float = 1.0) -> Self:
        """The account's rates. `time_scale` divides the pause between broadcasts and leaves the others alone."""
        rates = topology().rates
        pause = 1 / rates["broadcast"].per_second / time_scale
        return cls(rates["track"].per_second, rates["send"].per_second, limits.APP_REQUESTS_PER_SECOND, pause)


class RateLimiter:
    """One bucket for each of the account's rates. A refused request takes no token."""

    def __init__(self, rates: Rates) -> None:
        self._buckets: dict[RateName, TokenBucket] = {
            "track": _bucket(rates.track),
            "send": _bucket(rates.send),
            "app": _bucket(rates.app),
        }
        if rates.broadcast_pause:
            self._buckets["broadcast"] = TokenBucket(1 / rates.broadcast_pause, 1)

    def allows(self, name: RateName) -> bool:
        bucket = self._buckets.get(name)
        return bucket is None or bucket.take()


def _bucket(per_second: float) -> TokenBucket:
    return TokenBucket(per_second, per_second * deadlines.RATE_BURST_SECONDS)
