"""The local BigQuery after ``POST /_local/compact``: what was deleted is in none of its files."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.warehouse.conftest import PROJECT, Emulator

# The greatest of all, so that the catalog notes it; long, so that compression does not take it apart.
CANARY = "zz-canary-8c1f@example.com"


def files_with_canary(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


async def test_what_was_deleted_is_in_no_file(
    emulator: Emulator, dataset: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    [files] = tmp_path_factory.getbasetemp().glob("bigquery[0-9]*/data")
    table = f"{PROJECT}.{dataset}.events"
    rows = [
        {
            "event_id": f"compacting-{number}",
            "received_at": "2026-01-01T00:00:00Z",
            "recipient": CANARY if number % 10 == 0 else f"p{number}@example.com",
        }
        for number in range(200)
    ]
    assert emulator.client.insert_rows_json(table, rows) == []
    assert emulator.rows(f"SELECT recipient FROM `{table}` WHERE recipient = '{CANARY}'")  # a result that is kept
    emulator.rows(
        f"DELETE FROM `{table}` WHERE TO_HEX(SHA256(recipient)) = TO_HEX(SHA256('{CANARY[:2]}'||'{CANARY[2:]}'))"
    )
    assert files_with_canary(files)

    def insert(number: int) -> list[object]:
        return list(emulator.client.insert_rows_json(table, [{**rows[1], "event_id": f"meanwhile-{number}"}]))

    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        inserts = [asyncio.to_thread(insert, number) for number in range(4)]
        compacted, *inserted = await asyncio.gather(client.post(f"{emulator.host}/_local/compact"), *inserts)
    assert compacted.status_code == 204
    assert inserted == [[]] * 4
    assert files_with_canary(files) == []
    assert emulator.client.insert_rows_json(table, [{**rows[1], "event_id": "later"}]) == []
    assert emulator.rows(f"SELECT COUNT(*) AS n FROM `{table}`") == [{"n": 185}]
    assert emulator.rows(f"SELECT COUNT(*) AS n FROM `{PROJECT}.{dataset}.events_deduplicated`") == [{"n": 185}]
