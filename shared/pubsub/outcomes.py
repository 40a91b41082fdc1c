"""Publishes what became of each delivery of a job, beside the way of the job: no push fails because of it.

Cloud Run takes an instance's CPU away once its last push is answered. So an answer waits a moment for Pub/Sub to
confirm the outcome. While Pub/Sub does not confirm in time, answers wait no more: outcomes are then published in the
background, as many as there is room for, and those that are lost are counted in the log.
"""

import asyncio
import time
from datetime import UTC, datetime
from zlib import crc32

from .. import deadlines
from ..lifetime import Lifetime
from ..outcome import Done, Outcome
from ..outcome_message import OutcomeMessage, fields_of
from ..redaction import loggable_key
from ..telemetry import Telemetry
from .message import PushMessage
from .topic import PublishError, TopicPublisher

# Outcomes that may wait for Pub/Sub at once: about 1 KB each.
_MAX_WAITING = 5_000
_HASHES = 2**32


class OutcomePublisher:
    """Publishes the outcomes of one function.

    Args:
        topic: The outcomes topic.
        telemetry: The function's log, whose hash of a person the outcomes carry.
        function: Name of the function.
        kind: Kind of job that it takes.
        sample: Share of jobs, 0 to 1, of which a success is published. Failures and retries always are.
        lifetime: Life of the instance, at whose end the outcomes that wait have a few seconds left.
    """

    def __init__(
        self,
        topic: TopicPublisher,
        telemetry: Telemetry,
        *,
        function: str,
        kind: str,
        sample: float,
        lifetime: Lifetime,
    ) -> None:
        self._topic = topic
        self._telemetry = telemetry
        self._function = function
        self._kind = kind
        self._sampled = sample * _HASHES
        self._lifetime = lifetime
        self._waiting: set[asyncio.Task[None]] = set()
        self._confirms_in_time = True
        self._lost = 0
        self._told_at = float("-inf")
        lifetime.on_end(self._tell)

    def wants(self, message: PushMessage, outcome: Outcome) -> bool:
        """Whether this outcome is published. The job's key decides, so that a sampled job is whole."""
        if not isinstance(outcome, Done) or self._sampled >= _HASHES:
            return True
        return self._sampled > 0 and crc32(message.key.encode(errors="replace")) < self._sampled

    async def publish(self, message: PushMessage, outcome: Outcome, trace_id: str) -> "asyncio.Task[None] | None":
        """Publish an outcome, and wait a moment for the confirmation.

        Returns:
            The publishing that still goes on, for the caller to await once the push is answered; None if it has ended.
        """
        if len(self._waiting) >= _MAX_WAITING:
            self._lose()
            return None
        task = asyncio.create_task(self._publish(self._described(message, outcome, trace_id)))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        if self._confirms_in_time:
            await asyncio.wait({task}, timeout=deadlines.OUTCOME_WAIT_SECONDS)
            self._confirms_in_time = task.done()
        return None if task.done() else task

    def _described(self, message: PushMessage, outcome: Outcome, trace_id: str) -> OutcomeMessage:
        now = datetime.now(UTC)
        return OutcomeMessage(
            function=self._function,
            kind=self._kind,
            job_id=loggable_key(message.key) if "@" in message.key else message.key,
            published_at=message.first_published_at,
            at=now,
            latency_seconds=round(max((now - message.first_published_at).total_seconds(), 0.0), 3),
            message_id=message.message_id,
            attempt=message.attempt,
            lane=message.lane,
            subject_hash=self._telemetry.hashed(outcome.subject) if outcome.subject else "",
            trace_id=trace_id,
            **fields_of(outcome),
        )

    async def _publish(self, outcome: OutcomeMessage) -> None:
        try:
            async with self._lifetime.limit(time.monotonic() + deadlines.PUBLISH_SECONDS):
                await self._topic.publish(outcome.encode(), outcome.attributes())
        except (PublishError, TimeoutError):
            self._lose()
        else:
            self._confirms_in_time = True

    def _lose(self) -> None:
        self._lost += 1
        is_last = self._lifetime.is_ending and len(self._waiting) <= 1
        if is_last or time.monotonic() - self._told_at >= deadlines.LOST_OUTCOMES_LOG_SECONDS:
            self._tell()

    def _tell(self) -> None:
        if self._lost:
            message = f"{self._lost} outcomes could not be published to {self._topic.path}; their jobs are settled"
            self._telemetry.event("WARNING", "outcomes_lost", message, reason="publish_failed")
            self._lost = 0
            self._told_at = time.monotonic()
