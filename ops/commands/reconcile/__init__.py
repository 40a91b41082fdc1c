"""``reconcile``: whether Customer.io has the people that the application has, and what mends the differences."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import console
from ops.app_api import Account, AppAPI
from ops.commands.importing.refusals import Refusals
from ops.commands.reconcile import compare, fix, people, records, report, values
from ops.option_groups import with_option_groups
from ops.rows import Source, open_rows
from ops.scratch_tables import Tables, open_tables
from ops.target import Target, Where


@dataclass(frozen=True, slots=True)
class Mending:
    """Options that change something at Customer.io."""

    fix: Annotated[bool, typer.Option("--fix", help="Show the jobs that mend the differences.")] = False
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: publish them.")] = False
    delete_orphans: Annotated[
        bool, typer.Option("--delete-orphans", help="With --fix: delete people who have no record.")
    ] = False

    def check(self) -> None:
        if (self.yes or self.delete_orphans) and not self.fix:
            raise typer.BadParameter("--yes and --delete-orphans go with --fix", param_hint="--fix")


@dataclass(frozen=True, slots=True)
class _Sides:
    """What was read of both sides."""

    records: records.Records
    people: people.People


@with_option_groups
def reconcile(
    given: Annotated[
        str,
        typer.Option(
            "--from", metavar="FILE|bigquery:TABLE", help="All users: one sync record per line, CSV, or a table."
        ),
    ],
    mending: Mending,
    account: Account,
    where: Where,
    rows: Annotated[Path | None, typer.Option("--rows", help="Write each finding to this file, as JSON lines.")] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Compare all users of the application with an export of people from Customer.io.

    Missing, orphaned and different people, consent, and addresses of two people. Exit status 1 if anything differs.
    """
    mending.check()
    source = Source.read(given)
    target = account.on(where.target())
    refusals = Refusals(None, with_values=False)
    with (
        tempfile.TemporaryDirectory(prefix="reconcile-") as folder,
        AppAPI(target) as app_api,
        open_tables(target, "reconcile") as tables,
    ):
        sides = _load(source, target, app_api, tables, Path(folder), refusals)
        compare.compare(tables)
        wanted = None
        if mending.fix:
            count, unknown = sides.people.count, sides.records.unknown
            wanted = fix.plan(tables, people=count, unknown=unknown, delete_orphans=mending.delete_orphans)
        differs = _report(tables, sides, refusals, rows, None if wanted is None else wanted, as_json=as_json)
        failed = 0
        if wanted is not None:
            failed = _mend(tables, wanted, app_api, target, yes=mending.yes)
    if differs or failed or refusals.total:
        raise typer.Exit(1)


def _load(source: Source, target: Target, app_api: AppAPI, tables: Tables, folder: Path, refusals: Refusals) -> _Sides:
    """Load both sides into BigQuery by way of files, so that neither is ever in memory."""
    files = {name: folder / name for name in ("rows", "wanted", "people", "found", "export")}
    with open_rows(source, "sync", target) as opened:
        here = records.write(opened.rows, files["rows"], files["wanted"], refusals)
    console.note(f"{here.count} records, {refusals.total} refused. Waiting for Customer.io's export of people.")
    app_api.export_people(values.columns(here.names), files["export"])
    there = people.write(files["export"], here.names, files["people"], files["found"])
    files["export"].unlink()
    console.note(f"{there.count} people in the export. Comparing in BigQuery.")
    tables.load("rows", compare.RECORD_COLUMNS, files["rows"])
    tables.load("wanted", compare.WANTED_COLUMNS, files["wanted"])
    tables.load("people", compare.PERSON_COLUMNS, files["people"])
    tables.load("found", compare.FOUND_COLUMNS, files["found"])
    return _Sides(here, there)


def _report(
    tables: Tables, sides: _Sides, refusals: Refusals, rows: Path | None, wanted: fix.Plan | None, *, as_json: bool
) -> bool:
    """Print what was found; whether anything was."""
    for each in refusals.by_field():
        console.note(f"{each['count']} rows refused, {each['field']}: {each['reason']}")
    if sides.people.absent:
        console.note(f"No column in the export, so nobody has it: {', '.join(sides.people.absent)}")
    found = report.findings(tables)
    if rows is not None:
        found = report.write_rows(found, rows)
    if as_json:
        document: dict[str, Any] = report.document(found)
        differs = any(document.values())
        console.print_json(document if wanted is None else {**document, "fix": wanted.as_json()})
        return differs
    counts = report.count(found)
    report.print_table(counts)
    if rows is None and any(counts.values()):
        console.note("--rows FILE writes who they are.")
    return any(counts.values())


def _mend(tables: Tables, wanted: fix.Plan, app_api: AppAPI, target: Target, *, yes: bool) -> int:
    """Publish the plan if the operator said yes; how many jobs were not published."""
    what = f"{wanted.syncs} forced syncs, {wanted.merges} merges, {wanted.deletions} deletions"
    for sentence in wanted.not_mended:
        console.note(f"Not mended: {sentence}")
    if wanted.opt_ins:
        console.note(
            f"{wanted.opt_ins} people opted out at Customer.io and not here, and would be subscribed again: "
            "take their opt-outs into your records first."
        )
    if not yes:
        console.note(f"Nothing was changed. --yes publishes {what}.")
        return 0
    failed = fix.mend(tables, wanted, app_api, target, console.note)
    console.note(f"Published {what}." if not failed else f"{failed} of {what} were not published: run it again.")
    console.note("Run reconcile again when they are applied: Customer.io answers 200 to changes that it does not make.")
    return failed
