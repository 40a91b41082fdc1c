"""``publish``: jobs from flags, standard input or a file, each checked before it leaves."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from ops import composing, google, screen
from ops.jobs import Guarantee
from ops.sending import Outgoing, Sender, steps
from ops.target import EnvironmentOption, ProjectOption, Target, resolve
from shared.jobs import CHANNELS, InvalidJob
from shared.topology import topology

JobKind = Literal["identify", "track", "send", "broadcast", "sync"]

_STEP_LINES = 500

Line = tuple[int, bytes]
"""Number from 1, and text."""


def publish(
    kind: Annotated[JobKind, typer.Argument(help="Of job.", show_choices=True)],
    person: Annotated[
        str | None, typer.Option("--person", help="An id, an email address, id:ID, email:ADDRESS or cio_id:ID.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="An attribute, or a field of the body; VALUE is JSON or text."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of an event.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Jobs, one JSON object per line; - is standard input.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help=f"Of a send: {', '.join(CHANNELS)}.")] = None,
    job_id: Annotated[str | None, typer.Option("--job-id", help="The same id is the same job.")] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", help="Unix seconds, or ISO 8601 with an offset; too late is not done.")
    ] = None,
    guarantee: Annotated[
        Guarantee | None,
        typer.Option("--delivery-guarantee", help="Of a send or broadcast whose outcome is not known."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only.")] = False,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Publish jobs: one from flags, one as JSON on standard input, or many from a file.

    A line of a file is a job's body, or {"data": body, "attributes": {...}}. What its function would refuse is not
    published: it is reported with its line, field and problem. Exit status 1 when there was such a one.
    """
    given = {
        "channel": channel,
        "job_id": job_id,
        "expires_at": expires_at,
        "delivery_guarantee": guarantee,
    }
    attributes = {attribute: value for attribute, value in given.items() if value is not None}
    flagged = person is not None or bool(assignments) or name is not None
    _check_flags(kind, name, channel, file, flagged=flagged, job_id=job_id)
    target = resolve(project, environment)
    with _lines(file, lambda: _from_flags(kind, person, name, assignments or []) if flagged else None) as lines:
        run = Run(kind, attributes, "valid" if dry_run else "published")
        try:
            if dry_run:
                run.check(lines)
            else:
                run.publish(lines, target)
        finally:
            # Also after Ctrl-C: how far it came.
            print(", ".join(f"{number} {what}" for what, number in run.count.items()))
    if file is None and run.count["published"] and run.last is not None:
        screen.say(f"job_id {run.last.attributes['job_id']}")
    if run.count["invalid"] or run.count["not published"]:
        raise typer.Exit(1)


class Run:
    """Jobs of one command: what became of them, and the last that was good."""

    def __init__(self, kind: str, attributes: Mapping[str, str], done: str) -> None:
        self.count: Counter[str] = Counter({done: 0})
        self.last: composing.Job | None = None
        self._kind = kind
        self._attributes = attributes

    def check(self, lines: Iterable[Line]) -> None:
        """Check only."""
        for line in lines:
            if self._job(line) is not None:
                self.count["valid"] += 1

    def publish(self, lines: Iterable[Line], target: Target) -> None:
        """Publish what is good."""
        topic = target.topic(topology().topics[self._kind].name)
        with Sender(google.publisher()) as sender:
            for some in steps(lines, _STEP_LINES, lambda line: len(line[1])):
                good = [(line[0], job) for line in some if (job := self._job(line)) is not None]
                outgoing = [Outgoing(topic, job.data, job.attributes, job.ordering_key) for _, job in good]
                for (number, _), problem in zip(good, sender.send(outgoing), strict=True):
                    self.count["not published" if problem else "published"] += 1
                    if problem:
                        screen.say(f"line {number}: not published: {problem}")

    def _job(self, line: Line) -> composing.Job | None:
        number, text = line
        try:
            self.last = composing.job(self._kind, text, self._attributes)
        except InvalidJob as error:
            self.count["invalid"] += 1
            screen.say(f"line {number}: {error.field}: {error.problem}")
            return None
        return self.last


def _check_flags(
    kind: str, name: str | None, channel: str | None, file: Path | None, *, flagged: bool, job_id: str | None
) -> None:
    if file is not None and (flagged or job_id is not None):
        message = "goes with neither --person, --set, --name nor --job-id: each line has its own"
        raise typer.BadParameter(message, param_hint="--file")
    if name is not None and kind != "track":
        message = "is of events: publish track"
        raise typer.BadParameter(message, param_hint="--name")
    if channel is not None and kind != "send":
        message = "is of messages: publish send"
        raise typer.BadParameter(message, param_hint="--channel")


def _from_flags(kind: str, person: str | None, name: str | None, assignments: list[str]) -> bytes:
    try:
        return composing.body(kind, person, name, composing.values(assignments))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None


@contextmanager
def _lines(file: Path | None, flags: Callable[[], bytes | None]) -> Iterator[Iterable[Line]]:
    """The lines to publish: those of a file, one from flags, or all of standard input as one."""
    if file is None:
        yield [(1, flags() or _from_stdin())]
    elif file == Path("-"):
        yield _numbered(sys.stdin.buffer)
    else:
        try:
            opened = file.open("rb")
        except OSError as error:
            raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from None
        with opened, screen.progress() as bar:
            yield _numbered(bar.wrap_file(opened, total=file.stat().st_size, description=f"{file.name}"))


def _from_stdin() -> bytes:
    if sys.stdin.isatty():
        message = "give --person and --set, --file, or a job as JSON on standard input"
        raise typer.BadParameter(message)
    return sys.stdin.buffer.read()


def _numbered(lines: Iterable[bytes]) -> Iterator[Line]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
