"""Which dead letters a command is about."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ops.dead_letters.letter import DeadLetter
from ops.jobs import persons
from shared.redaction import loggable_key

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"([0-9]{1,6})([smhd])")


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter: all that are given must hold.

    Args:
        reasons: one of these reasons.
        classes: one of these error classes.
        since: became a dead letter then or later.
        before: became a dead letter before.
        person: about this person: a key such as ``id:42``.
        job_ids: one of these jobs, as it is or as logs and lists show it.
    """

    reasons: frozenset[str] = field(default_factory=frozenset)
    classes: frozenset[str] = field(default_factory=frozenset)
    since: datetime | None = None
    before: datetime | None = None
    person: str | None = None
    job_ids: frozenset[str] = field(default_factory=frozenset)

    def __contains__(self, letter: DeadLetter) -> bool:
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.classes or letter.error_class in self.classes)
            and (self.since is None or letter.arrived_at >= self.since)
            and (self.before is None or letter.arrived_at < self.before)
            and (not self.job_ids or not self.job_ids.isdisjoint({letter.job_id, loggable_key(letter.job_id)}))
            # The last, because it reads the body.
            and (self.person is None or self.person in persons(letter.kind, letter.data, letter.attributes))
        )


def instant(text: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> datetime:
    """A time as operators write it: an age such as ``2h``, ``30m`` or ``3d``, or ISO 8601 (UTC unless it says).

    Raises:
        ValueError: it is neither.
    """
    if age := _AGE.fullmatch(text):
        return now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        message = "expected an age such as 2h, 30m or 3d, or a time such as 2026-05-01T12:00Z"
        raise ValueError(message) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
