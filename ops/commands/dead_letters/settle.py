"""``replay`` and ``discard``: taking dead letters off, and accounting for each that was pulled."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated

import typer

from ops import google, screen
from ops.dead_letters.letter import DeadLetter
from ops.dead_letters.opened import Opened, opened
from ops.dead_letters.options import (
    LIMIT,
    WAIT,
    BeforeOption,
    ClassOption,
    JobOption,
    KindArgument,
    LimitOption,
    PersonOption,
    ReasonOption,
    SinceOption,
    WaitOption,
    YesOption,
    reading,
)
from ops.dead_letters.replay import Changes
from ops.dead_letters.replay import replay as publish_again
from ops.dead_letters.views import View
from ops.jobs import Guarantee, expiry
from ops.sending import Sender
from ops.target import EnvironmentOption, ProjectOption, resolve
from shared.topology import topology


def replay(
    kind: KindArgument,
    reason: ReasonOption = None,
    error_class: ClassOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    person: PersonOption = None,
    job_id: JobOption = None,
    guarantee: Annotated[
        Guarantee | None,
        typer.Option("--guarantee", help="New delivery_guarantee of jobs whose outcome is unknown; of no others."),
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", help="New expires_at: unix seconds, or ISO 8601 with an offset.")
    ] = None,
    drop_expiry: Annotated[bool, typer.Option("--drop-expiry", help="Let no job expire any more.")] = False,
    rate: Annotated[float, typer.Option("--rate", min=0.01, help="Messages per second, at the most.")] = 50.0,
    yes: YesOption = False,
    wait: WaitOption = WAIT,
    limit: LimitOption = LIMIT,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Put dead letters back on the topic they came from, under the same job id: nothing is applied twice.

    Says what it would do; --yes does it.
    """
    changes = _changes(guarantee, expires_at, drop_expiry=drop_expiry)
    target = resolve(project, environment)
    topics = {name: target.topic(shape.name) for name, shape in topology().topics.items()}
    with _proven(
        "replayed", opened(target, reading(kind, reason, error_class, since, before, person, job_id, wait, limit))
    ) as found:
        found.say_what_was_read()
        _warn(found.chosen, changes)
        if yes:
            with Sender(google.publisher()) as sender, _progress("replaying", len(found.chosen)) as advance:
                for step in publish_again(found.chosen, changes, sender, topics, rate=rate):
                    found.acknowledge(step.confirmed)
                    found.problems.update(f"not published: {problem}" for _, problem in step.refused)
                    advance(len(step.confirmed) + len(step.refused))
        elif found.chosen:
            screen.out().print(View(target.project, reveal=False).counts(found.chosen))
            screen.say(f"nothing was changed: --yes replays these {len(found.chosen)}")


def discard(
    kind: KindArgument,
    reason: ReasonOption = None,
    error_class: ClassOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    person: PersonOption = None,
    job_id: JobOption = None,
    yes: YesOption = False,
    wait: WaitOption = WAIT,
    limit: LimitOption = LIMIT,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Drop dead letters for good.

    Says what it would do; --yes does it.
    """
    target = resolve(project, environment)
    with _proven(
        "discarded", opened(target, reading(kind, reason, error_class, since, before, person, job_id, wait, limit))
    ) as found:
        found.say_what_was_read()
        if yes:
            found.acknowledge(found.chosen)
        elif found.chosen:
            screen.out().print(View(target.project, reveal=False).counts(found.chosen))
            screen.say(f"nothing was changed: --yes discards these {len(found.chosen)}")


def _changes(guarantee: str | None, expires_at: str | None, *, drop_expiry: bool) -> Changes:
    if expires_at is not None and drop_expiry:
        message = "give --expires-at or --drop-expiry, not both"
        raise typer.BadParameter(message)
    if expires_at is not None and (late := expiry({"expires_at": expires_at})) is not None:
        raise typer.BadParameter(late.message, param_hint="--expires-at")
    return Changes(guarantee, expires_at, drop_expiry=drop_expiry)


def _warn(letters: Sequence[DeadLetter], changes: Changes) -> None:
    """Say what would come back at once."""
    late = sum(expiry(changes.attributes(letter)) is not None for letter in letters)
    if late:
        screen.say(f"{late} have expired and would come back: --drop-expiry or --expires-at lifts that")
    undecided = [letter for letter in letters if letter.error_class == "unknown_outcome"]
    if undecided and changes.guarantee != "at_least_once":
        screen.say(
            f"{len(undecided)} may or may not have been sent and would come back: look in Customer.io, then "
            "--guarantee at_least_once sends them, discard drops them"
        )


@contextmanager
def _proven(done: str, opening: AbstractContextManager[Opened]) -> Iterator[Opened]:
    """Show at the end that every message is accounted for, whatever ended it.

    Raises:
        typer.Exit: with status 1, when one is not, or was to be taken off and was not.
    """
    found: Opened | None = None
    try:
        with opening as found:
            yield found
    finally:
        if found is not None:
            print(f"pulled {found.pulled} = {done} {found.acknowledged} + kept {found.released}")
            for problem, count in found.problems.items():
                screen.say(f"{count} {problem}")
    if found.problems or found.pulled != found.acknowledged + found.released:
        raise typer.Exit(1)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    with screen.progress() as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
