"""The views over a small set of events whose numbers are known."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.events import row_id, to_row
from tests.warehouse.conftest import PROJECT, Emulator

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = int(DAY.timestamp())
_last = 0


def at(second: int) -> datetime:
    return datetime.fromtimestamp(SECOND + second, UTC)


def event(object_type: str, metric: str, second: int, **data: Any) -> dict[str, Any]:
    global _last  # noqa: PLW0603 - the events are numbered as they are written down
    _last += 1
    return {
        "event_id": f"e{_last}",
        "object_type": object_type,
        "metric": metric,
        "timestamp": SECOND + second,
        "data": data,
    }


def email(delivery_id: str, metric: str, second: int, **data: Any) -> dict[str, Any]:
    person = {"identifiers": {"id": f"person-{delivery_id}"}, "recipient": f"{delivery_id}@example.com"}
    return event("email", metric, second, delivery_id=delivery_id, **person, **data)


CAMPAIGN = {"campaign_id": 7, "action_id": 70}
EVENTS = [
    # a: all the way; delivered and opened within one second, opened again, the first open by a machine.
    email("a", "drafted", 0, **CAMPAIGN),
    email("a", "sent", 1, **CAMPAIGN, subject="Hello"),
    email("a", "delivered", 2, **CAMPAIGN),
    email("a", "opened", 2, **CAMPAIGN, prefetched=True),
    email("a", "opened", 5, **CAMPAIGN, prefetched=False),
    email("a", "clicked", 6, **CAMPAIGN, href="https://example.com", machine=True),
    email("a", "clicked", 7, **CAMPAIGN, href="https://example.com"),
    email("a", "converted", 8, **CAMPAIGN),
    # b: bounced for good.
    email("b", "sent", 1, **CAMPAIGN),
    email("b", "bounced", 3, **CAMPAIGN, failure_message="550 5.1.1 <b@example.com>: unknown user, at 10.5.6.7"),
    # c: the same campaign, sent a day later; delivered and sent in one second, reported the wrong way round.
    email("c", "delivered", 86_400, **CAMPAIGN),
    email("c", "sent", 86_400, **CAMPAIGN),
    # d: a transactional message, unsubscribed from, and complained about.
    email("d", "sent", 1, transactional_message_id="receipt"),
    email("d", "delivered", 2, transactional_message_id="receipt"),
    email("d", "unsubscribed", 9, transactional_message_id="receipt"),
    email("d", "spammed", 10, transactional_message_id="receipt"),
    # e: another bounce of the same reason but for the address; temporary ones.
    email("e", "sent", 1, newsletter_id=3),
    email("e", "bounced", 2, newsletter_id=3, failure_message="550 5.1.1 <e@example.com>: unknown user, at 10.5.6.7"),
    email("f", "sent", 1, newsletter_id=3),
    email("f", "bounced", 2, newsletter_id=3, failure_message="mailbox full (452)"),
    # g: a push message that one of two devices refused.
    event(
        "push",
        "bounced",
        2,
        delivery_id="g",
        broadcast_id=9,
        recipients=[{"device_id": "1"}, {"device_id": "2", "failure_message": "Unregistered"}],
    ),
    # Subscriptions: out, in again and out; topics; and a change of topics to more, which is no opt-out.
    event("customer", "unsubscribed", 20, identifiers={"id": "p"}, email_address="p@example.com"),
    event("customer", "subscribed", 30, identifiers={"id": "p"}, email_address="p@example.com"),
    event("customer", "unsubscribed", 40, identifiers={"id": "p"}, email_address="p@example.com"),
    event("email", "cio_subscription_preferences_changed", 50, delivery_id="a", identifiers={"id": "q"},
          email_address="q@example.com", content='{"topics":{"topic_1":true,"topic_2":false}}'),
    event("email", "cio_subscription_preferences_changed", 51, delivery_id="a", identifiers={"id": "q"},
          email_address="q@example.com", content='{"topics":{"topic_1":true}}'),
]  # fmt: skip


@pytest.fixture(scope="module")
def known(emulator: Emulator, dataset: str) -> str:
    # The whole set twice, as far apart as makes BigQuery forget the row ids: at least once is what Pub/Sub promises.
    for received in (0, 3600):
        rows = [to_row(json.dumps(entry).encode(), at(received)) for entry in EVENTS]
        ids = [f"{received}-{row_id(row['raw'].encode())}" for row in rows]
        assert emulator.client.insert_rows_json(f"{PROJECT}.{dataset}.events", rows, row_ids=ids) == []
    return f"{PROJECT}.{dataset}"


def test_events_deduplicated(emulator: Emulator, known: str) -> None:
    assert emulator.rows(f"SELECT COUNT(*) AS n FROM `{known}.events`") == [{"n": 2 * len(EVENTS)}]
    rows = emulator.rows(f"SELECT event_id, received_at FROM `{known}.events_deduplicated`")
    assert sorted(row["event_id"] for row in rows) == sorted(entry["event_id"] for entry in EVENTS)
    assert {row["received_at"] for row in rows} == {at(0)}


def test_messages(emulator: Emulator, known: str) -> None:
    rows = {row["delivery_id"]: row for row in emulator.rows(f"SELECT * FROM `{known}.messages`")}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a": "converted",
        "b": "bounced",
        "c": "delivered",
        "d": "spammed",
        "e": "bounced",
        "f": "bounced",
        "g": "bounced",
    }
    a = {name: value for name, value in rows["a"].items() if value is not None}
    assert a == {
        "delivery_id": "a",
        "state": "converted",
        "object_type": "email",
        "person_id": "person-a",
        "recipient": "a@example.com",
        "subject": "Hello",
        "campaign_id": 7,
        "action_id": 70,
        "first_event_at": at(0),
        "latest_event_at": at(8),
        "drafted_at": at(0),
        "sent_at": at(1),
        "delivered_at": at(2),
        "opened_at": at(2),
        "opened_by_person_at": at(5),
        "clicked_at": at(6),
        "clicked_by_person_at": at(7),
        "converted_at": at(8),
        "opens": 2,
        "clicks": 2,
    }
    assert rows["b"]["failure_message"].startswith("550 5.1.1")
    assert rows["g"]["object_type"] == "push"


def test_delivery_funnel(emulator: Emulator, known: str) -> None:
    rows = emulator.rows(f"SELECT * FROM `{known}.delivery_funnel`")
    funnel = {(row["day"], row["origin"], row["origin_id"], row["object_type"]): row for row in rows}
    first, second = date(2026, 3, 1), date(2026, 3, 2)
    counted = {
        key: {name: value for name, value in row.items() if isinstance(value, int) and value}
        for key, row in funnel.items()
    }
    assert counted == {
        (first, "campaign", "7", "email"): {
            "messages": 2,
            "sent": 2,
            "delivered": 1,
            "opened": 1,
            "opened_by_person": 1,
            "clicked": 1,
            "clicked_by_person": 1,
            "converted": 1,
            "bounced": 1,
        },
        (second, "campaign", "7", "email"): {"messages": 1, "sent": 1, "delivered": 1},
        (first, "transactional_message", "receipt", "email"): {
            "messages": 1,
            "sent": 1,
            "delivered": 1,
            "unsubscribed": 1,
            "spammed": 1,
        },
        (first, "newsletter", "3", "email"): {"messages": 2, "sent": 2, "bounced": 2},
        (first, "broadcast", "9", "push"): {"messages": 1, "bounced": 1},
    }
    campaign = funnel[first, "campaign", "7", "email"]
    assert (campaign["delivery_rate"], campaign["bounce_rate"], campaign["click_rate"]) == (0.5, 0.5, 1.0)
    assert funnel[first, "broadcast", "9", "push"]["bounce_rate"] is None


def test_bounce_reasons(emulator: Emulator, known: str) -> None:
    rows = emulator.rows(f"SELECT * FROM `{known}.bounce_reasons` ORDER BY bounces DESC, kind")
    names = ("object_type", "domain", "kind", "smtp_code", "enhanced_code", "reason", "bounces", "messages", "people")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (
            "email",
            "example.com",
            "permanent",
            "550",
            "5.1.1",
            "550 5.1.1 <(address)>: unknown user, at 10.5.6.7",
            2,
            2,
            2,
        ),
        ("email", "example.com", "temporary", "452", None, "mailbox full (452)", 1, 1, 1),
        ("push", None, "unknown", None, None, "Unregistered", 1, 1, 0),
    ]
    assert {row["day"] for row in rows} == {date(2026, 3, 1)}


def test_unsubscribes(emulator: Emulator, known: str) -> None:
    rows = emulator.rows(f"SELECT * FROM `{known}.unsubscribes` ORDER BY unsubscribed_at")
    names = ("unsubscribed_at", "scope", "object_type", "address", "delivery_id", "returned_at")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (at(9), "everything", "email", "d@example.com", "d", None),
        (at(20), "everything", "customer", "p@example.com", None, at(30)),
        (at(40), "everything", "customer", "p@example.com", None, None),
        (at(50), "topics", "email", "q@example.com", "a", None),
    ]
    assert rows[0]["transactional_message_id"] == "receipt"
    assert json.loads(rows[3]["topics"]) == {"topics": {"topic_1": True, "topic_2": False}}
