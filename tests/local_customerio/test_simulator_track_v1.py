import asyncio
import time
from typing import Any

import httpx
import pytest

from local.customerio import Simulator
from local.customerio.ids import new_ulid


async def people(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/_sim/people")).json()
    return found


async def counts(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/_sim/counts")).json()
    return found


async def test_identify_creates_then_updates_one_person(track: httpx.AsyncClient) -> None:
    first = await track.put("/api/v1/customers/42", json={"email": "a@example.com", "plan": "free"})
    await track.put("/api/v1/customers/A%40example.com", json={"plan": "pro"})
    assert (first.status_code, first.content) == (200, b"{}\n")
    [person] = await people(track)
    assert (person["id"], person["email"], person["attributes"]) == ("42", "a@example.com", {"plan": "pro"})


async def test_identifier_is_percent_decoded_and_typed_by_its_shape(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/a%2Fb%20c%2B", json={})
    await track.put("/api/v1/customers/x%2By@example.com", json={})
    first, second = await people(track)
    assert (first["id"], second["email"]) == ("a/b c+", "x+y@example.com")
    await track.put(f"/api/v1/customers/cio_{first['cio_id']}", json={"id": "renamed"})
    await track.put("/api/v1/customers/cio_unknown", json={"plan": "dropped"})
    assert [person["id"] for person in await people(track)] == ["renamed", None]
    assert (await counts(track))["outcomes"]["unknown_person"] == 1


async def test_email_of_somebody_else_is_an_update_failure_answered_200(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    answer = await track.put("/api/v1/customers/2", json={"email": "a@example.com", "plan": "pro"})
    assert answer.status_code == 200
    assert [person["email"] for person in await people(track)] == ["a@example.com", None]
    assert (await counts(track))["outcomes"]["attribute_update_failure"] == 1


async def test_update_only_never_creates(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/1", json={"_update": True, "plan": "pro"})
    assert await people(track) == []


async def test_older_timestamp_is_dropped_with_200(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/1", json={"plan": "new", "_timestamp": 1_700_000_100})
    stale = await track.put("/api/v1/customers/1", json={"plan": "old", "_timestamp": 1_700_000_000})
    assert stale.status_code == 200
    assert (await people(track))[0]["attributes"]["plan"] == "new"
    await track.put("/api/v1/customers/1", json={"plan": "newer", "_timestamp": 1_700_000_200})
    assert (await people(track))[0]["attributes"]["plan"] == "newer"


@pytest.mark.parametrize(
    ("value", "unsubscribed"), [(True, True), ("TRUE", True), (1, True), ("no", False), (0, False)]
)
async def test_unsubscribed_values(track: httpx.AsyncClient, value: object, *, unsubscribed: bool) -> None:
    await track.put("/api/v1/customers/1", json={"unsubscribed": value})
    assert (await people(track))[0]["unsubscribed"] is unsubscribed


async def test_dotted_preferences_keep_the_other_topics(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/1", json={"cio_subscription_preferences": {"topics": {"topic_1": True}}})
    await track.put("/api/v1/customers/1", json={"cio_subscription_preferences.topics.topic_2": False})
    preferences = (await people(track))[0]["attributes"]["cio_subscription_preferences"]
    assert preferences == {"topics": {"topic_1": True, "topic_2": False}}


async def test_relationships_are_an_object_in_v1(track: httpx.AsyncClient) -> None:
    account = {
        "identifiers": {"object_type_id": "1", "object_id": "acme"},
        "relationship_attributes": {"role": "admin"},
    }
    added = {"action": "add_relationships", "relationships": [account]}
    removed = {"action": "delete_relationships", "relationships": [account]}
    await track.put("/api/v1/customers/1", json={"cio_relationships": added})
    related = {"object_type_id": "1", "object_id": "acme", "attributes": {"role": "admin"}}
    assert (await people(track))[0]["relationships"] == [related]
    await track.put("/api/v1/customers/1", json={"cio_relationships": removed})
    assert (await people(track))[0]["relationships"] == []


async def test_devices(track: httpx.AsyncClient) -> None:
    device = {"device": {"id": "tok/1", "platform": "ios", "last_used": 1_700_000_000}}
    assert (await track.put("/api/v1/customers/1/devices", json=device)).status_code == 200
    assert (await people(track))[0]["devices"] == [{"token": "tok/1", "platform": "ios", "last_used": 1_700_000_000}]
    refused = await track.put("/api/v1/customers/1/devices", json={"device": {"id": "x", "platform": "palm"}})
    assert refused.status_code == 400
    assert (await track.delete("/api/v1/customers/1/devices/tok%2F1")).status_code == 200
    assert (await people(track))[0]["devices"] == []


async def test_suppress_deletes_and_blocks_every_identifier_until_unsuppressed(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    await track.post("/api/v1/customers/1/suppress")
    assert await people(track) == [{"suppressed": True, "id": "1", "email": "a@example.com"}]
    ignored = await track.put("/api/v1/customers/A%40EXAMPLE.COM", json={"plan": "pro"})
    await track.post("/api/v1/customers/1/events", json={"name": "ignored"})
    assert ignored.status_code == 200
    assert [person["suppressed"] for person in await people(track)] == [True]
    await track.post("/api/v1/customers/1/unsuppress")
    assert await people(track) == []
    await track.put("/api/v1/customers/1", json={"email": "a@example.com"})
    assert (await people(track))[0]["email"] == "a@example.com"


async def test_delete_removes_and_a_later_event_creates_again(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/1", json={"plan": "pro"})
    assert (await track.delete("/api/v1/customers/1")).status_code == 200
    assert await people(track) == []
    await track.post("/api/v1/customers/1/events", json={"name": "returned"})
    [person] = await people(track)
    assert (person["attributes"], person["events"]) == ({}, 1)


async def test_merge_joins_data_and_events_and_needs_the_primary(track: httpx.AsyncClient) -> None:
    await track.put("/api/v1/customers/2", json={"plan": "free", "city": "Bern", "email": "b@example.com"})
    await track.post("/api/v1/customers/2/events", json={"name": "seen"})
    merge = {"primary": {"id": "1"}, "secondary": {"email": "b@example.com"}}
    await track.post("/api/v1/merge_customers", json=merge)
    assert len(await people(track)) == 1
    await track.put("/api/v1/customers/1", json={"plan": "pro"})
    await track.post("/api/v1/merge_customers", json=merge)
    [person] = await people(track)
    assert person["attributes"] == {"plan": "pro", "city": "Bern"}
    assert (person["id"], person["email"], person["events"]) == ("1", "b@example.com", 1)
    both = {"primary": {"id": "1", "email": "x@example.com"}, "secondary": {"id": "2"}}
    assert (await track.post("/api/v1/merge_customers", json=both)).status_code == 400


async def test_event_is_trimmed_typed_and_deduplicated(track: httpx.AsyncClient) -> None:
    ulid = new_ulid()
    for _ in range(3):
        body = {"name": " order ", "id": ulid, "timestamp": 1_700_000_000, "data": {"total": 5}}
        assert (await track.post("/api/v1/customers/1/events", json=body)).status_code == 200
    await track.post("/api/v1/customers/1/events", json={"name": "/home", "type": "page"})
    order, page = (await track.get("/_sim/events")).json()
    assert (order["name"], order["timestamp"], order["attributes"]) == ("order", 1_700_000_000, {"total": 5})
    assert page["type"] == "page"
    assert abs(page["timestamp"] - time.time()) < 5
    report = await counts(track)
    assert (report["duplicates_dropped"], report["events_applied"]) == (2, 2)


async def test_milliseconds_become_the_time_of_receipt(track: httpx.AsyncClient) -> None:
    await track.post("/api/v1/customers/1/events", json={"name": "late", "timestamp": 1_700_000_000_000})
    [event] = (await track.get("/_sim/events")).json()
    assert abs(event["timestamp"] - time.time()) < 5


async def test_anonymous_event_belongs_to_whoever_gets_the_id(track: httpx.AsyncClient) -> None:
    await track.post("/api/v1/events", json={"name": "viewed", "anonymous_id": "anon-1"})
    await track.post("/api/v1/events", json={"name": "invited", "data": {"recipient": "new@example.com"}})
    viewed, invited = (await track.get("/_sim/events")).json()
    assert (viewed["identifiers"], viewed["anonymous_id"], invited["identifiers"]) == (None, "anon-1", None)
    await track.put("/api/v1/customers/7", json={"anonymous_id": "anon-1"})
    assert (await track.get("/_sim/events")).json()[0]["identifiers"]["id"] == "7"
    assert (await people(track))[0]["events"] == 1


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/v1/customers/1/events", {"data": {}}, "name"),
        ("/api/v1/customers/1/events", {"name": "é" * 51}, "name"),
        ("/api/v1/customers/1/events", {"name": "x", "id": "not-a-ulid"}, "id"),
        ("/api/v1/customers/1/events", {"name": "x", "type": "click"}, "type"),
        ("/api/v1/customers/1/events", {"name": "x", "data": {"text": "x" * 100_000}}, "data"),
        ("/api/v1/events", {"name": ""}, "name"),
        ("/api/v1/customers/" + "x" * 151 + "/events", {"name": "x"}, "identifiers.id"),
        ("/api/v1/merge_customers", {"primary": {"id": "1"}}, "secondary"),
    ],
)
async def test_limits_are_400_and_name_the_field(
    track: httpx.AsyncClient, path: str, body: dict[str, object], named: str
) -> None:
    answer = await track.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["meta"]["errors"][0].startswith(f"{named}: ")


async def test_not_json_is_400(track: httpx.AsyncClient) -> None:
    answer = await track.put("/api/v1/customers/1", content=b"{")
    assert (answer.status_code, list(answer.json()["meta"])) == (400, ["error"])


async def test_wrong_credentials_are_401_except_where_none_are_needed(sim: Simulator) -> None:
    async with httpx.AsyncClient(base_url=sim.track_url, auth=("wrong", "key"), verify=False) as client:
        region = await client.get("/api/v1/accounts/region")
        assert (region.status_code, region.json()) == (401, {"meta": {"error": "Unauthorized request"}})
        assert (await client.put("/api/v1/customers/1", json={})).status_code == 401
        assert (await client.get("/auth")).status_code == 200
        assert [request["auth"] for request in (await client.get("/_sim/requests")).json()] == ["bad"] * 3
    async with httpx.AsyncClient(base_url=sim.track_url, verify=False) as client:
        metric = {"delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY", "metric": "opened"}
        assert (await client.post("/api/v1/metrics", json=metric)).status_code == 200
        assert (await client.post("/api/v1/metrics", json={"metric": "opened"})).status_code == 400


async def test_region(track: httpx.AsyncClient) -> None:
    found = (await track.get("/api/v1/accounts/region")).json()
    assert found == {"url": "https://track.customer.io", "region": "us", "environment_id": 1}


async def test_wrong_region_redirects_all_but_the_region_question() -> None:
    async with (
        Simulator(region="eu", redirect_to="https://track-eu.example.com/") as sim,
        httpx.AsyncClient(base_url=sim.track_url, auth=("local-site", "local-track-key"), verify=False) as client,
    ):
        answer = await client.post("/api/v2/batch?x=1", json={"batch": []})
        location = "https://track-eu.example.com/api/v2/batch?x=1"
        assert (answer.status_code, answer.headers["Location"]) == (301, location)
        assert (await client.get("/api/v1/accounts/region")).json()["region"] == "eu"


async def test_concurrent_requests_are_all_recorded(track: httpx.AsyncClient) -> None:
    await asyncio.gather(*(track.put(f"/api/v1/customers/{number}", json={}) for number in range(50)))
    requests = (await track.get("/_sim/requests")).json()
    assert [request["n"] for request in requests] == list(range(1, 51))
    assert (await counts(track))["requests"] == {"/api/v1/customers/{identifier}": {"200": 50}}
