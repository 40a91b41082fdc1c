"""Filters for dead letters."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.jobs import persons
from shared.redaction import loggable_key

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"([0-9]{1,6})([smhd])")


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter. All criteria that are given must match.

    Args:
        reasons: Accepted reasons.
        classes: Accepted error classes.
        since: Earliest time at which it became a dead letter.
        before: Time before which it became a dead letter.
        person: Key of the person it is about, such as ``id:42``.
        job_ids: Accepted job ids, as they are or as logs and lists show them.
    """

    reasons: frozenset[str] = field(default_factory=frozenset)
    classes: frozenset[str] = field(default_factory=frozenset)
    since: datetime | None = None
    before: datetime | None = None
    person: str | None = None
    job_ids: frozenset[str] = field(default_factory=frozenset)

    def __contains__(self, letter: object) -> bool:
        return (
            isinstance(letter, DeadLetter)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.classes or letter.error_class in self.classes)
            and (self.since is None or letter.arrived_at >= self.since)
            and (self.before is None or letter.arrived_at < self.before)
            and (not self.job_ids or not self.job_ids.isdisjoint({letter.job_id, loggable_key(letter.job_id)}))
            # Last, because it parses the body.
            and (self.person is None or self.person in persons(letter.kind, letter.data, letter.attributes))
        )


def instant(text: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> datetime:
    """Read a time as operators write it: an age such as ``2h``, ``30m`` or ``3d``, or ISO 8601 (UTC by default).

    Raises:
        ValueError: if it is neither.
    """
    if age := _AGE.fullmatch(text):
        return now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected an age such as 2h, 30m or 3d, or a time such as 2026-05-01T12:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
