"""``list``, ``show`` and ``export``: looking at dead letters. All of them stay where they are."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ops import screen
from ops.dead_letters.opened import opened
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
    RevealOption,
    SinceOption,
    WaitOption,
    reading,
)
from ops.dead_letters.views import View
from ops.target import EnvironmentOption, ProjectOption, resolve


def list_letters(
    kind: KindArgument,
    reason: ReasonOption = None,
    error_class: ClassOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    person: PersonOption = None,
    job_id: JobOption = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Show so many, the latest.")] = 50,
    reveal: RevealOption = False,
    wait: WaitOption = WAIT,
    limit: LimitOption = LIMIT,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Count dead letters by reason, and show the latest. Persons are shown by the hash that logs have."""
    target = resolve(project, environment)
    with opened(target, reading(kind, reason, error_class, since, before, person, job_id, wait, limit)) as found:
        view = View(target.project, reveal=reveal)
        found.say_what_was_read()
        if not found.chosen:
            return
        console = screen.out()
        console.print(view.counts(found.chosen))
        latest = sorted(found.chosen, key=lambda letter: letter.arrived_at, reverse=True)
        if rows:
            console.print()
            console.print(view.rows(latest[:rows]))
        if len(latest) > rows:
            screen.say(f"{len(latest) - rows} more: --rows shows them, filters narrow them down")


def show(
    kind: KindArgument,
    job_id: Annotated[str, typer.Argument(help="The job, as lists and logs show it.")],
    reveal: RevealOption = False,
    wait: WaitOption = WAIT,
    limit: LimitOption = LIMIT,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Show all that is known about one job."""
    target = resolve(project, environment)
    with opened(target, reading(kind, None, None, None, None, None, [job_id], wait, limit)) as found:
        view = View(target.project, reveal=reveal)
        for letter in found.chosen:
            screen.out().print(screen.plain_lines(view.whole(letter)), soft_wrap=True)
        if not found.chosen:
            found.say_what_was_read()
            raise typer.Exit(1)


def export(
    kind: KindArgument,
    file: Annotated[Path, typer.Argument(help="A new file, one JSON object per line.")],
    reason: ReasonOption = None,
    error_class: ClassOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    person: PersonOption = None,
    job_id: JobOption = None,
    reveal: RevealOption = False,
    wait: WaitOption = WAIT,
    limit: LimitOption = LIMIT,
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Write dead letters to a file that only you can read. They stay where they are.

    With --reveal the lines can be mended and published again: `publish KIND --file FILE`.
    """
    target = resolve(project, environment)
    with opened(target, reading(kind, reason, error_class, since, before, person, job_id, wait, limit)) as found:
        found.say_what_was_read()
        view = View(target.project, reveal=reveal)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            screen.say(f"{file}: {error.strerror}")
            raise typer.Exit(1) from None
        with open(descriptor, "wb") as lines:  # noqa: PTH123 - a path cannot be opened for its owner alone
            lines.writelines(view.line(letter) for letter in found.chosen)
        screen.say(f"{len(found.chosen)} written to {file}")
