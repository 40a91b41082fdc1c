"""``list``, ``show`` and ``export``: looking at dead letters, all of which stay."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ops import console
from ops.commands.dead_letters.batch import Batch, open_batch
from ops.commands.dead_letters.options import Filters, KindArgument, Reading, RevealOption, kinds
from ops.commands.dead_letters.selection import Selection
from ops.commands.dead_letters.views import View
from ops.errors import OperatorError
from ops.option_groups import with_option_groups
from ops.target import Where


@with_option_groups
def list_dead_letters(
    kind: KindArgument,
    filters: Filters,
    reading: Reading,
    where: Where,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Number of dead letters to show, the latest.")] = 50,
    reveal: RevealOption = False,
    as_json: console.JsonOption = False,
) -> None:
    """Count dead letters by reason and show the latest. Persons appear as the hash that log lines have."""
    target, selection = where.target(), filters.selection()
    with open_batch(target, kinds(kind), selection, wait=reading.wait, limit=reading.limit) as batch:
        view = View(target.project, reveal=reveal)
        batch.note_what_was_read()
        latest = sorted(batch.matching, key=lambda letter: letter.arrived_at, reverse=True)
        if as_json:
            listed = [view.document(letter) for letter in latest[:rows]]
            console.print_json({"waiting": batch.pulled, "matching": len(latest), "dead_letters": listed})
        elif latest:
            console.out().print(view.counts(latest))
            view.print_rows(latest[:rows])
        if len(latest) > rows:
            console.note(f"{len(latest) - rows} more: --rows shows more, filters narrow them down.")


@with_option_groups
def show(
    kind: KindArgument,
    job_id: Annotated[str, typer.Argument(help="The job, by its id or as lists and logs show it.")],
    reading: Reading,
    where: Where,
    reveal: RevealOption = False,
    as_json: console.JsonOption = False,
) -> None:
    """Show everything known about one job."""
    target, selection = where.target(), Selection(job_ids=frozenset({job_id}))
    with open_batch(target, kinds(kind), selection, wait=reading.wait, limit=reading.limit) as batch:
        view = View(target.project, reveal=reveal)
        if not batch.matching:
            raise OperatorError(_no_such_job(job_id, batch))
        shown = [view.document(letter) for letter in batch.matching]
        if as_json:
            console.print_json({"dead_letters": shown})
            return
        for document in shown:
            console.print_json(document)


@with_option_groups
def export(
    kind: KindArgument,
    file: Annotated[Path, typer.Argument(help="A new file, one JSON object per line.")],
    filters: Filters,
    reading: Reading,
    where: Where,
    reveal: RevealOption = False,
    as_json: console.JsonOption = False,
) -> None:
    """Write dead letters to a file that only you can read. They stay where they are.

    With --reveal the lines can be corrected and published again: `publish KIND --file FILE`.
    """
    target, selection = where.target(), filters.selection()
    with open_batch(target, kinds(kind), selection, wait=reading.wait, limit=reading.limit) as batch:
        batch.note_what_was_read()
        view = View(target.project, reveal=reveal)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise OperatorError(f"{file} cannot be created: {error.strerror}.") from None
        with open(descriptor, "wb") as lines:  # noqa: PTH123 - a path cannot be opened for its owner alone
            lines.writelines(view.line(letter) for letter in batch.matching)
        if as_json:
            console.print_json({"file": str(file), "written": len(batch.matching)})
        else:
            console.note(f"{len(batch.matching)} written to {file}")


def _no_such_job(job_id: str, batch: Batch) -> str:
    names = [leased.subscription.rpartition("/")[2] for leased in batch.leases.values()]
    place = names[0] if len(names) == 1 else "any dead-letter subscription"
    others = f"{batch.pulled} {'other' if batch.pulled == 1 else 'others'} there" if batch.pulled else "it is empty"
    if len(names) > 1 and not batch.pulled:
        others = "all are empty"
    more = [name for name, leased in batch.leases.items() if leased.is_cut_short]
    cut_short = f" --limit was reached, so more of {', '.join(more)} may wait." if more else ""
    return f"No dead letter with job id {job_id} in {place} ({others}).{cut_short}"
