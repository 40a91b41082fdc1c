"""One simulated workspace: its state and everything that works on it."""

from dataclasses import dataclass
from typing import Literal

from local import deadlines
from local.customerio.engagement import Engagement
from local.customerio.exports import Exports
from local.customerio.faults import Faults
from local.customerio.rates import RateLimiter, Rates
from local.customerio.request_log import RequestLog
from local.customerio.state import State
from local.customerio.triggers import Triggers
from local.customerio.webhooks import Webhooks

type Region = Literal["us", "eu"]

# Events and deliveries on record; the counters see all of them.
MAX_RECORDS = 200_000


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that Customer.io and its recipients take for what the API only starts.

    Args:
        export: From the request of an export to its file.
        trigger: From a broadcast's trigger to its messages.
        reaction: Scale of people's reactions: most open within about this time. 0 reports everything at once.
    """

    export: float = deadlines.DEFAULT_EXPORT_SECONDS
    trigger: float = deadlines.DEFAULT_TRIGGER_SECONDS
    reaction: float = deadlines.DEFAULT_REACTION_SECONDS


class Workspace:
    """Everything that one running simulator knows. `reset` starts over."""

    def __init__(self, webhooks: Webhooks, region: Region, rates: Rates, timing: Timing) -> None:
        self.webhooks = webhooks
        self.region: Region = region
        self.faults = Faults()
        self._rates = rates
        self._timing = timing
        self._start_empty()

    def reset(self) -> None:
        """Forget everything: people, the request log, counts, faults, queued webhooks and used-up rates."""
        self.stop()
        self.webhooks.clear()
        self.faults.clear()
        self._start_empty()

    def stop(self) -> None:
        """Cancel what was to happen later: reactions to messages, triggers that are not processed yet."""
        self.engagement.cancel()
        self.triggers.cancel()

    def _start_empty(self) -> None:
        self.state = State(MAX_RECORDS)
        self.request_log = RequestLog()
        self.rate_limiter = RateLimiter(self._rates)
        self.engagement = Engagement(self.state.deliveries, self.webhooks.queue, self._timing.reaction)
        self.triggers = Triggers(self.state, self.engagement, self._timing.trigger)
        self.exports = Exports(self._timing.export)
