"""The published reads that applications use, and the Track calls that change what they show."""

import asyncio
import csv
import io
from typing import Any

import httpx
import pytest

from local.customerio import Simulator, Timing
from tests.local_customerio.conftest import UNLIMITED

EMAIL: dict[str, Any] = {"transactional_message_id": 44, "to": "a@example.com", "identifiers": {"id": "1"}}
EVERYBODY = {"attribute": {"field": "cio_id", "operator": "exists"}}


async def read(client: httpx.AsyncClient, path: str, **query: str) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def people(track: httpx.AsyncClient) -> None:
    for number in (1, 2, 3):
        body = {"email": f"p{number}@example.com", "vip": number == 1, "plan": "pro" if number > 1 else "free"}
        await track.put(f"/api/v1/customers/{number}", json=body)
    await track.put("/api/v1/customers/only@example.com", json={})


@pytest.mark.usefixtures("people")
async def test_people_are_found_by_email_in_any_case(app: httpx.AsyncClient) -> None:
    [found] = (await read(app, "/v1/customers", email="P1@example.com"))["results"]
    assert (found["id"], found["email"]) == ("1", "p1@example.com")
    assert await read(app, "/v1/customers", email="nobody@example.com") == {"results": []}


@pytest.mark.usefixtures("people")
async def test_attributes_are_texts_and_unsubscribed_a_boolean(
    app: httpx.AsyncClient, track: httpx.AsyncClient
) -> None:
    await track.put("/api/v1/customers/1", json={"created_at": 1489014595, "unsubscribed": True, "tags": ["a", "b"]})
    await track.put("/api/v1/customers/1/devices", json={"device": {"id": "tok", "platform": "ios"}})
    person = (await read(app, "/v1/customers/1/attributes"))["customer"]
    assert person["attributes"] | {"cio_id": ""} == {
        "id": "1",
        "email": "p1@example.com",
        "cio_id": "",
        "vip": "true",
        "plan": "free",
        "created_at": "1489014595",
        "unsubscribed": "true",
        "tags": '["a","b"]',
    }
    assert person["unsubscribed"] is True
    assert person["identifiers"].keys() == {"id", "email", "cio_id"}
    assert person["devices"][0]["id"] == "tok"
    by_email = await read(app, "/v1/customers/p1@example.com/attributes", id_type="email")
    assert by_email["customer"]["id"] == "1"
    assert (await app.get("/v1/customers/p1@example.com/attributes")).status_code == 404
    assert (await app.get("/v1/customers/1/attributes", params={"id_type": "name"})).status_code == 400


@pytest.mark.usefixtures("people")
async def test_unknown_people_are_left_out_of_a_lookup_of_many(app: httpx.AsyncClient) -> None:
    answer = await app.post("/v1/customers/attributes", json={"ids": ["3", "nobody", "1"]})
    assert [each["customer"]["id"] for each in answer.json()["customers"]] == ["3", "1"]
    too_many = await app.post("/v1/customers/attributes", json={"ids": [str(n) for n in range(101)]})
    assert too_many.status_code == 400


@pytest.mark.usefixtures("people")
async def test_search_pages_through_everybody_with_an_empty_id_for_who_has_none(app: httpx.AsyncClient) -> None:
    ids, start = [], "0"
    for _ in range(4):
        answer = await app.post("/v1/customers", params={"start": start, "limit": 3}, json={"filter": EVERYBODY})
        ids += answer.json()["ids"]
        start = answer.json()["next"]
        if not start:
            break
    assert ids == ["1", "2", "3", ""]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}, ["2", "3"]),
        ({"attribute": {"field": "vip", "operator": "eq", "value": "true"}}, ["1"]),
        ({"attribute": {"field": "vip", "operator": "eq", "value": True}}, ["1"]),
        ({"not": {"attribute": {"field": "id", "operator": "exists"}}}, [""]),
        ({"and": [EVERYBODY, {"not": {"attribute": {"field": "plan", "operator": "exists"}}}]}, [""]),
    ],
)
async def test_search_filters(app: httpx.AsyncClient, condition: dict[str, Any], expected: list[str]) -> None:
    assert (await app.post("/v1/customers", json={"filter": condition})).json()["ids"] == expected


