import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from local import bigquery
from tests.function_process import ROOT, accepts_connections, free_port

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

PROJECT = "demo-project"


@dataclass(frozen=True)
class Emulator:
    host: str
    client: "Client"

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row.items()) for row in self.client.query(sql).result()]


@pytest_asyncio.fixture(scope="session")
async def emulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Emulator]:
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
        host = f"http://127.0.0.1:{port}"
        client = bigquery.client(host, PROJECT)
        yield Emulator(host, client)
        client.close()  # type: ignore[no-untyped-call]
    finally:
        process.kill()
        await process.wait()


_numbers = itertools.count()


@pytest.fixture(scope="module")
def dataset(emulator: Emulator) -> str:
    """A dataset of the module's own, with the tables and views of Terraform."""
    name = f"customerio_{next(_numbers)}"
    bigquery.create_tables(emulator.client, name)
    return name
