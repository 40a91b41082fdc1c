"""BigQuery on one machine, as a process that all tests of a worker share."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local import bigquery
from tests.function_process import ROOT, accepts_connections, free_port

PROJECT = "demo-project"
# For names of datasets. Kept here: a conftest.py that is imported is loaded twice, and would count twice.
numbers = itertools.count()


@pytest_asyncio.fixture(scope="session")
async def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """URL of the server, without datasets of Terraform's."""
    home = ROOT / ".local" / "duckdb"  # kept between runs: 130 MB
    await asyncio.to_thread(bigquery.prepare, home)
    folder = tmp_path_factory.mktemp("bigquery")
    port = free_port()
    command = bigquery.command(
        port=port, grpc_port=free_port(), project=PROJECT, dataset="default", data=folder / "data"
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env=bigquery.environment(home), stdout=output, stderr=output
        )
    try:
        await accepts_connections(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()
