"""When recipients react to a message: its metrics are reported one after the other, some seconds apart.

The seconds are drawn at random around one scale: a message is delivered within a tenth of it, most are opened within
it, a few take five times as long, and a click follows its open. So the events in BigQuery have times to learn from. A
scale of 0 reports everything at once, for tests.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from local.customerio.deliveries import Deliveries, Delivery, reporting_event

type Report = Callable[[Mapping[str, Any]], None]

# Each metric's delay after the one before it, as a share of the scale: the shortest, the usual, the longest.
_DELAYS: Final[Mapping[str, tuple[float, float, float]]] = {
    "delivered": (0.01, 0.04, 0.1),
    "bounced": (0.01, 0.04, 0.1),
    "opened": (0.1, 0.4, 5.0),
    "clicked": (0.05, 0.2, 1.0),
    "spammed": (0.1, 0.4, 2.0),
    "unsubscribed": (0.1, 0.4, 2.0),
}


class Engagement:
    """Reports what becomes of deliveries.

    Args:
        deliveries: Where deliveries are kept.
        report: Called with each reporting webhook when it is due.
        scale: Seconds, see above.
    """

    def __init__(self, deliveries: Deliveries, report: Report, scale: float) -> None:
        self._deliveries = deliveries
        self._report = report
        self._scale = scale
        self._random = random.Random()  # noqa: S311 - a spread for people to look at
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def pending(self) -> int:
        """Deliveries that will report something later."""
        return len(self._timers)

    def start(self, delivery: Delivery) -> None:
        """Keep the delivery and report its metrics as they come due."""
        self._report_from(delivery, self._deliveries.add(delivery))

    def cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _report_from(self, delivery: Delivery, metrics: Sequence[str]) -> None:
        for position, metric in enumerate(metrics):
            delay = self._delay(metric)
            if delay:
                self._later(delay, delivery, metrics[position:])
                return
            self._report_now(delivery, metric)

    def _later(self, delay: float, delivery: Delivery, metrics: Sequence[str]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self._report_now(delivery, metrics[0])
            self._report_from(delivery, metrics[1:])

        timer = asyncio.get_running_loop().call_later(delay, due)
        self._timers.add(timer)

    def _report_now(self, delivery: Delivery, metric: str) -> None:
        now = int(time.time())
        delivery.reported(metric, now)
        self._report(reporting_event(delivery, metric, now))

    def _delay(self, metric: str) -> float:
        if metric not in _DELAYS or not self._scale:
            return 0.0
        shortest, usual, longest = _DELAYS[metric]
        # Lognormal: most people react soon, some much later. Half lie below the usual delay.
        share = self._random.lognormvariate(0, 0.8) * usual
        return min(max(share, shortest), longest) * self._scale
