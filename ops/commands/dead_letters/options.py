"""Options that the dead-letter commands share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from ops import deadlines
from ops.commands.dead_letters.selection import Selection, instant
from ops.jobs import read_person
from shared.jobs.operation import person_key
from shared.topology import topology

_ALL = "all"
_DEFAULT_LIMIT = 100_000
"""About 500 MB of memory if each dead letter has 5 KB."""


def _kind(text: str) -> str:
    known = [*topology().topics, _ALL]
    if text not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}")
    return text


def instant_option(text: str) -> datetime:
    try:
        return instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


KindArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        callback=_kind,
        help="Kind of job: identify, track, send, broadcast, sync, events, outcomes or all.",
    ),
]
RevealOption = Annotated[bool, typer.Option("--reveal", help="Show what jobs contain, personal data included.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it. Without this nothing changes.")]


def kinds(kind: str) -> list[str]:
    return list(topology().topics) if kind == _ALL else [kind]


@dataclass(frozen=True, slots=True)
class Filters:
    """Options that narrow down the dead letters. All that are given must match."""

    reason: Annotated[
        list[str] | None, typer.Option("--reason", help="Only those with this reason. May be repeated.")
    ] = None
    error_class: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only those of this error class, e.g. rejected. May be repeated."),
    ] = None
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=instant_option,
            metavar="AGE|TIME",
            help="Only those that failed at or after this time, e.g. 2h, 3d or 2026-05-01T12:00Z.",
        ),
    ] = None
    before: Annotated[
        datetime | None,
        typer.Option(parser=instant_option, metavar="AGE|TIME", help="Only those that failed before this time."),
    ] = None
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            help="Only those about this person. A value with @ is an email address, any other an id; id:VALUE, "
            "email:VALUE and cio_id:VALUE say which.",
        ),
    ] = None
    job_id: Annotated[
        list[str] | None,
        typer.Option("--job-id", help="Only this job, by its id or as lists and logs show it. May be repeated."),
    ] = None

    def selection(self) -> Selection:
        return Selection(
            reasons=frozenset(self.reason or ()),
            classes=frozenset(self.error_class or ()),
            since=self.since,
            before=self.before,
            person=None if self.person is None else person_key(*read_person(self.person)),
            job_ids=frozenset(self.job_id or ()),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """Options that say how far to read."""

    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0.1,
            help="Seconds without a message after which a subscription counts as read to its end. The local broker "
            "tells by itself.",
        ),
    ] = deadlines.DEFAULT_PULL_WAIT_SECONDS
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most dead letters to read per kind.")] = _DEFAULT_LIMIT