@pytest.mark.parametrize(
    "condition",
    [{}, {"and": [], "or": []}, {"attribute": {"field": "x", "operator": "gt", "value": 1}}, {"or": [{}]}, [], None],
)
async def test_a_filter_outside_the_grammar_is_400(app: httpx.AsyncClient, condition: Any) -> None:
    assert (await app.post("/v1/customers", json={"filter": condition})).status_code == 400
    assert (await app.post("/v1/exports/customers", json={"filters": condition})).status_code == 400


@pytest.mark.usefixtures("people")
async def test_a_manual_segment_gains_and_loses_people(app: httpx.AsyncClient, track: httpx.AsyncClient) -> None:
    segment = (await app.post("/v1/segments", json={"segment": {"name": "beta"}})).json()["segment"]
    add, remove = (f"/api/v1/segments/{segment['id']}/{verb}_customers" for verb in ("add", "remove"))
    assert (await track.post(add, json={"ids": ["1", "2", "nobody"]})).status_code == 200
    by_email = await track.post(add, params={"id_type": "email"}, json={"ids": ["p3@example.com"]})
    assert by_email.status_code == 200
    assert (await track.post(remove, json={"ids": ["2"]})).status_code == 200
    assert (await read(app, f"/v1/segments/{segment['id']}/membership"))["ids"] == ["1", "3"]
    assert await read(app, f"/v1/segments/{segment['id']}/customer_count") == {"segment_id": segment["id"], "count": 2}
    assert [each["name"] for each in (await read(app, "/v1/customers/1/segments"))["segments"]] == ["beta"]
    found = await app.post("/v1/customers", json={"filter": {"segment": {"id": segment["id"]}}})
    assert found.json()["ids"] == ["1", "3"]
    await track.delete("/api/v1/customers/1")
    assert (await read(app, f"/v1/segments/{segment['id']}/membership"))["ids"] == ["3"]
    await track.post("/api/v1/merge_customers", json={"primary": {"id": "2"}, "secondary": {"id": "3"}})
    assert (await read(app, f"/v1/segments/{segment['id']}/membership"))["ids"] == ["2"]
    assert (await app.delete(f"/v1/segments/{segment['id']}")).status_code == 204
    assert (await app.get(f"/v1/segments/{segment['id']}")).status_code == 404


async def test_a_segment_that_does_not_exist_is_accepted_and_changes_nothing(
    app: httpx.AsyncClient, track: httpx.AsyncClient
) -> None:
    await track.put("/api/v1/customers/1", json={})
    assert (await track.post("/api/v1/segments/9/add_customers", json={"ids": ["1"]})).status_code == 200
    assert await read(app, "/v1/customers/1/segments") == {"segments": []}
    for body in ({"ids": []}, {"ids": ["1"] * 1001}, {}):
        assert (await track.post("/api/v1/segments/9/add_customers", json=body)).status_code == 400
    assert (await track.post("/api/v1/segments/9/add_customers", auth=("x", "y"), json={"ids": ["1"]})).is_error


async def test_push_events_are_taken_without_a_key_on_both_paths(
    app: httpx.AsyncClient, track: httpx.AsyncClient, sim: Simulator
) -> None:
    await track.put("/api/v1/customers/1/devices", json={"device": {"id": "tok", "platform": "ios"}})
    body = {"transactional_message_id": 3, "identifiers": {"id": "1"}}
    delivery_id = (await app.post("/v1/send/push", json=body)).json()["delivery_id"]
    async with httpx.AsyncClient(base_url=sim.track_url) as phone:
        for path in ("/api/v1/push/events", "/push/events"):
            event = {"delivery_id": delivery_id, "event": "converted", "device_id": "tok", "timestamp": 1_700_000_000}
            assert (await phone.post(path, json=event)).status_code == 200
        refused = await phone.post("/push/events", json={"delivery_id": delivery_id, "event": "sold"})
        assert refused.status_code == 400
    assert "converted" in (await read(app, f"/v1/messages/{delivery_id}"))["message"]["metrics"]


