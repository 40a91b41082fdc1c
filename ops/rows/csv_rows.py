"""CSV files: a header names the fields, a dot nests them, and an empty cell is a field that is absent.

A cell has a type by its column's name (``zip:text``), or by its own form: ``true`` and ``false`` are booleans, a number
that would be written back the same is a number, what begins like a JSON object or list is one. All else is text.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from ops.errors import OperatorError
from ops.rows.row import Row, body, encode
from shared.jobs import InvalidJob

# Customer.io's identifiers, and what a form of ours demands as text, are text although they may look like numbers.
_TEXT_COLUMNS = frozenset({"id", "email", "phone", "cio_id", "first_name", "last_name", "plan"})
_BOOLEANS = {"true": True, "false": False}
# More than any job takes. Without it, a quote that is never closed would read the rest of the file as one cell.
_MAX_CELL_BYTES = 1_000_000


class _WrongCellError(Exception):
    """A cell is not of its column's type. The text says which type that is."""


@dataclass(frozen=True, slots=True)
class _Column:
    path: tuple[str, ...]
    read: Callable[[str], Any]

    @property
    def name(self) -> str:
        return ".".join(self.path)


def read(file: BinaryIO, kind: str) -> Iterator[Row]:
    """Read a file with a header as jobs of ``kind``. A byte order mark is taken off.

    Raises:
        OperatorError: if there is no usable header, or the file is not CSV.
    """
    csv.field_size_limit(_MAX_CELL_BYTES)
    # Bytes that are no UTF-8 spoil their row only.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    try:
        columns = _header(next(reader, []))
        line = reader.line_num
        for cells in reader:
            first, line = line + 1, reader.line_num
            if cells:
                yield _row(first, cells, columns, kind)
    except csv.Error as error:
        raise OperatorError(f"line {reader.line_num}: not CSV ({error}): quote cells that hold quotes.") from None
    finally:
        text.detach()


def _header(names: Sequence[str]) -> list[_Column]:
    columns = [_column(name) for name in names]
    paths = [column.path for column in columns]
    if not columns or not all(part for path in paths for part in path):
        raise OperatorError("line 1: a CSV file begins with a header that names every column.")
    for path in paths:
        nested = any(other != path and other[: len(path)] == path for other in paths)
        if nested or paths.count(path) > 1:
            raise OperatorError(f"line 1: column {'.'.join(path)} is there twice, or also holds other columns.")
    return columns


def _column(name: str) -> _Column:
    base, colon, wanted = name.strip().rpartition(":")
    if colon and wanted in _READERS:
        return _Column(tuple(base.split(".")), _READERS[wanted])
    path = tuple(name.strip().split("."))
    return _Column(path, str if path[-1] in _TEXT_COLUMNS else _read_any)


def _row(line: int, cells: Sequence[str], columns: Sequence[_Column], kind: str) -> Row:
    if len(cells) != len(columns):
        return _refused(line, "row", f"has {len(cells)} cells, the header has {len(columns)}")
    record: dict[str, Any] = {}
    for cell, column in zip(cells, columns, strict=True):
        if not cell:
            continue
        try:
            cell.encode()
            _put(record, column.path, column.read(cell))
        except UnicodeEncodeError:
            return _refused(line, column.name, "must be UTF-8")
        except _WrongCellError as error:
            return _refused(line, column.name, str(error))
    return Row(line, encode(body(kind, record)))


def _put(record: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        record = record.setdefault(step, {})
    record[path[-1]] = value


def _refused(line: int, field: str, problem: str) -> Row:
    return Row(line, b"", InvalidJob(field, problem))


def _read_any(cell: str) -> Any:
    if cell in _BOOLEANS:
        return _BOOLEANS[cell]
    if cell[0] not in "-0123456789[{":
        return cell
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell
    if isinstance(value, int | float) and str(value) != cell:
        return cell  # 007, 1e5, a number of too many digits
    return value


def _read_number(cell: str) -> Any:
    return _read_json(cell, (int, float), "must be a number")


def _read_boolean(cell: str) -> Any:
    known: Mapping[str, bool] = _BOOLEANS | {"1": True, "0": False}
    if cell.lower() not in known:
        raise _WrongCellError("must be true or false")
    return known[cell.lower()]


def _read_json(cell: str, types: tuple[type, ...] = (object,), problem: str = "must be JSON") -> Any:
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        raise _WrongCellError(problem) from None
    if not isinstance(value, types) or (types != (object,) and isinstance(value, bool)):
        raise _WrongCellError(problem)
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "number": _read_number,
    "boolean": _read_boolean,
    "json": _read_json,
}
