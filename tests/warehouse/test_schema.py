import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from google.cloud.bigquery import SchemaField

from local.bigquery import create_tables, tables, view_columns, view_query, views
from shared.events import to_row
from shared.outcome_message import OutcomeMessage, outcome_row
from tests.function_process import ROOT
from tests.warehouse.conftest import PROJECT, Emulator

TERRAFORM = ROOT / "terraform"
COLUMNS: list[dict[str, Any]] = json.loads((TERRAFORM / "schemas" / "events.json").read_text())

# Every field that Customer.io documents for `data`, in any event.
DOCUMENTED = {
    "delivery_id": "d",
    "identifiers": {"id": "42", "email": "a@example.com", "cio_id": "c"},
    "customer_id": "42",
    "email_address": "a@example.com",
    "broadcast_id": 1,
    "trigger_id": 2,
    "action_id": 3,
    "journey_id": "j",
    "parent_action_id": 4,
    "campaign_id": 5,
    "trigger_event_id": "t",
    "newsletter_id": 6,
    "content_id": 7,
    "transactional_message_id": 8,
    "recipient": "a@example.com",
    "recipients": [{"device_id": "tok", "device_platform": "ios", "failure_message": "gone"}],
    "subject": "s",
    "failure_message": "f",
    "href": "https://example.com",
    "link_id": 9,
    "tracked_response": "yes",
    "machine": False,
    "proxied": False,
    "prefetched": False,
    "synthetic": False,
    "inbound_event_id": "i",
    "to": "+15550100",
}


def test_a_row_fills_every_column_and_no_other() -> None:
    event = {"event_id": "e", "metric": "m", "object_type": "o", "timestamp": 1, "data": DOCUMENTED}
    row = to_row(json.dumps(event).encode(), datetime.now(UTC))
    assert row.keys() == {column["name"] for column in COLUMNS}
    recipients = next(column for column in COLUMNS if column["name"] == "recipients")
    assert row["recipients"][0].keys() == {column["name"] for column in recipients["fields"]}


def test_an_outcome_fills_every_column_and_no_other() -> None:
    now = datetime.now(UTC)
    fields = msgspec.structs.fields(OutcomeMessage)
    values: dict[str, Any] = {field.name: "x" for field in fields}
    values |= {"attempt": 1, "status": 400, "requested": True, "latency_seconds": 0.5, "published_at": now, "at": now}
    row = outcome_row(OutcomeMessage(**values))
    columns = json.loads((TERRAFORM / "schemas" / "job_outcomes.json").read_text())
    assert row.keys() == {column["name"] for column in columns}
    assert all(10 <= len(column["description"]) <= 1024 for column in columns)
    assert {column["name"] for column in columns if column["mode"] == "REQUIRED"} == {"job_id", "settled_at"}


def test_only_what_every_event_has_is_required_and_every_column_is_described() -> None:
    assert {column["name"] for column in COLUMNS if column["mode"] == "REQUIRED"} == {"event_id", "received_at"}
    for column in [*COLUMNS, *(field for outer in COLUMNS for field in outer.get("fields", ()))]:
        assert column["mode"] in {"NULLABLE", "REQUIRED"} or column["name"] == "recipients"
        assert 10 <= len(column["description"]) <= 1024, column["name"]


def test_tables_name_columns_that_exist() -> None:
    for table in tables().values():
        names = {column["name"] for column in json.loads((TERRAFORM / "schemas" / table.schema).read_text())}
        assert {table.partition_field, *table.clustering} <= names
        assert len(table.clustering) <= 4


def test_every_view_has_a_file_a_layer_and_only_placeholders_that_terraform_fills() -> None:
    files = {path.stem: path.read_text() for path in (TERRAFORM / "views").glob("*.sql")}
    assert files.keys() == views().keys()
    for sql in files.values():
        assert set(re.findall(r"[$%]\{?\w*\}?", sql)) == {"${project}", "${dataset}"}


@pytest.mark.parametrize("name", views())
def test_a_view_reads_lower_layers_only(name: str) -> None:
    layers = dict.fromkeys(tables(), 0) | {view: entry.layer for view, entry in views().items()}
    read = re.findall(r"`p\.d\.(\w+)`", view_query(name, project="p", dataset="d"))
    assert read
    assert all(layers[source] < layers[name] for source in read)


@pytest.mark.parametrize("name", views())
def test_every_column_of_a_view_is_described_with_the_type_that_bigquery_finds(
    emulator: Emulator, dataset: str, name: str
) -> None:
    # Terraform makes a view anew at every apply when a type in the file is not the one that BigQuery finds.
    query = view_query(name, project=PROJECT, dataset=dataset)
    found = emulator.client.query_and_wait(f"SELECT * FROM ({query}) LIMIT 0").schema
    described = view_columns(name)
    assert [_without_description(column) for column in described] == [_without_description(column) for column in found]
    for column in described:
        assert 10 <= len(column.description or "") <= 1024, column.name
    kept = emulator.client.get_table(f"{PROJECT}.{dataset}.{name}").schema
    assert [column.description for column in kept] == [column.description for column in described]


def _without_description(column: SchemaField) -> tuple[Any, ...]:
    return column.name, column.field_type, column.mode, [_without_description(field) for field in column.fields]


def test_tables_and_views_can_be_created_again(emulator: Emulator, dataset: str) -> None:
    raw = b'{"event_id":"kept","metric":"sent"}'
    emulator.client.insert_rows_json(f"{PROJECT}.{dataset}.events", [to_row(raw, datetime.now(UTC))])
    create_tables(emulator.client, dataset)
    assert len(emulator.rows(f"SELECT 1 FROM `{PROJECT}.{dataset}.events_deduplicated`")) == 1
    table = emulator.client.get_table(f"{PROJECT}.{dataset}.events")
    assert table.time_partitioning.type_ == "DAY"
    assert table.time_partitioning.field == "event_time"
    assert table.clustering_fields == ["object_type", "metric", "campaign_id", "delivery_id"]
    assert [field.to_api_repr() for field in table.schema] == COLUMNS