async def test_unsubscribing_by_delivery_needs_no_key(
    app: httpx.AsyncClient, track: httpx.AsyncClient, sim: Simulator
) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    delivery_id = (await app.post("/v1/send/email", json=EMAIL)).json()["delivery_id"]
    async with httpx.AsyncClient(base_url=sim.track_url) as client:
        for each in (delivery_id, "unknown"):
            assert (await client.post(f"/unsubscribe/{each}", json={"unsubscribe": True})).status_code == 200
    assert (await read(app, "/v1/customers/1/attributes"))["customer"]["unsubscribed"] is True


async def test_a_delivery_is_read_with_its_metrics_and_the_reason_it_failed(
    app: httpx.AsyncClient, track: httpx.AsyncClient
) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    sent = (await app.post("/v1/send/email", json=EMAIL)).json()["delivery_id"]
    failed = (await app.post("/v1/send/sms", json={k: v for k, v in EMAIL.items() if k != "to"})).json()["delivery_id"]
    message = (await read(app, f"/v1/messages/{sent}"))["message"]
    assert message["metrics"].keys() == {"created", "sent", "delivered", "opened"}
    assert (message["type"], message["failure_message"], message["customer_id"]) == ("email", None, "1")
    assert {message[f"{parent}_id"] for parent in ("campaign", "action", "newsletter", "broadcast")} == {None}
    message = (await read(app, f"/v1/messages/{failed}"))["message"]
    assert (message["type"], message["failure_message"]) == ("twilio", "the person has no phone number")
    assert [each["id"] for each in (await read(app, "/v1/messages"))["messages"]] == [failed, sent]
    assert [each["id"] for each in (await read(app, "/v1/messages", metric="opened"))["messages"]] == [sent]
    assert [each["id"] for each in (await read(app, "/v1/messages", type="twilio"))["messages"]] == [failed]
    assert (await read(app, "/v1/messages", end_ts="1700000000"))["messages"] == []
    assert len((await read(app, "/v1/customers/1/messages"))["messages"]) == 2
    page = await read(app, "/v1/transactional/44/messages", limit="1")
    assert (len(page["messages"]), page["next"]) == (1, "1")
    assert (await read(app, "/v1/transactional/45/messages"))["messages"] == []
    assert (await app.get("/v1/messages/unknown")).status_code == 404


