import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.customerio import RetryPolicy, Simulator, Target
from local.customerio.webhooks import LONG_WAIT_STATUSES, sign
from tests.local_customerio.receiver import SIGNING_KEY, Receiver, running_receiver

PAYLOADS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "webhook-payloads.json").read_text())


async def webhooks(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/_sim/counts")).json()["webhooks"]
    return found


async def report(client: httpx.AsyncClient, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The webhook counts, as soon as they are as they should be."""
    async with asyncio.timeout(5):
        while not done(counts := await webhooks(client)):
            pass
    return counts


async def send(app: httpx.AsyncClient, channel: str, **fields: object) -> None:
    body = {"transactional_message_id": 44, "identifiers": {"id": "1"}, **fields}
    assert (await app.post(f"/v1/send/{channel}", json=body)).status_code == 200


async def events(receiver: Receiver, number: int) -> list[Any]:
    return [(await receiver.next()).event for _ in range(number)]


def test_signature_golden_vector() -> None:
    vector = next(entry for entry in PAYLOADS["published"] if "signing_key" in entry)
    headers = vector["headers"]
    signature = sign(vector["signing_key"], headers["X-CIO-Timestamp"], vector["raw_body"].encode())
    assert signature == headers["X-CIO-Signature"]


async def test_email_is_reported_sent_delivered_opened(
    app: httpx.AsyncClient, track: httpx.AsyncClient, receiver: Receiver
) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    await send(app, "email", to="a@example.com", subject="Hi")
    sent, delivered, opened = await events(receiver, 3)
    [person] = (await app.get("/_sim/people")).json()
    [delivery] = (await app.get("/_sim/deliveries")).json()
    assert sent.keys() == {"event_id", "object_type", "metric", "timestamp", "data"}
    assert sent["data"] == {
        "customer_id": "1",
        "delivery_id": delivery["delivery_id"],
        "identifiers": {"id": "1", "email": "a@example.com", "cio_id": person["cio_id"]},
        "transactional_message_id": 44,
        "recipient": "a@example.com",
        "subject": "Hi",
    }
    assert [event["metric"] for event in (sent, delivered, opened)] == ["sent", "delivered", "opened"]
    assert len({event["event_id"] for event in (sent, delivered, opened)}) == 3


@pytest.mark.parametrize(
    ("local_part", "metrics"),
    [
        ("bounce", ["sent", "bounced"]),
        ("a.drop", ["dropped"]),
        ("spam-trap", ["sent", "delivered", "opened", "spammed"]),
        ("Unsubscribe", ["sent", "delivered", "opened", "unsubscribed"]),
    ],
)
async def test_a_word_in_the_address_decides_the_fate(
    app: httpx.AsyncClient, receiver: Receiver, local_part: str, metrics: list[str]
) -> None:
    await send(app, "email", to=f"{local_part}@spam.example.com")
    reported = await events(receiver, len(metrics))
    assert [event["metric"] for event in reported] == metrics
    explained = {event["metric"] for event in reported if "failure_message" in event["data"]}
    assert explained == {"bounced", "dropped"} & set(metrics)


async def test_every_fourth_delivery_is_clicked(app: httpx.AsyncClient, receiver: Receiver) -> None:
    for _ in range(4):
        await send(app, "email", to="a@example.com")
    clicked = (await events(receiver, 13))[-1]
    assert (clicked["metric"], clicked["data"]["href"], clicked["data"]["link_id"]) == (
        "clicked",
        "https://example.com/",
        1,
    )


async def test_each_channel_reports_its_own_metrics_and_fields(
    app: httpx.AsyncClient, track: httpx.AsyncClient, receiver: Receiver
) -> None:
    await track.put("/api/v1/customers/1/devices", json={"device": {"id": "tok", "platform": "ios"}})
    await send(app, "push")
    await send(app, "sms", to="+15551234567")
    await send(app, "inbox_message")
    await send(app, "in_app")
    await send(app, "whatsapp", to="+15551234567")
    reported = await events(receiver, 11)
    seen: dict[str, list[str]] = {}
    for event in reported:
        seen.setdefault(event["object_type"], []).append(event["metric"])
    assert seen == {
        "push": ["sent", "delivered", "opened"],
        "sms": ["sent", "delivered"],
        "in_app": ["sent", "opened", "clicked"],
        "whatsapp": ["sent", "delivered", "opened"],
    }
    data = {(event["object_type"], event["metric"]): event["data"] for event in reported}
    assert data["push", "sent"]["recipients"] == [{"device_id": "tok", "device_platform": "ios"}]
    assert "recipient" not in data["push", "sent"]
    assert data["sms", "sent"]["recipient"] == "+15551234567"
    assert data["in_app", "sent"]["recipient"] == "1"
    assert "recipient" not in data["in_app", "opened"]


async def test_push_goes_to_all_devices_or_the_last_used_or_a_token(
    app: httpx.AsyncClient, track: httpx.AsyncClient, receiver: Receiver
) -> None:
    for token, last_used in (("new", 1_700_000_002), ("bounce-old", 1_700_000_001)):
        device = {"id": token, "platform": "android", "last_used": last_used}
        await track.put("/api/v1/customers/1/devices", json={"device": device})
    await send(app, "push", to="last_used")
    assert [each["device_id"] for each in (await events(receiver, 3))[0]["data"]["recipients"]] == ["new"]
    await send(app, "push", to="other")
    assert (await events(receiver, 3))[0]["data"]["recipients"] == [{"device_id": "other", "device_platform": None}]
    await send(app, "push")
    bounced = (await events(receiver, 2))[1]
    assert bounced["metric"] == "bounced"
    assert {each["failure_message"] for each in bounced["data"]["recipients"]} == {"Unregistered"}


async def test_messages_that_cannot_go_out_say_why(
    app: httpx.AsyncClient, track: httpx.AsyncClient, receiver: Receiver
) -> None:
    await track.put("/api/v1/customers/1", json={"unsubscribed": True})
    await send(app, "push")
    await send(app, "sms")
    await send(app, "email", to="a@example.com", send_to_unsubscribed=False)
    await send(app, "email", to="a@example.com", queue_draft=True)
    reported = [(event["object_type"], event["metric"]) for event in await events(receiver, 4)]
    assert reported == [("push", "failed"), ("sms", "failed"), ("email", "undeliverable"), ("email", "drafted")]


async def test_broadcast_is_reported_with_its_trigger(
    app: httpx.AsyncClient, track: httpx.AsyncClient, receiver: Receiver
) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    await app.post("/v1/campaigns/9/triggers", json={"ids": ["1"]})
    data = (await receiver.next()).event["data"]
    assert (data["broadcast_id"], data["trigger_id"], data["recipient"]) == (9, 1, "a@example.com")
    assert "transactional_message_id" not in data


async def test_a_queued_payload_is_delivered_byte_for_byte(track: httpx.AsyncClient, receiver: Receiver) -> None:
    raw = '{"metric": "sent",  "data": {"name": "\\u00e9"}}'
    assert (await track.post("/_sim/webhooks", content=raw)).json() == {"queued": 1}
    assert (await track.post("/_sim/webhooks", content=f"[{raw}, 5]")).json() == {"queued": 2}
    assert [(await receiver.next()).body for _ in range(3)] == [raw.encode(), raw.encode(), b"5"]
    assert (await track.post("/_sim/webhooks", content="{")).status_code == 400


async def test_a_refusal_waits_an_hour_and_holds_back_all_later_webhooks(
    track: httpx.AsyncClient, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    await track.post(
        "/_sim/webhooks", json=[{"event_id": "a", "metric": "sent"}, {"event_id": "b", "metric": "opened"}]
    )
    refused = await receiver.next()
    waiting = await webhooks(track)
    assert (waiting["attempted"], waiting["failed"], waiting["queued"]) == ({"sent": 1}, {"sent": 1}, 2)
    again, behind = await receiver.next(), await receiver.next()
    assert [arrival.event["event_id"] for arrival in (refused, again, behind)] == ["a", "a", "b"]
    assert again.seconds - refused.seconds >= 0.3
    assert again.body == refused.body
    assert (await webhooks(track))["sent"].get("sent") == 1


@pytest.mark.parametrize("answer", [503, 504, 302, 0])
async def test_everything_else_backs_off_in_growing_steps(
    track: httpx.AsyncClient, receiver: Receiver, answer: int
) -> None:
    receiver.statuses = [answer] * 3
    await track.post("/_sim/webhooks", json={"event_id": "a", "metric": "sent"})
    arrivals = [await receiver.next() for _ in range(4)]
    gaps = [later.seconds - earlier.seconds for earlier, later in pairwise(arrivals)]
    waited = 0.2 if answer == 0 else 0.0
    for gap, backoff in zip(gaps, (0.02, 0.04, 0.08), strict=True):
        assert waited + backoff - 0.01 <= gap < waited + 5  # not the hour


def test_statuses_that_wait_an_hour() -> None:
    assert sorted(LONG_WAIT_STATUSES) == [400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521]


async def test_a_retry_is_signed_with_a_fresh_timestamp(receiver: Receiver) -> None:
    receiver.statuses = [429]
    retry_policy = RetryPolicy(long_wait=1.1)
    async with (
        Simulator(webhook=Target(receiver.url, f"{SIGNING_KEY}, older-key"), retry_policy=retry_policy) as sim,
        httpx.AsyncClient(base_url=sim.app_url, verify=False) as client,
    ):
        await client.post("/_sim/webhooks", json={"event_id": "a"})
        first, second = await receiver.next(), await receiver.next()
        assert int(second.timestamp) > int(first.timestamp)
        assert first.body == second.body


async def test_connection_refused_waits_an_hour_then_delivers() -> None:
    async with running_receiver() as gone:
        url, port = gone.url, int(gone.url.rpartition(":")[2].partition("/")[0])
    retry_policy = RetryPolicy(first_backoff=60, long_wait=0.2)
    async with (
        Simulator(webhook=Target(url, SIGNING_KEY), retry_policy=retry_policy) as sim,
        httpx.AsyncClient(base_url=sim.app_url, verify=False) as client,
    ):
        await client.post("/_sim/webhooks", json={"event_id": "a", "metric": "sent"})
        await report(client, lambda counts: bool(counts["failed"]))
        async with running_receiver(port) as endpoint:
            assert (await endpoint.next()).event["event_id"] == "a"


async def test_a_connection_closed_while_idle_is_no_refusal() -> None:
    connections = 0

    async def one_answer_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Promises to keep the connection, then closes it when the next request has arrived."""
        nonlocal connections
        connections += 1
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(one_answer_then_close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        Simulator(webhook=Target(f"http://127.0.0.1:{port}/", SIGNING_KEY)) as sim,
        httpx.AsyncClient(base_url=sim.app_url, verify=False) as client,
    ):
        await client.post("/_sim/webhooks", json=[{"metric": "sent"}, {"metric": "sent"}])
        counts = await report(client, lambda counts: counts["sent"] == {"sent": 2})
        assert (connections, counts["failed"]) == (2, {})


async def test_a_webhook_is_given_up_in_the_end_and_the_next_one_goes(receiver: Receiver) -> None:
    receiver.statuses = [503] * 3
    retry_policy = RetryPolicy(first_backoff=0.05, give_up=0.1)
    async with (
        Simulator(webhook=Target(receiver.url, SIGNING_KEY), retry_policy=retry_policy) as sim,
        httpx.AsyncClient(base_url=sim.app_url, verify=False) as client,
    ):
        await client.post("/_sim/webhooks", json=[{"event_id": "a"}, {"event_id": "b"}])
        ids = [(await receiver.next()).event["event_id"] for _ in range(3)]
        assert ids == ["a", "a", "b"]
        assert (await webhooks(client))["expired"] == 1


async def test_reset_clears_a_stalled_queue(track: httpx.AsyncClient, receiver: Receiver) -> None:
    receiver.statuses = [500]
    await track.post("/_sim/webhooks", json=[{"event_id": "a"}, {"event_id": "b"}])
    assert (await receiver.next()).event["event_id"] == "a"
    await track.delete("/_sim/")
    await track.post("/_sim/webhooks", json={"event_id": "c"})
    assert (await receiver.next()).event["event_id"] == "c"


async def test_without_a_url_nothing_is_queued() -> None:
    async with Simulator() as sim, httpx.AsyncClient(base_url=sim.app_url, verify=False) as client:
        assert (await client.post("/_sim/webhooks", json={})).status_code == 409
        assert (await webhooks(client))["queued"] == 0
