"""Tables of one command in BigQuery: loaded from files, filled by queries, dropped at the end."""

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops import clients, deadlines
from ops.target import Target

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

_PAGE_ROWS = 5000
_CONNECTIONS = 4


class Tables:
    """Tables of the events' dataset whose names begin alike.

    Args:
        client: BigQuery's client; the caller closes it.
        dataset: ``PROJECT.DATASET``.
        what: Beginning of the tables' names.
    """

    def __init__(self, client: "Client", dataset: str, what: str) -> None:
        self._client = client
        self._prefix = f"{dataset}.{what}_{secrets.token_hex(4)}_"
        self._names: list[str] = []

    def load(self, name: str, columns: Mapping[str, str], file: Path) -> None:
        """Create a table of a file of JSON lines.

        Args:
            name: Name by which ``query`` knows the table.
            columns: BigQuery's type of each column.
            file: The lines; columns that are absent are NULL.
        """
        from google.cloud.bigquery import LoadJobConfig, SchemaField, SourceFormat, Table  # noqa: PLC0415

        schema = [SchemaField(column, kind) for column, kind in columns.items()]
        table = Table(self._prefix + name, schema=schema)
        table.expires = datetime.now(UTC) + timedelta(hours=deadlines.TABLE_HOURS)
        self._client.create_table(table)
        self._names.append(name)
        if not file.stat().st_size:
            return
        config = LoadJobConfig(schema=schema, source_format=SourceFormat.NEWLINE_DELIMITED_JSON)
        with file.open("rb") as lines:
            self._client.load_table_from_file(lines, table, job_config=config).result()

    def create(self, name: str, sql: str) -> None:
        """Create a table of what a query selects."""
        hours = f"{deadlines.TABLE_HOURS:.0f}"
        expiry = f"OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL {hours} HOUR))"
        self._client.query(f"CREATE TABLE `{self._prefix}{name}` {expiry} AS {self._filled(sql)}").result()
        self._names.append(name)

    def query(self, sql: str) -> Iterator[dict[str, Any]]:
        """Rows of a query, a page at a time. ``{name}`` in it stands for the table of that name."""
        for row in self._client.query(self._filled(sql)).result(page_size=_PAGE_ROWS):
            yield dict(row.items())

    def number(self, sql: str) -> int:
        """The one number that a query selects."""
        return int(next(iter(next(self.query(sql)).values())) or 0)

    def drop(self) -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            for name in self._names:
                threads.submit(self._client.delete_table, self._prefix + name, not_found_ok=True)

    def _filled(self, sql: str) -> str:
        return sql.format_map({name: f"`{self._prefix}{name}`" for name in self._names})


@contextmanager
def open_tables(target: Target, what: str) -> Iterator[Tables]:
    """Tables that are dropped at the end. Those of a run that was killed expire by themselves."""
    with closing(clients.bigquery(target)) as client:
        tables = Tables(client, f"{target.project}.{target.dataset}", what)
        try:
            yield tables
        finally:
            tables.drop()
