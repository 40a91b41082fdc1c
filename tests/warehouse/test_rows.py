"""Every payload of Customer.io's as a row, read back with the official client."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from shared.events import row_id, to_row
from shared.warehouse import BigQueryWarehouse, RowRejectedError
from tests.payloads import SAMPLES
from tests.warehouse.conftest import PROJECT, Emulator

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# Where each field of a payload is expected: written by hand, so that the code's own table is not its own judge.
TEXT = {
    "delivery_id": "delivery_id",
    "customer_id": "customer_id",
    "email_address": "email_address",
    "recipient": "recipient",
    "subject": "subject",
    "failure_message": "failure_message",
    "href": "href",
    "tracked_response": "tracked_response",
    "inbound_event_id": "inbound_event_id",
    "to": "replied_to",
    "journey_id": "journey_id",
    "trigger_event_id": "trigger_event_id",
    "transactional_message_id": "transactional_message_id",
}
SAME = {
    *("campaign_id", "broadcast_id", "trigger_id", "newsletter_id", "content_id", "action_id", "parent_action_id"),
    *("link_id", "machine", "proxied", "prefetched", "synthetic"),
}
RAW_ONLY = {"content", "headers"}


def expected(payload: dict[str, Any]) -> dict[str, Any]:
    data = dict(payload["data"])
    row = {
        "event_id": payload["event_id"],
        "object_type": payload["object_type"],
        "metric": payload["metric"],
        "event_time": datetime.fromtimestamp(int(payload["timestamp"]), UTC),
        "received_at": RECEIVED_AT,
        "raw": payload,
    }
    for name, value in data.pop("identifiers").items():
        row[{"id": "person_id", "email": "person_email", "cio_id": "person_cio_id"}[name]] = value
    if devices := data.pop("recipients", None):
        absent = {"device_id": None, "device_platform": None, "failure_message": None}
        row["recipients"] = [absent | device for device in devices]
    for name, value in data.items():
        if name in TEXT:
            row[TEXT[name]] = str(value)
        elif name in SAME:
            row[name] = value
        else:
            assert name in RAW_ONLY, f"{name} has no column"
    return row


@pytest.fixture(scope="module")
def warehouse(emulator: Emulator, dataset: str) -> BigQueryWarehouse:
    return BigQueryWarehouse(f"{PROJECT}.{dataset}.events", new_client=lambda _: emulator.client)


@pytest_asyncio.fixture(scope="module")
async def stored(emulator: Emulator, dataset: str, warehouse: BigQueryWarehouse) -> dict[str, dict[str, Any]]:
    """All payloads inserted at once, and the rows that came of it by their raw event."""
    bodies = [json.dumps(sample["payload"]).encode() for sample in SAMPLES]
    await asyncio.gather(*(warehouse.insert(to_row(raw, RECEIVED_AT), row_id(raw)) for raw in bodies))
    rows = emulator.rows(f"SELECT * FROM `{PROJECT}.{dataset}.events`")
    assert len(rows) == len(SAMPLES)
    return {json.dumps(row["raw"], sort_keys=True): row for row in rows}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["name"])
def test_a_payload_lands_with_its_columns_filled(stored: dict[str, dict[str, Any]], sample: dict[str, Any]) -> None:
    row = stored[json.dumps(sample["payload"], sort_keys=True)]
    filled = {name: value for name, value in row.items() if value is not None and value != []}
    assert filled == expected(sample["payload"])


async def test_unusual_text_survives(emulator: Emulator, dataset: str, warehouse: BigQueryWarehouse) -> None:
    subject = "\u0000 \" \\ ' é 😀 \u2028"
    payload = {"event_id": "odd", "metric": "sent", "data": {"subject": subject, "new": [1.5, None]}}
    raw = json.dumps(payload, ensure_ascii=False).encode()
    await warehouse.insert(to_row(raw, RECEIVED_AT), row_id(raw))
    [row] = emulator.rows(f"SELECT subject, raw FROM `{PROJECT}.{dataset}.events` WHERE event_id = 'odd'")
    assert row == {"subject": subject, "raw": payload}


async def test_the_same_event_again_is_the_same_row_and_the_view_has_one_per_event(
    emulator: Emulator, dataset: str, warehouse: BigQueryWarehouse
) -> None:
    raw = b'{"event_id":"twice","metric":"sent"}'
    for body, minute in ((raw, 0), (raw, 1), (raw + b" ", 2)):
        await warehouse.insert(to_row(body, RECEIVED_AT.replace(minute=minute)), row_id(body))
    where = f"FROM `{PROJECT}.{dataset}.%s` WHERE event_id = 'twice'"
    assert len(emulator.rows("SELECT 1 " + where % "events")) == 2
    [row] = emulator.rows("SELECT received_at " + where % "events_deduplicated")
    assert row["received_at"].minute == 0


async def test_of_50_rows_one_is_bad_and_49_are_in(
    emulator: Emulator, dataset: str, warehouse: BigQueryWarehouse
) -> None:
    rows = [to_row(b'{"event_id":"of-50-%d","metric":"sent"}' % number, RECEIVED_AT) for number in range(50)]
    rows[3]["campaign_id"] = "ada@example.com"
    fates = await asyncio.gather(*(warehouse.insert(row, row["event_id"]) for row in rows), return_exceptions=True)
    [(index, rejection)] = [(index, fate) for index, fate in enumerate(fates) if fate is not None]
    assert index == 3
    assert isinstance(rejection, RowRejectedError)
    assert (rejection.reason, rejection.field) == ("invalid", "campaign_id")
    assert "ada" not in str(rejection)
    where = f"FROM `{PROJECT}.{dataset}.events` WHERE STARTS_WITH(event_id, 'of-50-')"
    assert emulator.rows(f"SELECT COUNT(*) AS n {where}") == [{"n": 49}]
