"""Rows of a BigQuery table or query, a page at a time. NULL is a field that is absent."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from ops import clients
from ops.rows.row import Row, body, encode
from ops.target import Target
from shared.jobs import InvalidJob

_PAGE_ROWS = 5000
# A row of these columns holds a job as ``publish --file`` takes it.
_JOB_COLUMNS = frozenset({"data", "attributes"})


@contextmanager
def opened(target: Target, table: str, sql: str | None) -> Iterator[tuple[Iterable[Mapping[str, Any]], int]]:
    """Open the rows of ``table``, or those that ``sql`` selects, with their number."""
    with closing(clients.bigquery(target)) as client:
        if sql is None:
            found = client.list_rows(client.get_table(table), page_size=_PAGE_ROWS)
        else:
            found = client.query(sql).result(page_size=_PAGE_ROWS)
        yield (dict(row.items()) for row in found), int(found.total_rows or 0)


def row(number: int, columns: Mapping[str, Any], kind: str) -> Row:
    """Make the row of one table row: its columns are fields, or ``data`` holds the body and ``attributes`` the rest."""
    record = _without_null(dict(columns))
    try:
        if "data" in record and record.keys() <= _JOB_COLUMNS:
            return Row(number, _job(record))
        return Row(number, encode(body(kind, record)))
    except (TypeError, ValueError):
        return Row(number, b"", InvalidJob("row", "has a column of a type that JSON has not"))


def _job(record: Mapping[str, Any]) -> bytes:
    data = record["data"]
    text = data.encode() if isinstance(data, str) else encode(data)
    return b'{"data":%b,"attributes":%b}' % (text, encode(record.get("attributes", {})))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None}
    return value
