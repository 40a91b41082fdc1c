import base64
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from local.customerio import Simulator
from tests.local_customerio.conftest import UNLIMITED

EMAIL: dict[str, Any] = {"transactional_message_id": 44, "to": "a@example.com", "identifiers": {"id": "1"}}
OTHER: dict[str, Any] = {"transactional_message_id": "welcome", "identifiers": {"id": "1"}}


async def counts(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/_sim/counts")).json()
    return found


async def test_every_channel_answers_a_delivery_id(app: httpx.AsyncClient) -> None:
    for channel in ("email", "push", "sms", "whatsapp", "inbox_message", "in_app"):
        answer = await app.post(f"/v1/send/{channel}", json=EMAIL if channel == "email" else OTHER)
        assert answer.status_code == 200
        assert answer.json().keys() == {"delivery_id", "queued_at"}
        assert abs(answer.json()["queued_at"] - time.time()) < 5
    channels = [delivery["channel"] for delivery in (await app.get("/_sim/deliveries")).json()]
    assert channels == ["email", "push", "sms", "whatsapp", "inbox_message", "in_app"]
    assert sum((await counts(app))["sends"].values()) == 6
    assert (await app.post("/v1/send/fax", json=OTHER)).status_code == 404


async def test_email_without_a_template_brings_its_own_content(app: httpx.AsyncClient) -> None:
    own = {"to": "a@example.com", "identifiers": {"id": "1"}, "body": "b", "subject": "s", "from": "x@example.com"}
    assert (await app.post("/v1/send/email", json=own)).status_code == 200
    [delivery] = (await app.get("/_sim/deliveries")).json()
    assert (delivery["subject"], delivery["origin"]) == ("s", {"transactional_message_id": 1})


@pytest.mark.parametrize(
    ("channel", "body", "named"),
    [
        ("email", {**EMAIL, "identifiers": {}}, "identifiers"),
        ("email", {**EMAIL, "identifiers": {"id": "1", "email": "a@example.com"}}, "identifiers"),
        ("email", {**EMAIL, "identifiers": {"phone": "+15551234567"}}, "identifiers.phone"),
        ("email", {"transactional_message_id": 1, "to": "a@example.com"}, "identifiers"),
        ("email", {**EMAIL, "to": None}, "to"),
        (
            "email",
            {**EMAIL, "to": ",".join(["a@example.com"] * 10), "bcc": ",".join(["b@example.com"] * 6)},
            "to, cc, bcc",
        ),
        ("email", {"to": "a@example.com", "identifiers": {"id": "1"}, "body": "b", "subject": "s"}, "from"),
        ("email", {**EMAIL, "transactional_message_id": True}, "transactional_message_id"),
        ("email", {**EMAIL, "headers": {"X-Name": "é"}}, "headers"),
        ("email", {**EMAIL, "message_data": "text"}, "message_data"),
        ("email", {**EMAIL, "tracked": "yes"}, "tracked"),
        ("email", {**EMAIL, "subject": 5}, "subject"),
        ("email", {**EMAIL, "attachments": {"a.txt": 5}}, "attachments"),
        ("email", {**EMAIL, "send_at": "soon"}, "send_at"),
        ("email", {**EMAIL, "send_at": int(time.time()) + 91 * 86400}, "send_at"),
        ("push", {"identifiers": {"id": "1"}}, "transactional_message_id"),
        ("push", {**OTHER, "sound": "loud"}, "sound"),
        ("sms", {**OTHER, "to": ""}, "to"),
    ],
)
async def test_a_broken_rule_is_400_and_sends_nothing(
    app: httpx.AsyncClient, channel: str, body: dict[str, Any], named: str
) -> None:
    answer = await app.post(f"/v1/send/{channel}", json=body)
    assert answer.status_code == 400
    assert answer.json()["meta"]["error"].startswith(f"{named}: ")
    assert (await app.get("/_sim/deliveries")).json() == []


async def test_attachments_above_two_megabytes_are_413(app: httpx.AsyncClient) -> None:
    def attached(size: int) -> dict[str, Any]:
        return {**EMAIL, "attachments": {"a.bin": base64.b64encode(bytes(size)).decode()}}

    assert (await app.post("/v1/send/email", json=attached(2_000_000))).status_code == 200
    refused = await app.post("/v1/send/email", json=attached(2_000_001))
    assert (refused.status_code, list(refused.json()["meta"])) == (413, ["error"])


async def test_drafts_and_scheduled_messages_are_not_sent_yet(app: httpx.AsyncClient) -> None:
    await app.post("/v1/send/email", json={**EMAIL, "queue_draft": True})
    await app.post("/v1/send/email", json={**EMAIL, "send_at": int(time.time()) + 3600})
    await app.post("/v1/send/email", json={**EMAIL, "send_at": 1_700_000_000})
    statuses = [delivery["status"] for delivery in (await app.get("/_sim/deliveries")).json()]
    assert statuses == ["drafted", "scheduled", "sent"]


async def test_application_metrics_are_added_to_the_delivery(app: httpx.AsyncClient, track: httpx.AsyncClient) -> None:
    delivery_id = (await app.post("/v1/send/email", json=EMAIL)).json()["delivery_id"]
    await track.post("/api/v1/metrics", json={"delivery_id": delivery_id, "metric": "converted"})
    [delivery] = (await app.get("/_sim/deliveries")).json()
    assert delivery["metrics"] == ["sent", "delivered", "opened", "converted"]


async def test_wrong_key_is_401(sim: Simulator) -> None:
    async with httpx.AsyncClient(
        base_url=sim.app_url, headers={"Authorization": "Bearer wrong"}, verify=False
    ) as client:
        for path in ("/v1/send/email", "/v1/campaigns/1/triggers"):
            assert (await client.post(path, json=EMAIL)).status_code == 401
        for path in ("/v1/workspaces", "/v1/no/such/path"):
            assert (await client.get(path)).status_code == 401


async def test_ip_addresses(app: httpx.AsyncClient) -> None:
    addresses = (await app.get("/v1/info/ip_addresses")).json()["ip_addresses"]
    assert (len(addresses), addresses[0]) == (10, "35.188.196.183")


async def test_broadcast_reaches_its_audience_and_tells_its_state(
    app: httpx.AsyncClient, track: httpx.AsyncClient
) -> None:
    for number in (1, 2, 3):
        body = {"email": f"p{number}@example.com", "plan": "pro" if number > 1 else "free"}
        await track.put(f"/api/v1/customers/{number}", json=body)
    audiences: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["p1", "p2", "p3"]),
        ({"ids": ["1", "3"]}, ["p1", "p3"]),
        ({"emails": ["P2@example.com"], "data": {"headline": "x"}}, ["p2"]),
        ({"per_user_data": [{"id": "1", "data": {}}, {"email": "p3@example.com"}]}, ["p1", "p3"]),
        ({"recipients": {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}}, ["p2", "p3"]),
        ({"recipients": {"and": [{"not": {"segment": {"id": 7}}}, {"or": [{"attribute": {"field": "plan",
          "operator": "exists"}}]}]}}, ["p1", "p2", "p3"]),
        ({"data_file_url": "https://example.com/people.jsonl", "id_ignore_missing": True}, []),
    ]  # fmt: skip
    for number, (body, expected) in enumerate(audiences, 1):
        answer = await app.post("/v1/campaigns/9/triggers", json=body)
        assert (answer.status_code, answer.json()) == (200, {"id": number})
        deliveries = (await app.get("/_sim/deliveries")).json()
        sent = [delivery for delivery in deliveries if delivery["origin"]["trigger_id"] == number]
        assert [delivery["recipient"] for delivery in sent] == [f"{name}@example.com" for name in expected]
    state = (await app.get("/v1/campaigns/9/triggers/2")).json()
    assert (state["id"], state["broadcast_id"], state["processed_at"] >= state["created_at"]) == (2, 9, True)
    assert len((await app.get("/v1/broadcasts/9/triggers")).json()["triggers"]) == len(audiences)
    assert (await app.get("/v1/campaigns/8/triggers/2")).status_code == 404
    assert (await counts(app))["broadcasts"] == len(audiences)


