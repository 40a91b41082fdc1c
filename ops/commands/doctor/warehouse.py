"""Whether BigQuery has the tables that the archive function writes and the views that analysts read."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ops import clients, deadlines
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.target import Target

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, Table

_TERRAFORM = Path(__file__).parents[3] / "terraform"


def check_warehouse(target: Target) -> Iterator[Finding]:
    """Check that each table and view exists, and that tables have every column of their schema.

    Raises:
        GoogleAPIError: if BigQuery does not answer.
    """
    client = clients.bigquery(target)
    try:
        for name, table in _json("schemas/tables.json").items():
            yield _check(
                client, target, "table", name, {column["name"] for column in _json(f"schemas/{table['schema']}")}
            )
        for name in _json("views/views.json"):
            yield _check(client, target, "view", name, set())
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _check(client: "Client", target: Target, what: str, name: str, columns: set[str]) -> Finding:
    from google.api_core.exceptions import Forbidden, NotFound  # noqa: PLC0415
    from google.cloud.bigquery import DEFAULT_RETRY  # noqa: PLC0415

    check = f"{what} {target.dataset}.{name}"
    try:
        found: Table = client.get_table(
            f"{target.project}.{target.dataset}.{name}",
            timeout=deadlines.QUERY_SECONDS,
            retry=DEFAULT_RETRY.with_timeout(deadlines.QUERY_SECONDS),
        )
    except NotFound:
        return failed(check, "does not exist: run `terraform apply`, or check BIGQUERY_DATASET and --environment")
    except Forbidden:
        return skipped(check, "you may not see it: ask for roles/bigquery.metadataViewer")
    if missing := columns - {column.name for column in found.schema}:
        return failed(check, f"has no column {', '.join(sorted(missing))}: run `terraform apply`")
    return ok(check, f"{len(found.schema)} columns")


def _json(path: str) -> Any:
    return msgspec.json.decode((_TERRAFORM / path).read_bytes())
