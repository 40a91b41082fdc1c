"""``replay`` and ``discard``: taking dead letters off, with an account of every message that was pulled."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from ops import clients, console
from ops.commands.dead_letters.batch import Batch, open_batch
from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.commands.dead_letters.options import Filters, KindArgument, Reading, YesOption, kinds
from ops.commands.dead_letters.republish import Changes, republish
from ops.commands.dead_letters.views import View
from ops.jobs import expiry_problem
from ops.option_groups import with_option_groups
from ops.publishing import ConfirmedPublisher
from ops.target import Target, Where
from shared.attributes import DeliveryGuarantee
from shared.topology import topology


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """Options that change the replayed jobs."""

    guarantee: Annotated[
        DeliveryGuarantee | None,
        typer.Option("--guarantee", help="New delivery_guarantee, only for jobs whose outcome is unknown."),
    ] = None
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", help="New expires_at: unix seconds, or ISO 8601 with an offset.")
    ] = None
    drop_expiry: Annotated[bool, typer.Option("--drop-expiry", help="Remove expires_at from the jobs.")] = False

    def changes(self) -> Changes:
        if self.expires_at is not None and self.drop_expiry:
            raise typer.BadParameter("give --expires-at or --drop-expiry, not both")
        if self.expires_at is not None and (problem := expiry_problem({"expires_at": self.expires_at})) is not None:
            raise typer.BadParameter(problem, param_hint="--expires-at")
        return Changes(self.guarantee, self.expires_at, drop_expiry=self.drop_expiry)


@with_option_groups
def replay(
    kind: KindArgument,
    filters: Filters,
    change_options: ChangeOptions,
    reading: Reading,
    where: Where,
    rate: Annotated[float, typer.Option("--rate", min=0.01, help="Most messages per second.")] = 50.0,
    yes: YesOption = False,
    as_json: console.JsonOption = False,
) -> None:
    """Put dead letters back on the topic they came from, under the same job id, so that nothing is applied twice.

    Without --yes, only show what would be replayed.
    """
    changes, target, selection = change_options.changes(), where.target(), filters.selection()
    batch_opening = open_batch(target, kinds(kind), selection, wait=reading.wait, limit=reading.limit)
    with _accounted("replayed", batch_opening, as_json=as_json) as batch:
        batch.note_what_was_read()
        _warn(batch.matching, changes)
        if yes:
            replay_batch(batch, changes, target, rate)
        else:
            _preview(batch, target, "replays", as_json=as_json)


@with_option_groups
def discard(
    kind: KindArgument,
    filters: Filters,
    reading: Reading,
    where: Where,
    yes: YesOption = False,
    as_json: console.JsonOption = False,
) -> None:
    """Delete dead letters for good.

    Without --yes, only show what would be deleted.
    """
    target, selection = where.target(), filters.selection()
    batch_opening = open_batch(target, kinds(kind), selection, wait=reading.wait, limit=reading.limit)
    with _accounted("discarded", batch_opening, as_json=as_json) as batch:
        batch.note_what_was_read()
        if yes:
            batch.acknowledge(batch.matching)
        else:
            _preview(batch, target, "discards", as_json=as_json)


def replay_batch(batch: Batch, changes: Changes, target: Target, rate: float) -> None:
    """Put the matching dead letters back on their topics, at most ``rate`` a second, and take off what arrived there.

    Raises:
        UnreachableError: if Pub/Sub stops answering.
    """
    topics = {name: target.topic(shape.name) for name, shape in topology().topics.items()}
    publisher = ConfirmedPublisher(clients.publisher(target))
    with publisher, _progress("replaying", len(batch.matching)) as advance:
        for step in republish(batch.matching, changes, publisher, topics, rate=rate):
            batch.acknowledge(step.confirmed)
            batch.problems.update(f"not published: {problem}" for _, problem in step.refused)
            advance(len(step.confirmed) + len(step.refused))
            if publisher.is_unreachable:
                raise clients.pubsub_unreachable(target)


def _preview(batch: Batch, target: Target, verb: str, *, as_json: bool) -> None:
    if not batch.matching:
        return
    if not as_json:
        console.out().print(View(target.project, reveal=False).counts(batch.matching))
    console.note(f"Nothing was changed. --yes {verb} {_these(len(batch.matching))}.")


def _these(count: int) -> str:
    return "this one" if count == 1 else f"these {count}"


def _warn(dead_letters: Sequence[DeadLetter], changes: Changes) -> None:
    """Name the jobs that would become dead letters again at once."""
    expired = sum(expiry_problem(changes.attributes(letter)) is not None for letter in dead_letters)
    if expired:
        console.note(f"{expired} expired and would come back: --drop-expiry or --expires-at changes that.")
    undecided = sum(letter.error_class == "unknown_outcome" for letter in dead_letters)
    if undecided and changes.guarantee != "at_least_once":
        console.note(
            f"{undecided} may or may not have been sent and would come back: look in Customer.io, then send with "
            "--guarantee at_least_once or drop with discard."
        )


@contextmanager
def _accounted(done: str, opening: AbstractContextManager[Batch], *, as_json: bool) -> Iterator[Batch]:
    """Account at the end for every message that was pulled, whatever ended the command.

    Raises:
        typer.Exit: with status 1, if a message is unaccounted for or was to be taken off and was not.
    """
    batch: Batch | None = None
    try:
        with opening as batch:
            yield batch
    finally:
        if batch is not None:
            _report(done, batch, as_json=as_json)
    if batch.problems or _missing(batch):
        raise typer.Exit(1)


def _report(done: str, batch: Batch, *, as_json: bool) -> None:
    for problem, count in batch.problems.items():
        console.note(f"{count} {problem}")
    if missing := _missing(batch):
        console.note(f"The count is off by {missing}: compare with `python -m ops status`.")
    if as_json:
        console.print_json(
            {
                "pulled": batch.pulled,
                "matching": len(batch.matching),
                done: batch.acknowledged,
                "kept": batch.released,
                "problems": batch.problems,
            }
        )
    else:
        print(f"pulled {batch.pulled} = {done} {batch.acknowledged} + kept {batch.released}")


def _missing(batch: Batch) -> int:
    return batch.pulled - batch.acknowledged - batch.released


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    with console.progress() as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
