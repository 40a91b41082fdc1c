"""archive: what becomes of an event, in the process that is deployed and in the handler alone."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.handlers.archive import Archive, OutcomeArchive
from shared.outcome import Done, Failed, Retry
from shared.outcome_message import OutcomeMessage
from shared.pubsub.message import PushMessage
from shared.warehouse import RowRejectedError, WarehouseUnavailableError
from tests.function_process import RunningFunction, running_function
from tests.payloads import BODY
from tests.warehouse.conftest import PROJECT, Emulator
from tests.webhook.conftest import FakePubSub, pubsub, pubsub_server

__all__ = ["pubsub", "pubsub_server"]

PUBLISHED = datetime(2026, 5, 6, tzinfo=UTC)
RECEIVED = "2026-05-05T23:59:58.500000+00:00"
OUTCOME = OutcomeMessage(
    function="send",
    kind="send",
    job_id="j",
    outcome="done",
    how="applied",
    delivery_id="d",
    published_at=PUBLISHED,
    at=PUBLISHED + timedelta(seconds=1),
    latency_seconds=1,
).encode()


class FakeWarehouse:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.rows: list[Mapping[str, Any]] = []

    async def insert(self, row: Mapping[str, Any], row_id: str, *, deadline: float | None = None) -> None:  # noqa: ARG002
        assert row_id
        if self.error is not None:
            raise self.error
        self.rows.append(row)


def delivery(data: bytes = BODY, attributes: dict[str, str] | None = None) -> PushMessage:
    return PushMessage(
        key="k",
        is_named=False,
        data=data,
        attributes=attributes or {},
        first_published_at=PUBLISHED,
        lane="main",
        attempt=1,
        ordering_key="",
    )


@pytest.mark.parametrize(
    ("attributes", "received_at"),
    [
        ({"received_at": RECEIVED}, RECEIVED),
        ({}, PUBLISHED.isoformat()),
        ({"received_at": "soon"}, PUBLISHED.isoformat()),
        ({"received_at": "2026-05-05T23:59:58"}, PUBLISHED.isoformat()),
    ],
)
async def test_an_event_is_a_row(attributes: dict[str, str], received_at: str) -> None:
    warehouse = FakeWarehouse()
    assert await Archive(warehouse)(delivery(attributes=attributes)) == Done(subject="id:user-123")
    [row] = warehouse.rows
    assert (row["event_id"], row["received_at"]) == ("01E2EMRMM6TZ12TF9WGZN0WJQT", received_at)


async def test_an_outcome_is_a_row() -> None:
    warehouse = FakeWarehouse()
    assert await OutcomeArchive(warehouse)(delivery(OUTCOME)) == Done()
    [row] = warehouse.rows
    assert (row["job_id"], row["delivery_id"], row["settled_at"]) == ("j", "d", "2026-05-06T00:00:01+00:00")


async def test_no_outcome_fails_for_good() -> None:
    outcome = await OutcomeArchive(FakeWarehouse())(delivery(b'{"job_id": "canary"}'))
    assert isinstance(outcome, Failed)
    assert (outcome.error_class, "canary" in outcome.message) == ("not_an_outcome", False)


async def test_no_event_fails_for_good() -> None:
    outcome = await Archive(FakeWarehouse())(delivery(b"{}"))
    assert outcome == Failed(error_class="not_an_event", reason="not_an_event", message="event_id is missing")


async def test_a_rejected_row_fails_for_good() -> None:
    rejection = RowRejectedError("invalid", "event_time", "is outside the allowed bounds")
    assert await Archive(FakeWarehouse(rejection))(delivery()) == Failed(
        error_class="row_rejected",
        reason="invalid",
        field="event_time",
        message="is outside the allowed bounds",
        subject="id:user-123",
    )


async def test_an_unavailable_warehouse_is_for_later() -> None:
    unavailable = WarehouseUnavailableError("notFound", status=404, needs_operator=True)
    assert await Archive(FakeWarehouse(unavailable))(delivery()) == Retry(
        status=503, reason="notFound", upstream_status=404, needs_operator=True, subject="id:user-123"
    )


def environment(emulator: Emulator, dataset: str, pubsub_address: str, ledger: Path) -> dict[str, str]:
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "BIGQUERY_EMULATOR_HOST": emulator.host,
        "BIGQUERY_DATASET": dataset,
        "DEAD_LETTER_TOPIC": f"projects/{PROJECT}/topics/cio-events-dead-letter",
        "OUTCOMES_DEAD_LETTER_TOPIC": f"projects/{PROJECT}/topics/cio-outcomes-dead-letter",
        "PUBSUB_EMULATOR_HOST": pubsub_address,
        "LEDGER": f"sqlite:{ledger}",
    }


@pytest_asyncio.fixture(scope="module")
async def archive(
    emulator: Emulator, dataset: str, pubsub_server: FakePubSub, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningFunction]:
    log = tmp_path_factory.mktemp("archive") / "log"
    settings = environment(emulator, dataset, pubsub_server.address, log.with_name("ledger.sqlite"))
    async with running_function("archive", settings, log) as function:
        yield function


def push(data: bytes, subscription: str = "cio-events") -> dict[str, Any]:
    message = {
        "data": base64.b64encode(data).decode(),
        "attributes": {"received_at": RECEIVED},
        "messageId": "1",
        "publishTime": "2026-05-06T00:00:00Z",
    }
    path = f"projects/{PROJECT}/subscriptions/{subscription}"
    return {"message": message, "subscription": path, "deliveryAttempt": 1}


async def test_a_push_of_an_event_is_acknowledged_when_its_row_is_in(
    emulator: Emulator, dataset: str, archive: RunningFunction
) -> None:
    async with httpx.AsyncClient(base_url=archive.url, timeout=20) as caller:
        assert (await caller.post("/", json=push(BODY))).status_code == 204
    [row] = emulator.rows(f"SELECT * FROM `{PROJECT}.{dataset}.events`")
    assert row["raw"] == json.loads(BODY)
    assert row["received_at"] == datetime.fromisoformat(RECEIVED)
    assert row["campaign_id"] == 23


async def test_one_function_takes_both_topics_each_with_its_own_dead_letters(
    emulator: Emulator, dataset: str, archive: RunningFunction, pubsub: FakePubSub
) -> None:
    async with httpx.AsyncClient(base_url=archive.url, timeout=20) as caller:
        for subscription in ("dev-cio-outcomes", "dev-cio-outcomes-retry"):
            assert (await caller.post("/", json=push(OUTCOME, subscription))).status_code == 204
        for subscription in ("dev-cio-outcomes", "dev-cio-events"):
            assert (await caller.post("/", json=push(b"{}", subscription))).status_code == 204
    rows = emulator.rows(f"SELECT job_id, delivery_id FROM `{PROJECT}.{dataset}.job_outcomes`")
    assert rows == [{"job_id": "j", "delivery_id": "d"}]  # delivered twice, it is one row
    assert [topic.rpartition("/")[2] for topic, _, _ in pubsub.published] == [
        "cio-outcomes-dead-letter",
        "cio-events-dead-letter",
    ]
    kinds = [json.loads(line)["kind"] for line in archive.json_lines()]
    assert kinds[-4:] == ["outcomes", "outcomes", "outcomes", "events"]


async def test_without_the_table_the_event_stays_with_pubsub(
    emulator: Emulator, dataset: str, archive: RunningFunction
) -> None:
    emulator.client.delete_table(f"{PROJECT}.{dataset}.events")
    async with httpx.AsyncClient(base_url=archive.url, timeout=20) as caller:
        assert (await caller.post("/", json=push(BODY))).status_code == 503
    [line] = [json.loads(line) for line in archive.lines() if '"retry_later"' in line]
    assert (line["reason"], line["status"], line["severity"]) == ("notFound", 404, "CRITICAL")
    assert "@example.com" not in archive.log.read_text()
