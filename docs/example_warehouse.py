"""A BigQuery on this machine that holds the thirty days of ``local/demo/history.py``, for as long as it is asked."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from local import bigquery, deadlines
from local.demo.history import history
from local.demo.month import fill

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

_PROJECT = "example"
_HOME = Path(".local/duckdb")


@contextmanager
def example_warehouse(last_day: date, dataset: str) -> Iterator["Client"]:
    """Start a BigQuery, make its tables and views, fill them, and stop it at the end."""
    bigquery.prepare(_HOME)
    port, grpc_port = _free_ports()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        command = bigquery.command(port=port, grpc_port=grpc_port, project=_PROJECT, dataset=dataset, data=data)
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, env=bigquery.environment(_HOME), stdout=log, stderr=log)  # noqa: S603 - ours
        try:
            _wait_for(port)
            with bigquery.client(f"http://127.0.0.1:{port}", _PROJECT) as client:
                bigquery.create_tables(client, dataset)
                fill(client, dataset, history(last_day))
                yield client
        finally:
            server.kill()
            server.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + deadlines.PART_START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(deadlines.PART_POLL_SECONDS)
        else:
            return