async def test_one_missing_person_fails_the_whole_broadcast_unless_ignored(
    app: httpx.AsyncClient, track: httpx.AsyncClient
) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    await app.post("/v1/campaigns/9/triggers", json={"ids": ["1", "x", "y"]})
    assert (await app.get("/_sim/deliveries")).json() == []
    errors = "/v1/campaigns/9/triggers/1/errors"
    page = (await app.get(errors, params={"limit": 1})).json()
    assert page == {"errors": ["line 2: no such person"], "next": "1"}
    page = (await app.get(errors, params={"start": page["next"], "limit": 1})).json()
    assert page == {"errors": ["line 3: no such person"], "next": ""}
    await app.post("/v1/campaigns/9/triggers", json={"ids": ["1", "x"], "id_ignore_missing": True})
    assert len((await app.get("/_sim/deliveries")).json()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": ["1"], "emails": ["a@example.com"]}, "emails"),
        ({"recipients": {}}, "recipients"),
        ({"recipients": [1]}, "recipients"),
        ({"ids": []}, "ids"),
        ({"ids": [str(number) for number in range(10_001)]}, "ids"),
        ({"ids": [None]}, "ids"),
        ({"per_user_data": [{"id": "1", "email": "a@example.com"}]}, "per_user_data"),
        ({"data_file_url": ""}, "data_file_url"),
        ({"ids": ["1"], "email_ignore_missing": True}, "email_ignore_missing"),
        ({"id_ignore_missing": True}, "id_ignore_missing"),
        ({"emails": ["a@example.com"], "email_add_duplicates": "yes"}, "email_add_duplicates"),
        ({"data": []}, "data"),
    ],
)
async def test_a_broken_audience_is_422_and_points_at_the_field(
    app: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await app.post("/v1/campaigns/9/triggers", json=body)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["source"], error["status"]) == ({"pointer": f"/data/attributes/{field}"}, "422")
    assert error["detail"].endswith("trigger 1")


async def test_a_second_broadcast_within_the_pause_is_429() -> None:
    async with (
        Simulator(rates=replace(UNLIMITED, broadcast_pause=0.2)) as sim,
        httpx.AsyncClient(base_url=sim.app_url, headers={"Authorization": "Bearer local-app-key"}, verify=False) as app,
    ):
        assert (await app.post("/v1/campaigns/1/triggers", json={})).status_code == 200
        refused = await app.post("/v1/campaigns/2/triggers", json={})
        assert (refused.status_code, refused.json()) == (429, {"meta": {"error": "too many requests"}})
        async with httpx.AsyncClient(base_url=sim.app_url, verify=False) as stranger:
            assert (await stranger.post("/v1/campaigns/2/triggers", json={})).status_code == 401
        until = time.monotonic() + 2
        while (answer := await app.post("/v1/campaigns/2/triggers", json={})).status_code == 429:
            assert time.monotonic() < until
        assert answer.status_code == 200