async def exported(app: httpx.AsyncClient, kind: str, body: dict[str, Any]) -> list[dict[str, str]]:
    export = (await app.post(f"/v1/exports/{kind}", json=body)).json()["export"]
    url = (await read(app, f"/v1/exports/{export['id']}/download"))["url"]
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(url)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv")
        forged = await stranger.get(url[:-1] + ("0" if url[-1] != "0" else "1"))
        assert forged.status_code == 403
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.usefixtures("people")
async def test_people_are_exported_with_the_columns_asked_for(app: httpx.AsyncClient, track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/2", json={"cio_subscription_preferences.topics.topic_1": False})
    rows = await exported(app, "customers", {"filters": EVERYBODY, "attributes": ["plan", "nothing"]})
    assert [(row["id"], row["email"], row["plan"], row["nothing"]) for row in rows] == [
        ("1", "p1@example.com", "free", ""),
        ("2", "p2@example.com", "pro", ""),
        ("3", "p3@example.com", "pro", ""),
        ("", "only@example.com", "", ""),
    ]
    assert rows[1]["cio_subscription_preferences"] == '{"topics":{"topic_1":false}}'


@pytest.mark.usefixtures("people")
async def test_deliveries_are_exported_by_their_origin(app: httpx.AsyncClient) -> None:
    await app.post("/v1/send/email", json=EMAIL)
    await app.post("/v1/send/email", json={**EMAIL, "transactional_message_id": 45, "to": "bounce@example.com"})
    [row] = await exported(app, "deliveries", {"transactional_message_id": 44, "attributes": ["plan"]})
    assert (row["customer_id"], row["recipient"], row["plan"], row["bounced"]) == ("1", "a@example.com", "free", "")
    assert row["opened"].isdecimal()
    assert await exported(app, "deliveries", {"transactional_message_id": 44, "metric": "bounced"}) == []
    assert len(await exported(app, "deliveries", {"transactional_message_id": 45, "metric": "bounced"})) == 1
    for body in ({}, {"broadcast_id": 9}, {"campaign_id": 1, "action_id": 2}, {"campaign_id": 1, "metric": "liked"}):
        assert (await app.post("/v1/exports/deliveries", json=body)).status_code == 400


async def test_an_export_is_pending_first_and_has_no_link_yet() -> None:
    async with (
        Simulator(rates=UNLIMITED, timing=Timing(export=0.2)) as sim,
        httpx.AsyncClient(base_url=sim.app_url, headers={"Authorization": "Bearer local-app-key"}) as app,
    ):
        assert await read(app, "/v1/exports") == {"exports": None}
        export = (await app.post("/v1/exports/customers", json={"filters": EVERYBODY})).json()["export"]
        assert (export["status"], export["total"]) == ("pending", 0)
        assert "url" not in await read(app, f"/v1/exports/{export['id']}/download")
        async with asyncio.timeout(5):
            while (await read(app, f"/v1/exports/{export['id']}"))["export"]["status"] != "done":
                pass
        assert "url" in await read(app, f"/v1/exports/{export['id']}/download")
        assert (await app.get("/v1/exports/2")).status_code == 404


async def test_a_trigger_is_processed_after_a_moment_and_its_errors_are_read_then() -> None:
    async with (
        Simulator(rates=UNLIMITED, timing=Timing(trigger=0.2, reaction=0)) as sim,
        httpx.AsyncClient(base_url=sim.app_url, headers={"Authorization": "Bearer local-app-key"}) as app,
    ):
        await app.post("/v1/campaigns/9/triggers", json={"ids": ["nobody"]})
        waiting = await read(app, "/v1/campaigns/9/triggers/1")
        assert waiting["processed_at"] is None
        assert await read(app, "/v1/campaigns/9/triggers/1/errors") == {"errors": [], "next": ""}
        async with asyncio.timeout(5):
            while (await read(app, "/v1/campaigns/9/triggers/1"))["processed_at"] is None:
                pass
        errors = (await read(app, "/v1/campaigns/9/triggers/1/errors"))["errors"]
        assert errors == ["line 1: no such person"]


@pytest.mark.usefixtures("people")
async def test_the_messages_of_a_broadcast_are_read_by_its_id(app: httpx.AsyncClient) -> None:
    await app.post("/v1/campaigns/9/triggers", json={"ids": ["1", "2"]})
    messages = (await read(app, "/v1/broadcasts/9/messages"))["messages"]
    assert [(each["broadcast_id"], each["recipient"]) for each in messages] == [
        (9, "p2@example.com"),
        (9, "p1@example.com"),
    ]


@pytest.mark.usefixtures("people")
async def test_the_workspace_is_counted_and_needs_a_key(app: httpx.AsyncClient, sim: Simulator) -> None:
    await app.post("/v1/send/email", json=EMAIL)
    [workspace] = (await read(app, "/v1/workspaces"))["workspaces"]
    assert (workspace["people"], workspace["messages_sent"]) == (4, 1)
    assert await read(app, "/v1/subscription_topics") == {"topics": []}
    async with httpx.AsyncClient(base_url=sim.app_url) as stranger:
        assert (await stranger.get("/v1/workspaces")).status_code == 401
        assert (await stranger.get("/v1/info/ip_addresses")).status_code == 200


async def test_an_address_is_one_persons_unless_the_workspace_shares_them(
    sim: Simulator, app: httpx.AsyncClient, track: httpx.AsyncClient
) -> None:
    async def found() -> list[str | None]:
        results = (await read(app, "/v1/customers", email="twin@example.com"))["results"]
        return [person["id"] for person in results]

    await track.put("/api/v1/customers/first", json={"email": "twin@example.com"})
    await track.put("/api/v1/customers/second", json={"email": "Twin@example.com"})
    assert sim.workspace.state.counts.report()["outcomes"]["attribute_update_failure"] == 1

    assert (await app.put("/_sim/settings", json={"shared_emails": True})).status_code == 200
    await track.put("/api/v1/customers/second", json={"email": "Twin@example.com"})
    people = (await app.get("/_sim/people")).json()
    assert [person["email"] for person in people] == ["twin@example.com", "Twin@example.com"]
    assert await found() == ["first"]
    await track.delete("/api/v1/customers/first")
    assert await found() == ["second"]
    assert (await app.put("/_sim/settings", json={"shared": True})).status_code == 400
