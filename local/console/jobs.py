"""Recent jobs and the attempts of each, from the outcomes that the functions publish."""

import bisect
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.outcome_message import OutcomeMessage

type JobState = Literal["done", "waiting", "failed"]

_MAX_JOBS = 2000
_DONE: Mapping[str, str] = {
    "already_done": "done before",
    "unchanged": "nothing to change",
    "superseded": "superseded",
    "forgotten": "the person is forgotten",
    "sent_not_recorded": "sent, not recorded",
}
_OTHER: Mapping[str, tuple[str, JobState]] = {
    "retried": ("will be retried", "waiting"),
    "moved": ("in the retry lane", "waiting"),
    "failed": ("dead letter", "failed"),
}


@dataclass(slots=True)
class JobRecord:
    """One job and its attempts, oldest first."""

    kind: str
    job_id: str
    attempts: list[OutcomeMessage] = field(default_factory=list)

    @property
    def last(self) -> OutcomeMessage:
        return self.attempts[-1]

    @property
    def latency(self) -> str:
        """Time from publishing to the last attempt."""
        return latency_text(self.last.latency_seconds)


class RecentJobs:
    """The newest jobs, in the order of their last attempt."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[tuple[str, str], JobRecord] = OrderedDict()

    def add(self, outcomes: Sequence[OutcomeMessage]) -> None:
        """Take outcomes. One that is known already changes nothing, and an old one moves no job to the top."""
        for outcome in sorted(outcomes, key=_time):
            record = self._jobs.setdefault((outcome.kind, outcome.job_id), JobRecord(outcome.kind, outcome.job_id))
            if outcome in record.attempts:
                continue
            bisect.insort(record.attempts, outcome, key=_time)
        self._jobs = OrderedDict(sorted(self._jobs.items(), key=lambda job: job[1].last.at)[-_MAX_JOBS:])

    def latest(self, count: int) -> Sequence[JobRecord]:
        """List the latest jobs, newest first."""
        return [record for record, _ in zip(reversed(self._jobs.values()), range(count), strict=False)]

    def find(self, kind: str, job_id: str) -> JobRecord | None:
        return self._jobs.get((kind, job_id))


def words(outcome: OutcomeMessage) -> str:
    """Say an outcome in words."""
    if outcome.outcome == "done":
        return _DONE.get(outcome.how, "done")
    if outcome.error_class == "expired":
        return "expired"
    return _OTHER.get(outcome.outcome, (outcome.outcome, ""))[0]


def state(outcome: OutcomeMessage) -> JobState:
    """Name the state that an outcome puts its job into."""
    return "done" if outcome.outcome == "done" else _OTHER.get(outcome.outcome, ("", "waiting"))[1]


def latency_text(seconds: float) -> str:
    """Format a latency: ``48 ms``, ``3.2 s``, ``4 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min"


def _time(outcome: OutcomeMessage) -> datetime:
    return outcome.at
