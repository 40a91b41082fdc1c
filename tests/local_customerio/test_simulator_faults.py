import asyncio
import time
from typing import Any

import httpx
import pytest

from local.customerio import Simulator

ITEM = {"type": "person", "action": "identify", "identifiers": {"id": "1"}}


async def plant(client: httpx.AsyncClient, *faults: dict[str, Any]) -> None:
    assert (await client.put("/_sim/faults", json=faults)).status_code == 200


async def identify(client: httpx.AsyncClient) -> httpx.Response:
    return await client.put("/api/v1/customers/1", json={"plan": "pro"})


async def applied(client: httpx.AsyncClient) -> bool:
    people: list[object] = (await client.get("/_sim/people")).json()
    return people != []


async def test_status_answers_instead_and_applies_nothing(track: httpx.AsyncClient) -> None:
    await plant(track, {"status": 503, "retry_after": 7, "body": {"meta": {"error": "down"}}})
    answer = await identify(track)
    assert (answer.status_code, answer.json()) == (503, {"meta": {"error": "down"}})
    assert answer.headers["Retry-After"] == "7"
    assert not await applied(track)
    assert (await track.delete("/_sim/faults")).status_code == 204
    assert (await identify(track)).status_code == 200


async def test_a_text_body_is_sent_as_it_is(track: httpx.AsyncClient) -> None:
    await plant(track, {"status": 522, "body": "<html>"})
    answer = await identify(track)
    assert (answer.status_code, answer.text) == (522, "<html>")


async def test_reset_closes_the_connection_before_or_after_applying(track: httpx.AsyncClient) -> None:
    await plant(track, {"reset": True})
    with pytest.raises(httpx.ReadError):
        await identify(track)
    assert not await applied(track)
    await plant(track, {"reset": True, "after_accept": True})
    with pytest.raises(httpx.ReadError):
        await identify(track)
    assert await applied(track)
    assert [request["status"] for request in (await track.get("/_sim/requests")).json()] == [None, None]
    counts = (await track.get("/_sim/counts")).json()
    assert counts["requests"] == {"/api/v1/customers/{identifier}": {"reset": 2}}


async def test_after_accept_applies_and_then_fails(app: httpx.AsyncClient) -> None:
    await plant(app, {"status": 500, "after_accept": True, "count": 1})
    body = {"transactional_message_id": 1, "to": "a@example.com", "identifiers": {"id": "1"}}
    assert (await app.post("/v1/send/email", json=body)).status_code == 500
    assert (await app.post("/v1/send/email", json=body)).status_code == 200
    assert len((await app.get("/_sim/deliveries")).json()) == 2


async def test_delay_after_accept_outlives_an_impatient_client(track: httpx.AsyncClient) -> None:
    await plant(track, {"delay": 0.3, "after_accept": True})
    with pytest.raises(httpx.ReadTimeout):
        await track.put("/api/v1/customers/1", json={}, timeout=0.1)
    assert await applied(track)


async def test_delays_add_up_before_the_answer(track: httpx.AsyncClient) -> None:
    await plant(track, {"delay": 0.1}, {"delay": 0.1, "status": 500}, {"status": 404})
    started = time.monotonic()
    assert (await identify(track)).status_code == 500
    assert time.monotonic() - started >= 0.2


async def test_items_are_refused_by_index_match_and_share(track: httpx.AsyncClient) -> None:
    chosen = {"index": [3], "match": "marked", "reason": "injected", "field": "name", "message": "no"}
    await plant(track, {"items": chosen})
    items = [
        {**ITEM, "identifiers": {"id": f"marked-{number}" if number == 1 else f"p{number}"}} for number in range(5)
    ]
    answer = await track.post("/api/v2/batch", json={"batch": items})
    assert answer.status_code == 207
    assert answer.json()["errors"] == [
        {"batch_index": number, "reason": "injected", "field": "name", "message": "no"} for number in (1, 3)
    ]
    assert [person["id"] for person in (await track.get("/_sim/people")).json()] == ["p0", "p2", "p4"]
    await plant(track, {"items": {"share": 1}})
    assert (await track.post("/api/v2/entity", json=ITEM)).status_code == 400


async def test_rate_lets_one_second_of_requests_through_then_429(track: httpx.AsyncClient) -> None:
    await plant(track, {"rate": 3, "retry_after": 1, "path": "/api/v1/"})
    answers = [await identify(track) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["Retry-After"] == "1"


async def test_share_is_drawn_with_the_seed(track: httpx.AsyncClient) -> None:
    runs = []
    for _ in range(2):
        await plant(track, {"status": 500, "share": 0.4, "seed": 7})
        runs.append([(await identify(track)).status_code for _ in range(40)])
    assert runs[0] == runs[1]
    assert 5 < runs[0].count(500) < 30


async def test_count_path_and_host_narrow_a_fault(track: httpx.AsyncClient, app: httpx.AsyncClient) -> None:
    await plant(track, {"status": 500, "count": 2, "path": "/api/v1/customers/1", "host": "track"})
    assert (await track.put("/api/v1/customers/2", json={})).status_code == 200
    assert (await app.get("/v1/info/ip_addresses")).status_code == 200
    assert [(await identify(track)).status_code for _ in range(3)] == [500, 500, 200]
    assert (await track.get("/_sim/faults")).json()[0]["count"] == 0
    await plant(track, {"status": 500, "host": "app"})
    assert (await identify(track)).status_code == 200
    assert (await app.get("/v1/info/ip_addresses")).status_code == 500


async def test_until_ends_a_fault(track: httpx.AsyncClient) -> None:
    await plant(track, {"status": 500, "until": time.time() + 0.2})
    assert (await identify(track)).status_code == 500
    async with asyncio.timeout(3):
        while (await identify(track)).status_code == 500:
            pass
    await plant(track, {"status": 500, "until": time.time() - 1})
    assert (await identify(track)).status_code == 200


async def test_one_object_is_taken_for_a_list_of_one_and_the_admin_surface_is_spared(track: httpx.AsyncClient) -> None:
    assert (await track.put("/_sim/faults", json={"status": 500})).json() == [{"status": 500}]
    assert (await track.get("/_sim/counts")).status_code == 200


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({}, "one of status, delay, reset, items, rate"),
        ({"status": "503"}, "$.status"),
        ({"status": 5030}, "$.status"),
        ({"status": 503, "share": 2}, "$.share"),
        ({"status": 503, "colour": "red"}, "colour"),
        ({"items": {"reason": "x"}}, "one of index, match, share"),
        ({"status": 503, "host": "pipelines"}, "$.host"),
    ],
)
async def test_a_bad_fault_is_400_and_says_why(track: httpx.AsyncClient, fault: dict[str, Any], named: str) -> None:
    for body in (fault, [fault]):
        answer = await track.put("/_sim/faults", json=body)
        assert answer.status_code == 400
        assert named.removeprefix("$") in answer.json()["error"]
    assert (await track.put("/_sim/faults", content=b"{")).status_code == 400
    assert (await track.get("/_sim/faults")).json() == []


async def test_accepted_keys_can_be_rotated_while_running(sim: Simulator, track: httpx.AsyncClient) -> None:
    sim.credentials = type(sim.credentials)(site_id="local-site", track_api_key="new")
    assert (await identify(track)).status_code == 401
    assert (await track.put("/api/v1/customers/1", json={}, auth=("local-site", "new"))).status_code == 200
