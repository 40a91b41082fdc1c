"""Recent jobs and the attempts of each, read from the log lines that the functions write."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.commands.logs import LogFile
from shared.jobs import is_ulid
from shared.topology import topology

_MAX_JOBS = 2000
_ULID_ALPHABET = {letter: number for number, letter in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_ULID_TIME_LETTERS = 10

# An attempt's outcome as the page says it, and the state that it puts the job into.
_WORDS: Mapping[str, tuple[str, str]] = {
    "applied": ("done", "done"),
    "already_done": ("done before", "done"),
    "unchanged": ("nothing to change", "done"),
    "superseded": ("superseded", "done"),
    "sent_not_recorded": ("sent, not recorded", "done"),
    "retry_later": ("will be retried", "waiting"),
    "moved": ("in the retry lane", "waiting"),
    "dead_lettered": ("dead letter", "failed"),
    "expired": ("expired", "failed"),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a job to its function, and its outcome.

    Args:
        at: Time at which it was settled.
        outcome: Outcome in words.
        state: ``done``, ``waiting`` or ``failed``.
        lane: Lane that delivered it.
        number: Number of the delivery in that lane; None if unknown.
        reason: Why it was not done; empty if it was.
        status: HTTP status of Customer.io's answer; None if there was none.
        message: A sentence for the operator; empty if there is none.
        milliseconds: Time that the function took.
    """

    at: datetime
    outcome: str
    state: str
    lane: str
    number: int | None
    reason: str
    status: int | None
    message: str
    milliseconds: float


@dataclass(slots=True)
class JobRecord:
    """One job and its attempts, oldest first."""

    kind: str
    job_id: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def published_at(self) -> datetime | None:
        """Time of publishing, which a job id that is a ULID contains. None for other ids."""
        return _ulid_time(self.job_id) if is_ulid(self.job_id) else None

    @property
    def latency(self) -> str:
        """Time from publishing to the last attempt; the function's own time where that is unknown."""
        published = self.published_at
        seconds = (
            self.last.milliseconds / 1000 if published is None else max(0.0, (self.last.at - published).total_seconds())
        )
        return latency_text(seconds)


class RecentJobs:
    """The newest jobs, in the order of their last attempt.

    Args:
        logs: Folder of the functions' log files.
    """

    def __init__(self, logs: Path) -> None:
        names = {shape.function for shape in topology().topics.values() if shape.rate is not None}
        self._files = [LogFile(name, logs / f"{name}.log") for name in sorted(names)]
        self._jobs: OrderedDict[tuple[str, str], JobRecord] = OrderedDict()

    def refresh(self) -> None:
        """Read what was logged since the last call."""
        for kind, job_id, attempt in sorted(self._new(), key=lambda found: found[2].at):
            record = self._jobs.setdefault((kind, job_id), JobRecord(kind, job_id))
            record.attempts.append(attempt)
            self._jobs.move_to_end((kind, job_id))
        while len(self._jobs) > _MAX_JOBS:
            self._jobs.popitem(last=False)

    def latest(self, count: int) -> Sequence[JobRecord]:
        """List the latest jobs, newest first."""
        return [record for record, _ in zip(reversed(self._jobs.values()), range(count), strict=False)]

    def find(self, kind: str, job_id: str) -> JobRecord | None:
        return self._jobs.get((kind, job_id))

    def _new(self) -> Iterator[tuple[str, str, Attempt]]:
        for file in self._files:
            for entry in file.read():
                fields = entry.fields
                if fields.get("job_id") and fields.get("outcome") in _WORDS:
                    yield str(fields["kind"]), str(fields["job_id"]), _attempt(entry.time, fields)


def latency_text(seconds: float) -> str:
    """Format a latency: ``48 ms``, ``3.2 s``, ``4 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min"


def _attempt(time: str, fields: Mapping[str, Any]) -> Attempt:
    words, state = _WORDS[fields["outcome"]]
    message = str(fields.get("message", ""))
    return Attempt(
        at=_instant(time),
        outcome=words,
        state=state,
        lane=str(fields.get("lane", "")),
        number=fields.get("attempt"),
        reason=str(fields.get("reason", "")),
        status=fields.get("status"),
        message="" if message == fields["outcome"] else message,
        milliseconds=float(fields.get("latency_ms", 0.0)),
    )


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _ulid_time(ulid: str) -> datetime:
    milliseconds = 0
    for letter in ulid[:_ULID_TIME_LETTERS].upper():
        milliseconds = milliseconds * 32 + _ULID_ALPHABET[letter]
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
