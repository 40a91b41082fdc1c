"""What becomes of one job: the outcomes of its attempts, as the functions publish them."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

from local.demo.message_life import Draw
from shared.outcome_message import OutcomeMessage

# Times are in minutes: the median, and how widely they spread around it (sigma of a log-normal).
_ATTEMPT: Final = (0.006, 0.6)
_RETRY: Final = (0.04, 0.3)
_SHARE_RATE_LIMITED: Final = 0.01
# A function control pauses a kind of job a minute after Customer.io went away: no more attempts are made then.
_ATTEMPTS_BEFORE_PAUSE: Final = 3


class JobLife:
    """Records the attempts at jobs and numbers the jobs.

    Args:
        draw: Decides everything that is left to chance.
        name: Beginning of every job's id.
        outage: Begin and end of the time in which Customer.io is down.
    """

    def __init__(self, draw: Draw, name: str, outage: tuple[datetime, datetime]) -> None:
        self._draw = draw
        self._name = name
        self._outage = outage
        self._count = 0
        self.outcomes: list[OutcomeMessage] = []

    def new_job(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"

    def too_late(self, published: datetime, lifetime: timedelta) -> bool:
        """Whether a job expires before Customer.io is back."""
        return self._held_back(published) and self._outage[1] - published > lifetime

    def done(self, kind: str, job: str, subject: str, published: datetime, delivery_id: str = "") -> datetime:
        """Record the attempts at a job that succeeds. Returns when it did."""
        attempt = self._during_outage(kind, job, subject, published)
        start = self._outage[1] if attempt > 1 else published
        settled = self._draw.later(start, *_ATTEMPT)
        if attempt == 1 and self._draw.happens(_SHARE_RATE_LIMITED):
            self._add(kind, job, subject, published, settled, "retried", attempt, reason="rate_limited", status=429)
            attempt, settled = 2, self._draw.later(settled, *_RETRY)
        self._add(kind, job, subject, published, settled, "done", attempt, how="applied", delivery_id=delivery_id)
        return settled

    def failed(self, kind: str, job: str, subject: str, published: datetime, **why: Any) -> None:
        """Record a job that became a dead letter at its first attempt after any outage."""
        attempt = self._during_outage(kind, job, subject, published)
        start = self._outage[1] if attempt > 1 else published
        self._add(kind, job, subject, published, self._draw.later(start, *_ATTEMPT), "failed", attempt, **why)

    def _during_outage(self, kind: str, job: str, subject: str, published: datetime) -> int:
        """Record the attempts that failed because Customer.io was down. Returns the number of the next."""
        attempt, at = 1, published
        while self._held_back(at) and attempt <= _ATTEMPTS_BEFORE_PAUSE:
            at = self._draw.later(at, *_RETRY)
            self._add(kind, job, subject, published, at, "retried", attempt, reason="server_error", status=503)
            attempt += 1
        return attempt

    def _held_back(self, at: datetime) -> bool:
        return self._outage[0] <= at < self._outage[1]

    def _add(
        self,
        kind: str,
        job: str,
        subject: str,
        published: datetime,
        at: datetime,
        outcome: str,
        attempt: int,
        **more: Any,
    ) -> None:
        self.outcomes.append(
            OutcomeMessage(
                function=kind,
                kind=kind,
                job_id=job,
                outcome=outcome,
                published_at=published,
                at=at,
                latency_seconds=round((at - published).total_seconds(), 3),
                message_id=f"m-{job}",
                attempt=attempt,
                lane="main",
                subject_hash=hashlib.sha256(subject.encode()).hexdigest()[:16],
                **{"requested": True, **more},
            )
        )
