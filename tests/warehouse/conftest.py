from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local import bigquery
from tests.bigquery_process import PROJECT, numbers

if TYPE_CHECKING:
    from google.cloud.bigquery import Client


@dataclass(frozen=True)
class Emulator:
    host: str
    client: "Client"

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row.items()) for row in self.client.query(sql).result()]


@pytest.fixture(scope="session")
def emulator(bigquery_server: str) -> Iterator[Emulator]:
    client = bigquery.client(bigquery_server, PROJECT)
    yield Emulator(bigquery_server, client)
    client.close()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def dataset(emulator: Emulator) -> str:
    """A dataset of the module's own, with the tables and views of Terraform."""
    name = f"customerio_{next(numbers)}"
    bigquery.create_tables(emulator.client, name)
    return name
