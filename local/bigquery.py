"""BigQuery on one machine: the package ``local-bigquery``, on top of DuckDB, with Terraform's tables and views.

DuckDB downloads extensions when it starts, and stops where only a package registry can be reached. So the extensions
come from the packages ``duckdb-extension-*``, which install them below ``$HOME/.duckdb``. The import and the server run
with HOME set to a folder of the stack's, so that nobody's home is touched.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, SchemaField

# Relative to HOME: version and platform are folders.
_EXTENSION_FILES = ".duckdb/extensions/*/*/*.duckdb_extension"
_EXTENSION_MEGABYTES = 130
EXTENSIONS = ("icu", "ducklake", "spatial")
_TERRAFORM = Path(__file__).parents[1] / "terraform"


class BigQueryError(Exception):
    """BigQuery cannot start. The text is for the person at the terminal."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of ``terraform/schemas/tables.json``, partitioned by the day of ``partition_field``."""

    schema: str
    description: str
    partition_field: str
    clustering: list[str]
    require_partition_filter: bool


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One view of ``terraform/views/views.json``. It reads tables, and views of lower layers.

    Args:
        columns: File with its columns and their descriptions, relative to ``terraform/views``.
    """

    layer: int
    description: str
    columns: str


def prepare(home: Path) -> None:
    """Put DuckDB's extensions below ``home``: seconds at the first call, nothing later.

    Raises:
        BigQueryError: if the packages are not installed for this DuckDB, or the disk is full.
    """
    if _extensions_in(home).issuperset(EXTENSIONS):
        return
    script = f"from duckdb_extensions import import_extension\nfor name in {EXTENSIONS!r}: import_extension(name)"
    try:
        home.mkdir(parents=True, exist_ok=True)
        # The files get their names when they are whole: a copy that a full disk cut off does not count as installed.
        with tempfile.TemporaryDirectory(dir=home) as unfinished:
            command = [sys.executable, "-c", script]
            done = subprocess.run(
                command, check=False, env=environment(Path(unfinished)), capture_output=True, text=True
            )
            if done.returncode != 0:
                raise _not_prepared(home, (done.stderr.strip().splitlines() or ["it said nothing"])[-1])
            for path in Path(unfinished).glob(_EXTENSION_FILES):
                target = home / path.relative_to(unfinished)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except OSError as error:
        raise _not_prepared(home, str(error.strerror)) from None


def _extensions_in(home: Path) -> set[str]:
    return {path.name.removesuffix(".duckdb_extension") for path in home.glob(_EXTENSION_FILES)}


def _not_prepared(home: Path, reason: str) -> BigQueryError:
    return BigQueryError(
        f"BigQuery cannot start: DuckDB's extensions could not be put into {home} ({reason}). "
        f"They need {_EXTENSION_MEGABYTES} MB of disk. If a package is missing, `make clean` and start again."
    )


def command(*, port: int, grpc_port: int, project: str, dataset: str, data: Path) -> list[str]:
    """The server's command line. Run it with ``environment(home)`` after ``prepare(home)``."""
    return [
        *(sys.executable, "-m", "local.bigquery_server", "serve"),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--grpc-port", str(grpc_port)),
        *("--project", project),
        *("--dataset", dataset),
        *("--data-dir", str(data)),
    ]


def environment(home: Path) -> dict[str, str]:
    """The server's environment: this process's own, with HOME set to ``home`` and this checkout to import from."""
    paths = [str(_TERRAFORM.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(paths)}


def client(url: str, project: str) -> "Client":
    """Google's client for the server at ``url``. The caller closes it."""
    from google.api_core.client_options import ClientOptions  # noqa: PLC0415 - half a second that a start need not take
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.bigquery import Client  # noqa: PLC0415

    return Client(
        project=project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=url),
    )


def create_tables(client: "Client", dataset: str) -> None:
    """Create the dataset's tables and views as Terraform does. An existing table stays, views are replaced."""
    from google.cloud import bigquery  # noqa: PLC0415

    client.create_dataset(dataset, exists_ok=True)
    for name, table in tables().items():
        created = bigquery.Table(
            f"{client.project}.{dataset}.{name}", client.schema_from_json(_TERRAFORM / "schemas" / table.schema)
        )
        created.description = table.description
        created.time_partitioning = bigquery.TimePartitioning(field=table.partition_field)
        created.clustering_fields = table.clustering
        created.require_partition_filter = table.require_partition_filter
        client.create_table(created, exists_ok=True)
    for name, view in sorted(views().items(), key=lambda entry: entry[1].layer):
        created = bigquery.Table(f"{client.project}.{dataset}.{name}")
        created.description = view.description
        created.view_query = view_query(name, project=client.project, dataset=dataset)
        client.delete_table(created, not_found_ok=True)
        client.create_table(created)
        # BigQuery takes no schema while it makes a view, and descriptions of the columns afterwards.
        created.schema = view_columns(name)
        client.update_table(created, ["schema"])


def tables() -> Mapping[str, Table]:
    """Terraform's tables by name."""
    return msgspec.json.decode((_TERRAFORM / "schemas" / "tables.json").read_bytes(), type=dict[str, Table])


def views() -> Mapping[str, View]:
    """Terraform's views by name."""
    return msgspec.json.decode((_TERRAFORM / "views" / "views.json").read_bytes(), type=dict[str, View])


def view_columns(name: str) -> "list[SchemaField]":
    """The columns of a view with their descriptions. None is required, as in the module ``warehouse`` of Terraform."""
    from google.cloud.bigquery import SchemaField  # noqa: PLC0415

    columns = msgspec.json.decode((_TERRAFORM / "views" / views()[name].columns).read_bytes())
    optional = [{**column, "mode": "NULLABLE"} if column["mode"] == "REQUIRED" else column for column in columns]
    return [SchemaField.from_api_repr(column) for column in optional]


def view_query(name: str, *, project: str, dataset: str) -> str:
    """The SQL of a view, with its placeholders filled as Terraform's ``templatefile`` fills them."""
    sql = (_TERRAFORM / "views" / f"{name}.sql").read_text()
    return Template(sql).substitute(project=project, dataset=dataset)
