"""BigQuery on one machine: PyPI's ``local-bigquery`` (DuckDB underneath), with the tables and views of Terraform.

DuckDB fetches extensions from its own site when it starts and stops where only a package registry is reached, so they
are taken from PyPI's ``duckdb-extension-*`` instead. Those land below ``$HOME/.duckdb``: both the import and the server
run with HOME set to a folder of ours, and nobody's home is touched.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

EXTENSIONS = ("icu", "ducklake", "spatial")
_TERRAFORM = Path(__file__).parents[1] / "terraform"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of ``terraform/schemas/tables.json``. Partitions are days of ``partition_field``."""

    schema: str
    description: str
    partition_field: str
    clustering: list[str]
    require_partition_filter: bool


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of ``terraform/views/views.json``. A view reads tables and views of lower layers only."""

    layer: int
    description: str


def prepare(home: Path) -> None:
    """Put DuckDB's extensions below ``home``. Seconds at first, nothing when they are there.

    Raises:
        subprocess.CalledProcessError: the packages are not installed in this Python, or not for its DuckDB.
    """
    found = {
        path.name.removesuffix(".duckdb_extension") for path in home.glob(".duckdb/extensions/*/*/*.duckdb_extension")
    }
    if found.issuperset(EXTENSIONS):
        return
    home.mkdir(parents=True, exist_ok=True)
    script = f"from duckdb_extensions import import_extension\nfor name in {EXTENSIONS!r}: import_extension(name)"
    subprocess.run([sys.executable, "-c", script], check=True, env=environment(home), stdout=subprocess.DEVNULL)


def command(*, port: int, grpc_port: int, project: str, dataset: str, data: Path) -> list[str]:
    """Command line of the server; to be run with ``environment(home)`` after ``prepare(home)``."""
    return [
        str(Path(sys.executable).with_name("local-bigquery")),
        "serve",
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--grpc-port", str(grpc_port)),
        *("--project", project),
        *("--dataset", dataset),
        *("--data-dir", str(data)),
    ]


def environment(home: Path) -> dict[str, str]:
    """Environment of the server: this process's, with HOME set."""
    return os.environ | {"HOME": str(home)}


def client(url: str, project: str) -> "Client":
    """The official client, for the server at ``url``."""
    from google.api_core.client_options import ClientOptions  # noqa: PLC0415 - half a second that the stack's start need not wait for
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.bigquery import Client  # noqa: PLC0415

    return Client(
        project=project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=url),
    )


def create_tables(client: "Client", dataset: str) -> None:
    """Create the dataset's tables and views as Terraform does. A table that exists stays; views are made anew."""
    from google.cloud import bigquery  # noqa: PLC0415

    client.create_dataset(dataset, exists_ok=True)
    for name, table in tables().items():
        made = bigquery.Table(
            f"{client.project}.{dataset}.{name}", client.schema_from_json(_TERRAFORM / "schemas" / table.schema)
        )
        made.description = table.description
        made.time_partitioning = bigquery.TimePartitioning(field=table.partition_field)
        made.clustering_fields = table.clustering
        made.require_partition_filter = table.require_partition_filter
        client.create_table(made, exists_ok=True)
    for name, view in sorted(views().items(), key=lambda entry: entry[1].layer):
        made = bigquery.Table(f"{client.project}.{dataset}.{name}")
        made.description = view.description
        made.view_query = view_query(name, project=client.project, dataset=dataset)
        client.delete_table(made, not_found_ok=True)
        client.create_table(made)


def tables() -> Mapping[str, Table]:
    """The tables by name."""
    return msgspec.json.decode((_TERRAFORM / "schemas" / "tables.json").read_bytes(), type=dict[str, Table])


def views() -> Mapping[str, View]:
    """The views by name."""
    return msgspec.json.decode((_TERRAFORM / "views" / "views.json").read_bytes(), type=dict[str, View])


def view_query(name: str, *, project: str, dataset: str) -> str:
    """SQL of a view, its placeholders filled as ``templatefile`` does."""
    sql = (_TERRAFORM / "views" / f"{name}.sql").read_text()
    return Template(sql).substitute(project=project, dataset=dataset)
