"""Asks the function control for a pause of a kind when nothing of it gets through."""

import time
from collections.abc import Callable

from .. import control_message, deadlines
from ..outcome import Done, Failed, Outcome, Retry
from ..telemetry import Telemetry
from .topic import PublishError, TopicPublisher


class PauseRequests:
    """Observes the outcomes of one instance.

    Where a person has to act (wrong key, account turned away, quota) it asks at once. Where Customer.io does not
    answer, it asks when nothing got through for a minute. A request for a pause that is on already changes nothing.

    Args:
        topic: The control topic.
        kind: Kind of job that the function takes.
        telemetry: Gets a line when a request could not be published.
        time_scale: Divides the minute, on one machine; 1 in the cloud.
        now: A monotonic clock in seconds.
    """

    def __init__(
        self,
        topic: TopicPublisher,
        kind: str,
        telemetry: Telemetry,
        *,
        time_scale: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._kind = kind
        self._telemetry = telemetry
        self._patience = deadlines.PAUSE_AFTER_SECONDS / time_scale
        self._interval = deadlines.PAUSE_REQUEST_INTERVAL_SECONDS / time_scale
        self._now = now
        self._failing_since: float | None = None
        self._ask_again_at = 0.0

    async def observe(self, outcome: Outcome) -> None:
        """Take note of a job's outcome, and ask for a pause if it is time. Raises nothing."""
        match outcome:
            case Retry(needs_operator=True):
                await self._ask(outcome.reason)
            case Retry(is_outage=True):
                if self._failing_since is None:
                    self._failing_since = self._now()
                if self._now() - self._failing_since >= self._patience:
                    await self._ask(outcome.reason)
            case Done(how="applied" | "sent_not_recorded") | Failed(error_class="rejected"):
                self._failing_since = None  # Customer.io answered

    async def _ask(self, reason: str) -> None:
        now = self._now()
        if now < self._ask_again_at:
            return
        self._ask_again_at = now + self._interval
        try:
            await self._topic.publish(control_message.encode(control_message.PauseRequest(self._kind, reason)), {})
        except PublishError as error:
            self._telemetry.event("ERROR", "pause_not_requested", str(error), reason=reason)
