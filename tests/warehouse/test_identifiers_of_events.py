"""Which of an event's names for a person and for what happened wins."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.events import Event, event_row, read_event


def event(**fields: Any) -> Event:
    return read_event(json.dumps({"event_id": "e1", "metric": "sent"} | fields).encode())


@pytest.mark.parametrize(
    ("data", "person"),
    [
        ({"identifiers": {"id": "1", "cio_id": "c", "email": "e"}, "customer_id": "old"}, "id:1"),
        ({"identifiers": {"id": "", "cio_id": "c", "email": "e"}, "customer_id": "old"}, "cio_id:c"),
        ({"identifiers": {"id": None, "email": "e"}, "customer_id": "old"}, "email:e"),
        ({"identifiers": {}, "customer_id": 42}, "id:42"),
        ({"identifiers": "odd", "customer_id": ""}, ""),
        ({}, ""),
    ],
)
def test_the_first_identifier_that_is_not_empty_names_the_person(data: dict[str, Any], person: str) -> None:
    assert event(data=data).person == person


@pytest.mark.parametrize(
    ("fields", "object_type"),
    [
        ({"object_type": "email", "object_type_type": "customer"}, "email"),
        ({"object_type": "", "object_type_type": "customer"}, "customer"),
        ({"object_type_type": "customer"}, "customer"),
        ({}, ""),
    ],
)
def test_object_type_wins_over_its_other_name(fields: dict[str, Any], object_type: str) -> None:
    assert event(**fields).object_type == object_type


def test_metric_wins_over_the_legacy_event_type() -> None:
    assert event(event_type="sms_opened").metric == "sent"


def test_each_identifier_has_its_own_column() -> None:
    identifiers = {"id": "1", "cio_id": "c", "email": "e"}
    row = event_row(event(data={"identifiers": identifiers}), b"{}", datetime(2026, 1, 2, tzinfo=UTC))
    assert {name: row[f"person_{name}"] for name in identifiers} == identifiers
