"""Where rows come from, and the one way to open each: never more than a page of them is in memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import typer

from ops.rows import csv_rows, warehouse_rows
from ops.rows.row import Row
from ops.target import Target

_TABLE_PREFIX = "bigquery:"


@dataclass(frozen=True, slots=True)
class Source:
    """A file, a table or a query.

    Args:
        name: Short name, e.g. ``users`` for ``data/users.csv``.
        file: JSON lines, or CSV if the name ends in ``.csv``; None for BigQuery.
        table: ``PROJECT.DATASET.TABLE``, or empty.
        query: File with one GoogleSQL query, or None.
    """

    name: str
    file: Path | None = None
    table: str = ""
    query: Path | None = None

    @classmethod
    def read(cls, given: str | None, query: Path | None = None) -> "Source":
        """Read ``--from`` and ``--query``.

        Raises:
            typer.BadParameter: if not exactly one is given, or a table has no full name.
        """
        if (given is None) == (query is None):
            raise typer.BadParameter("give exactly one of --from and --query", param_hint="--from")
        if query is not None:
            return cls(query.stem, query=query)
        if given is not None and given.startswith(_TABLE_PREFIX):
            table = given.removeprefix(_TABLE_PREFIX)
            if len(table.split(".")) != 3:
                raise typer.BadParameter("a table is bigquery:PROJECT.DATASET.TABLE", param_hint="--from")
            return cls(table.rpartition(".")[2], table=table)
        path = Path(given or "")
        return cls(path.stem, file=path)


@dataclass(frozen=True, slots=True)
class Rows:
    """Opened rows.

    Args:
        rows: The rows; they can be taken once.
        total: Size of the whole in the unit of ``position``: bytes of a file, rows of a table.
        position: Tells how much of it has been read.
    """

    rows: Iterable[Row] = field(repr=False)
    total: int
    position: Callable[[], int]


def open_rows(source: Source, kind: str, target: Target) -> AbstractContextManager[Rows]:
    """Open the rows of ``source`` as jobs of ``kind``.

    Raises:
        typer.BadParameter: if a file cannot be read.
    """
    if source.file is None:
        return _opened_warehouse(source, kind, target)
    return _opened_file(source.file, kind)


@contextmanager
def _opened_file(path: Path, kind: str) -> Iterator[Rows]:
    try:
        opened = path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--from") from None
    with opened:
        is_csv = path.suffix.lower() == ".csv"
        rows = csv_rows.read(opened, kind) if is_csv else _json_lines(opened)
        yield Rows(rows, path.stat().st_size, opened.tell)


def _json_lines(lines: BinaryIO) -> Iterator[Row]:
    return (Row(number, line) for number, line in enumerate(lines, 1) if line.strip())


@contextmanager
def _opened_warehouse(source: Source, kind: str, target: Target) -> Iterator[Rows]:
    try:
        sql = None if source.query is None else source.query.read_text()
    except OSError as error:
        raise typer.BadParameter(f"{source.query}: {error.strerror}", param_hint="--query") from None
    taken = 0

    def counted(found: Iterable[Mapping[str, object]]) -> Iterator[Row]:
        nonlocal taken
        for taken, columns in enumerate(found, 1):
            yield warehouse_rows.row(taken, columns, kind)

    with warehouse_rows.opened(target, source.table, sql) as (found, total):
        yield Rows(counted(found), total, lambda: taken)
