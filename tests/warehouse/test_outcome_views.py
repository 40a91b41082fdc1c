"""The views that join what functions say of their jobs with what Customer.io reports of the messages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events import to_row
from shared.outcome_message import OutcomeMessage, outcome_row
from tests.warehouse.conftest import PROJECT, Emulator

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def outcome(job: str, second: float, what: str, *, kind: str = "send", attempt: int = 1, **more: Any) -> OutcomeMessage:
    return OutcomeMessage(
        function=kind,
        kind=kind,
        job_id=job,
        message_id=f"message of {job}",
        attempt=attempt,
        lane="main",
        outcome=what,
        published_at=START,
        at=at(second),
        latency_seconds=second,
        **more,
    )


OUTCOMES = [
    # a: two failed attempts, then a message that is read; the push that said so came again.
    outcome("a", 1, "retried", attempt=1, reason="rate_limited", status=429),
    outcome("a", 3, "retried", attempt=2, reason="server_error", status=503),
    outcome("a", 7, "done", attempt=3, how="applied", delivery_id="d-a", subject_hash="h", trace_id="t"),
    outcome("a", 9, "done", attempt=4, how="already_done", delivery_id="d-a", subject_hash="h"),
    # b: never sent.
    outcome("b", 2, "failed", error_class="rejected", reason="bad_request", status=400),
    # c: sent, and nothing heard since.
    outcome("c", 1, "done", how="applied", delivery_id="d-c"),
    # Other kinds have no delivery. An hour later, tracks of 1 to 100 s.
    outcome("p", 1, "done", kind="identify", how="unchanged"),
    *(outcome(f"e{n}", 3600 + n, "done", kind="track", how="applied") for n in range(1, 101)),
]
EVENTS = {"sent": 8, "delivered": 9, "opened": 60, "clicked": 70, "unsubscribed": 80}


@pytest.fixture(scope="module")
def known(emulator: Emulator, dataset: str) -> str:
    # All of it twice, so far apart that BigQuery has forgotten the row ids: at least once is what Pub/Sub promises.
    for copy in ("first", "second"):
        rows = [outcome_row(each) for each in OUTCOMES]
        ids = [f"{copy}-{number}" for number in range(len(rows))]
        assert emulator.client.insert_rows_json(f"{PROJECT}.{dataset}.job_outcomes", rows, row_ids=ids) == []
    bodies = [
        {
            "event_id": metric,
            "object_type": "email",
            "metric": metric,
            "timestamp": int(at(second).timestamp()),
            "data": {"delivery_id": "d-a", "identifiers": {"id": "42"}},
        }
        for metric, second in EVENTS.items()
    ]
    events = [to_row(json.dumps(body).encode(), at(100)) for body in bodies]
    assert emulator.client.insert_rows_json(f"{PROJECT}.{dataset}.events", events) == []
    return f"{PROJECT}.{dataset}"


def test_message_timeline(emulator: Emulator, known: str) -> None:
    rows = {row["job_id"]: row for row in emulator.rows(f"SELECT * FROM `{known}.message_timeline`")}
    assert rows.keys() == {"a", "b", "c"}
    assert {name: value for name, value in rows["a"].items() if value is not None} == {
        "job_id": "a",
        "published_at": at(0),
        "first_attempt_at": at(1),
        "done_at": at(7),
        "latency_seconds": 7,
        "attempts": 4,
        "outcome": "done",
        "reason": "server_error",
        "delivery_id": "d-a",
        "subject_hash": "h",
        "trace_id": "t",
        "state": "unsubscribed",
        "object_type": "email",
        "sent_at": at(8),
        "delivered_at": at(9),
        "opened_at": at(60),
        "clicked_at": at(70),
        "unsubscribed_at": at(80),
    }
    assert (rows["b"]["outcome"], rows["b"]["reason"], rows["b"]["dead_lettered_at"]) == (
        "failed",
        "bad_request",
        at(2),
    )
    assert (rows["b"]["delivery_id"], rows["c"]["delivery_id"], rows["c"]["sent_at"]) == (None, "d-c", None)


def test_job_latency(emulator: Emulator, known: str) -> None:
    rows = emulator.rows(f"SELECT * FROM `{known}.job_latency` ORDER BY hour, kind")
    assert [(row["hour"], row["kind"], row["jobs"]) for row in rows] == [
        (START, "send", 2),
        (START + timedelta(hours=1), "track", 100),
    ]
    latencies = [rows[-1][name] - 3600 for name in ("p50_seconds", "p95_seconds", "p99_seconds")]
    assert latencies == pytest.approx([50, 95, 99], abs=2)
