"""``import``: a file, a table or a query becomes jobs, once each, however often it is interrupted."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import console
from ops.commands.importing.checkpoint import Checkpoint
from ops.commands.importing.refusals import Refusals
from ops.commands.importing.run import Import, Shard
from ops.option_groups import with_option_groups
from ops.rows import Rows, Source, open_rows
from ops.target import Target, Where
from shared.jobs import CHANNELS, Kind

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHARD = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")
_INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True, slots=True)
class From:
    """Options that name the rows."""

    given: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE|bigquery:TABLE",
            help="JSON lines, CSV with a header (FILE.csv), or bigquery:PROJECT.DATASET.TABLE.",
        ),
    ] = None
    query: Annotated[
        Path | None, typer.Option("--query", help="A file with one BigQuery query, instead of --from.")
    ] = None
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Take part I of N, one on each machine.")
    ] = None

    def part(self) -> Shard:
        if self.shard is None:
            return Shard()
        match = _SHARD.fullmatch(self.shard)
        if match is None or int(match[1]) > int(match[2]):
            raise typer.BadParameter("must be I/N with I from 1 to N, such as 2/8", param_hint="--shard")
        return Shard(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Files:
    """Options that name what an import writes on this machine."""

    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the import; job ids derive from it.  [default: the file's or table's]"),
    ] = None
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            help="What was published so far.  [default: NAME.KIND.checkpoint; .local/data has the local stack's]",
        ),
    ] = None
    refused: Annotated[
        Path | None,
        typer.Option("--refused", help="Refused rows: line, field, reason.  [default: NAME.KIND.refused.jsonl]"),
    ] = None
    with_values: Annotated[bool, typer.Option("--with-values", help="Write the refused rows themselves too.")] = False

    def named(self, source: Source) -> str:
        name = self.name or source.name
        if not _NAME.fullmatch(name):
            raise typer.BadParameter("must be letters, digits, dots, hyphens and underscores", param_hint="--name")
        return name


@with_option_groups
def import_rows(
    kind: Annotated[Kind, typer.Argument(help="Kind of job.", show_choices=True)],
    rows_from: From,
    files: Files,
    where: Where,
    channel: Annotated[str | None, typer.Option("--channel", help=f"Channel of sends: {', '.join(CHANNELS)}.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", min=0.01, help="Most jobs per second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the rows and publish nothing.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Publish every row of a file, a table or a query as a job that yields to all others (priority bulk).

    Interrupted anywhere, the same command goes on where it was. When all is published it publishes only what changed.
    Exit status 1 if a row was refused or not published.
    """
    if channel is not None and kind != "send":
        raise typer.BadParameter("is the channel of a message: use it with `import send`", param_hint="--channel")
    source, shard = Source.read(rows_from.given, rows_from.query), rows_from.part()
    target = where.target()
    name = files.named(source)
    stem = f"{name}.{kind}" + ("" if shard.count == 1 else f".{shard.number}-of-{shard.count}")
    refusals = Refusals(files.refused or Path(f"{stem}.refused.jsonl"), with_values=files.with_values)
    attributes = {"priority": "bulk"} | ({} if channel is None else {"channel": channel})
    path = files.checkpoint or _folder(target) / f"{stem}.checkpoint"
    interrupted = False
    with open_rows(source, kind, target) as rows, _progress(name, rows) as advance:
        run = Import(kind, attributes, shard, refusals, advance)
        try:
            if dry_run:
                run.check(rows.rows)
            else:
                identity = _identity(name, kind, target, shard)
                with Checkpoint(path, identity) as checkpoint:
                    run.publish(rows.rows, target, checkpoint, _job_identity(name, kind), rate)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            refusals.close()
            # Also when Pub/Sub stopped answering: how far it came.
            _report(run, path, dry_run=dry_run, interrupted=interrupted, as_json=as_json)
    if interrupted:
        raise typer.Exit(_INTERRUPTED_STATUS)
    if refusals.total or run.count["not_published"]:
        raise typer.Exit(1)


def _folder(target: Target) -> Path:
    """The place of a checkpoint: the local stack begins empty at every start, and so do the imports into it."""
    data = target.local_directory / "data"
    return data if target.is_local and data.is_dir() else Path()


def _identity(name: str, kind: str, target: Target, shard: Shard) -> str:
    """What a checkpoint is about: what was published to one environment is not published to another."""
    return f"{_job_identity(name, kind)} to {target.topic('')}, part {shard.number} of {shard.count}"


def _job_identity(name: str, kind: str) -> str:
    return f"import {name} of {kind}"


@contextmanager
def _progress(name: str, rows: Rows) -> Iterator[Callable[[Import], None]]:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    shown = (
        *columns,
        TextColumn("{task.fields[speed]} rows/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[refused]} refused"),
    )
    began = time.monotonic()
    with console.progress(*shown) as bar:
        task = bar.add_task(name, total=rows.total, speed="-", refused=0)

        def advance(run: Import) -> None:
            speed = run.count["rows"] / max(time.monotonic() - began, 1e-9)
            bar.update(task, completed=rows.position(), speed=f"{speed:,.0f}", refused=run.refusals.total)

        yield advance


def _report(run: Import, checkpoint: Path, *, dry_run: bool, interrupted: bool, as_json: bool) -> None:
    refused = run.refusals
    counts: dict[str, Any] = {"rows": run.count["rows"]}
    if dry_run:
        counts["valid"] = run.count["rows"] - refused.total
    else:
        counts |= {name: run.count[name] for name in ("published", "unchanged", "not_published")}
    counts["refused"] = refused.total
    if as_json:
        listed = {"refused_by_field": refused.by_field(), "refused_file": str(refused.path) if refused.total else None}
        console.print_json({**counts, **listed, "interrupted": interrupted})
        return
    print(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()))
    for problem, count in run.problems.items():
        console.note(f"{count} not published: {problem}")
    if refused.total:
        table = console.table("field", "reason", "count")
        for each in refused.by_field():
            table.add_row(console.plain(each["field"]), console.plain(each["reason"]), str(each["count"]))
        console.out().print(table)
        console.note(f"Refused rows by line: {refused.path}")
    if interrupted or run.count["not_published"]:
        console.note(f"The same command goes on where this one stopped ({checkpoint}).")
