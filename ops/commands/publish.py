"""``publish``: jobs from flags, standard input or a file, each checked before it is sent."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import clients, console, job_builder
from ops.option_groups import with_option_groups
from ops.publishing import ConfirmedPublisher, Outgoing, batches
from ops.target import Target, Where
from shared.attributes import DeliveryGuarantee
from shared.jobs import CHANNELS, InvalidJob, Kind
from shared.redaction import loggable_key
from shared.topology import topology

_LINES_PER_BATCH = 500
_INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells report it

Line = tuple[int, bytes]
"""Line number, from 1, and text."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Options that describe one job's body, or name the file of many."""

    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            help="The person. A value with @ is an email address, any other an id; id:VALUE, email:VALUE and "
            "cio_id:VALUE say which.",
        ),
    ] = None
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An attribute of the person or event, or a field of the body. VALUE is JSON or text.",
        ),
    ] = None
    name: Annotated[str | None, typer.Option("--name", help="Name of the event.")] = None
    file: Annotated[
        Path | None, typer.Option("--file", help="A file of jobs, one JSON object per line; - is standard input.")
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether a job is described by flags."""
        return self.person is not None or bool(self.assignments) or self.name is not None

    def body(self, kind: str) -> bytes:
        try:
            values = job_builder.read_assignments(self.assignments or [])
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--set") from None
        return job_builder.body_from_flags(kind, self.person, self.name, values)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Options that become attributes of every job."""

    channel: Annotated[str | None, typer.Option("--channel", help=f"Channel of a send: {', '.join(CHANNELS)}.")] = None
    job_id: Annotated[
        str | None, typer.Option("--job-id", help="Key of the job: a second job with the same key does nothing.")
    ] = None
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", help="When the job becomes pointless: unix seconds, or ISO 8601 with an offset."),
    ] = None
    delivery_guarantee: Annotated[
        DeliveryGuarantee | None,
        typer.Option("--delivery-guarantee", help="What to do with a send or broadcast whose outcome is unknown."),
    ] = None

    def given(self) -> dict[str, str]:
        values = {
            "channel": self.channel,
            "job_id": self.job_id,
            "expires_at": self.expires_at,
            "delivery_guarantee": self.delivery_guarantee,
        }
        return {name: value for name, value in values.items() if value is not None}


