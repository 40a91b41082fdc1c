"""Options that the dead-letter commands share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from ops.dead_letters.selection import Selection, instant
from ops.jobs import read_person
from shared.jobs.operation import person_key
from shared.topology import topology

ALL = "all"


def _kinds(text: str) -> str:
    known = [*topology().topics, ALL]
    if text not in known:
        message = f"must be one of {', '.join(known)}"
        raise typer.BadParameter(message)
    return text


def _instant(text: str) -> datetime:
    try:
        return instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


KindArgument = Annotated[
    str, typer.Argument(metavar="KIND", callback=_kinds, help="identify, track, send, broadcast, sync, events or all.")
]
ReasonOption = Annotated[list[str] | None, typer.Option("--reason", help="Only with this reason; may be repeated.")]
ClassOption = Annotated[
    list[str] | None, typer.Option("--class", help="Only of this error class, such as rejected; may be repeated.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        parser=_instant, metavar="AGE|TIME", help="Only what failed since, such as 2h, 3d or 2026-05-01T12:00Z."
    ),
]
BeforeOption = Annotated[
    datetime | None, typer.Option(parser=_instant, metavar="AGE|TIME", help="Only what failed before.")
]
PersonOption = Annotated[
    str | None, typer.Option("--person", help="Only about this person: an id, an email address, id:ID or cio_id:ID.")
]
JobOption = Annotated[list[str] | None, typer.Option("--job-id", help="Only this job; may be repeated.")]
RevealOption = Annotated[bool, typer.Option("--reveal", help="Show what jobs hold, personal data included.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it. Without this nothing is changed.")]
WaitOption = Annotated[
    float,
    typer.Option("--wait", min=0.1, help="Seconds to wait for more before the subscription counts as read to its end."),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Look at no more than this many of a kind.")]

WAIT = 3.0
LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read the dead letters: of which kinds, how patiently, how many, and which of them."""

    kind: str
    wait: float
    limit: int
    selection: Selection

    @property
    def kinds(self) -> list[str]:
        return list(topology().topics) if self.kind == ALL else [self.kind]


def reading(
    kind: str,
    reason: list[str] | None,
    error_class: list[str] | None,
    since: datetime | None,
    before: datetime | None,
    person: str | None,
    job_id: list[str] | None,
    wait: float,
    limit: int,
) -> Reading:
    return Reading(
        kind,
        wait,
        limit,
        Selection(
            reasons=frozenset(reason or ()),
            classes=frozenset(error_class or ()),
            since=since,
            before=before,
            person=None if person is None else person_key(*read_person(person)),
            job_ids=frozenset(job_id or ()),
        ),
    )
