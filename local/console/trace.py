"""The life of one job as the page tells it: published, each attempt, and what became of its message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from local.console.jobs import JobRecord, JobState, latency_text, state, why, words
from shared.outcome_message import OutcomeMessage

_BAD_METRICS = frozenset({"bounced", "dropped", "failed", "undeliverable", "spammed"})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    Args:
        at: When.
        what: A word or two.
        detail: The rest, in a line; may be empty.
        state: State that it put the job or its message into.
    """

    at: datetime
    what: str
    detail: str
    state: JobState


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """One event that Customer.io reported about the job's message."""

    metric: str
    at: datetime
    reason: str


def steps(record: JobRecord, events: Sequence[DeliveryEvent]) -> list[Step]:
    """Tell a job's life. Events have whole seconds, so they come after the attempts whatever their time."""
    told = [Step(record.published_at, "published", "", "done")]
    told += [_attempt(attempt) for attempt in record.attempts]
    return told + [_event(event) for event in events]


def _attempt(attempt: OutcomeMessage) -> Step:
    number = "" if attempt.attempt is None else f", attempt {attempt.attempt}"
    place = f"{attempt.lane} lane{number}" if attempt.lane else f"function {attempt.function}"
    detail = ": ".join(filter(None, [f"{place}, after {latency_text(attempt.latency_seconds)}", why(attempt)]))
    if attempt.delivery_id:
        detail += f"; delivery {attempt.delivery_id}"
    return Step(attempt.at, words(attempt), detail, state(attempt))


def _event(event: DeliveryEvent) -> Step:
    return Step(event.at, event.metric, event.reason, "failed" if event.metric in _BAD_METRICS else "done")