@with_option_groups
def publish(
    kind: Annotated[Kind, typer.Argument(help="Kind of job.", show_choices=True)],
    draft: Draft,
    attributes: Attributes,
    where: Where,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the jobs and publish nothing.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Publish jobs: one from flags, one as JSON on standard input, or many from a file.

    A line of a file is a job's body, or {"data": body, "attributes": {...}}. A job that its function would refuse is
    not published; its line, field and problem are reported. Exit status 1 if a job was not published.
    """
    _check_flags(kind, draft, attributes)
    target = where.target()
    run = Run(kind, attributes.given(), "valid" if dry_run else "published")
    interrupted = False
    try:
        with _lines(kind, draft) as lines:
            if dry_run:
                run.check(lines)
            else:
                run.publish(lines, target)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        # Also when Pub/Sub stopped answering: how far it came.
        run.report(draft.file, interrupted=interrupted, as_json=as_json)
    if interrupted:
        raise typer.Exit(_INTERRUPTED_STATUS)
    if run.count["invalid"] or run.count["not published"]:
        raise typer.Exit(1)


class Run:
    """The jobs of one command: counts by outcome, problems by line.

    Args:
        kind: Kind of job.
        attributes: Attributes of every job.
        done: What a good job is counted as: ``"published"`` or ``"valid"``.
    """

    def __init__(self, kind: str, attributes: Mapping[str, str], done: str) -> None:
        self.count: Counter[str] = Counter({done: 0})
        self._done = done
        self._problems: list[dict[str, Any]] = []
        self._last: job_builder.Job | None = None
        self._unconfirmed = 0
        self._kind = kind
        self._attributes = attributes

    def check(self, lines: Iterable[Line]) -> None:
        """Check the jobs only."""
        for line in lines:
            if self._job(line) is not None:
                self.count["valid"] += 1

    def publish(self, lines: Iterable[Line], target: Target) -> None:
        """Publish the valid jobs.

        Raises:
            UnreachableError: if Pub/Sub does not answer, or stops answering.
        """
        topic = target.topic(topology().topics[self._kind].name)
        with ConfirmedPublisher(clients.publisher(target)) as publisher:
            for batch in batches(lines, _LINES_PER_BATCH, lambda line: len(line[1])):
                jobs = [(line[0], job) for line in batch if (job := self._job(line)) is not None]
                outgoing = [Outgoing(topic, job.data, job.attributes, job.ordering_key) for _, job in jobs]
                self._unconfirmed = len(outgoing)
                problems = publisher.publish(outgoing)
                self._unconfirmed = 0
                for (number, _), problem in zip(jobs, problems, strict=True):
                    self.count["not published" if problem else "published"] += 1
                    if problem and not publisher.is_unreachable:
                        self._problem(number, "", f"not published: {problem}")
                if publisher.is_unreachable:
                    raise clients.pubsub_unreachable(target)

    def report(self, file: Path | None, *, interrupted: bool, as_json: bool) -> None:
        """Print the counts and, for a single job, its id."""
        job_id = None
        if file is None and self.count["published"] and self._last is not None:
            job_id = self._last.attributes["job_id"]
        if interrupted:
            total = _count_lines(file)
            console.note(
                f"interrupted: {self.count[self._done]}{f' of {total}' if total is not None else ''} {self._done}"
                + (f"; up to {self._unconfirmed} more may be on their topic" if self._unconfirmed else "")
            )
        if as_json:
            counts = {name.replace(" ", "_"): number for name, number in self.count.items()}
            logged = None if job_id is None else loggable_key(job_id)
            console.print_json(
                {
                    **counts,
                    "interrupted": interrupted,
                    "problems": self._problems,
                    "job_id": job_id,
                    "job_id_in_logs": logged,
                }
            )
            return
        print(", ".join(f"{number} {outcome}" for outcome, number in self.count.items()))
        if job_id is not None:
            shown = loggable_key(job_id)
            console.note(f"job_id {job_id}" + (f" (in logs: {shown})" if shown != job_id else ""))

    def _job(self, line: Line) -> job_builder.Job | None:
        number, text = line
        try:
            self._last = job_builder.build(self._kind, text, self._attributes)
        except InvalidJob as error:
            self.count["invalid"] += 1
            self._problem(number, error.field, error.problem)
            return None
        return self._last

    def _problem(self, line: int, field: str, problem: str) -> None:
        self._problems.append({"line": line, "field": field, "problem": problem})
        console.note(f"line {line}: {f'{field}: ' if field else ''}{problem}")


def _check_flags(kind: str, draft: Draft, attributes: Attributes) -> None:
    if draft.file is not None and (draft.is_given or attributes.job_id is not None):
        raise typer.BadParameter(
            "cannot be combined with --person, --set, --name or --job-id: each line has its own", param_hint="--file"
        )
    if draft.name is not None and kind != "track":
        raise typer.BadParameter("is the name of an event: use it with `publish track`", param_hint="--name")
    if attributes.channel is not None and kind != "send":
        raise typer.BadParameter("is the channel of a message: use it with `publish send`", param_hint="--channel")


@contextmanager
def _lines(kind: str, draft: Draft) -> Iterator[Iterable[Line]]:
    """Open the lines to publish: those of a file, one from flags, or all of standard input as one."""
    file = draft.file
    if file is None:
        yield [(1, draft.body(kind) if draft.is_given else _from_stdin())]
    elif file == Path("-"):
        yield _numbered(sys.stdin.buffer)
    else:
        try:
            opened = file.open("rb")
        except OSError as error:
            raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from None
        with opened, console.progress() as bar:
            yield _numbered(bar.wrap_file(opened, total=file.stat().st_size, description=f"{file.name}"))


def _from_stdin() -> bytes:
    if sys.stdin.isatty():
        raise typer.BadParameter("give --person and --set, --file, or one job as JSON on standard input")
    return sys.stdin.buffer.read()


def _numbered(lines: Iterable[bytes]) -> Iterator[Line]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _count_lines(file: Path | None) -> int | None:
    """Count the jobs in a file; None where they cannot be counted without taking them."""
    if file is None or not file.is_file():
        return None
    with file.open("rb") as lines:
        return sum(1 for _ in _numbered(lines))
