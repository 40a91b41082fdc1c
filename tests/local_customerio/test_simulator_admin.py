import time

import httpx

from local.customerio.events import Event, EventLog
from local.customerio.exchange import ApiRequest, ApiResponse
from local.customerio.ids import is_ulid, new_ulid
from local.customerio.people import People
from local.customerio.request_log import RequestLog


def add(log: RequestLog, body: bytes) -> None:
    log.add(ApiRequest("track", "POST", "http://localhost", "/", {}, {}, "ok", body), 200, ApiResponse(), 1.0)


async def test_requests_show_what_arrived_since_a_number(track: httpx.AsyncClient, app: httpx.AsyncClient) -> None:
    before = time.time()
    await track.put("/api/v1/customers/a%20b?x=1", json={"plan": "pro"})
    await app.get("/v1/info/ip_addresses")
    await track.post("/api/v2/batch", content=b"not json")
    requests = (await app.get("/_sim/requests")).json()
    assert before - 1 < requests[0].pop("time") < time.time() + 1
    assert requests[0] == {
        "n": 1,
        "method": "PUT",
        "path": "/api/v1/customers/a%20b?x=1",
        "host": "track",
        "auth": "ok",
        "status": 200,
        "body": {"plan": "pro"},
        "items": 1,
        "errors": [],
    }
    assert [(request["host"], request["status"], request["body"]) for request in requests[1:]] == [
        ("app", 200, None),
        ("track", 400, None),
    ]
    later = (await track.get("/_sim/requests", params={"since": 2})).json()
    assert [request["n"] for request in later] == [3]
    assert (await track.get("/_sim/requests", params={"since": "x"})).status_code == 400


async def test_lists_can_be_limited_to_their_latest(track: httpx.AsyncClient) -> None:
    for number in range(4):
        await track.put(f"/api/v1/customers/{number}", json={})
    for latest, expected in (("2", ["2", "3"]), ("0", []), ("9", ["0", "1", "2", "3"])):
        people = (await track.get("/_sim/people", params={"latest": latest})).json()
        assert [person["id"] for person in people] == expected
    for latest in ("x", "-1", "9" * 30):
        assert (await track.get("/_sim/people", params={"latest": latest})).status_code == 400


async def test_unknown_paths_are_404_and_counted_as_other(track: httpx.AsyncClient) -> None:
    assert (await track.get("/api/v1/customers/1/secrets")).status_code == 404
    assert (await track.get("/_sim/secrets")).status_code == 404
    assert (await track.get("/_sim/counts")).json()["requests"] == {"other": {"404": 1}}


async def test_a_body_beyond_all_limits_is_413(track: httpx.AsyncClient) -> None:
    assert (await track.post("/api/v2/batch", content=bytes(17 << 20))).status_code == 413


async def test_delete_forgets_everything(track: httpx.AsyncClient) -> None:
    for path in ("/_sim", "/_sim/", "/_sim/all"):
        await track.put("/api/v1/customers/1", json={})
        await track.post("/api/v1/customers/1/events", json={"name": "x", "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"})
        await track.put("/_sim/faults", json={"delay": 0.001})
        assert (await track.delete(path)).status_code == 204
        for listing in ("people", "events", "deliveries", "requests", "faults", "objects"):
            assert (await track.get(f"/_sim/{listing}")).json() == []
        counts = (await track.get("/_sim/counts")).json()
        assert (counts["requests"], counts["events_applied"], counts["duplicates_dropped"]) == ({}, 0, 0)


def test_the_log_forgets_the_oldest_bodies_first_and_then_the_oldest_requests() -> None:
    log = RequestLog(requests=3, body_bytes=10)
    add(log, b'"12345"')
    add(log, b"")
    add(log, b"1234")
    assert [record["body"] for record in log.since(0)] == [None, None, 1234]
    add(log, b"5")
    add(log, b"67")
    assert [(record["n"], record["body"]) for record in log.since(0)] == [(3, 1234), (4, 5), (5, 67)]
    add(log, b"89")
    add(log, b"890123")
    assert [(record["n"], record["body"]) for record in log.since(0)] == [(5, 67), (6, 89), (7, 890123)]


def test_event_log_keeps_the_newest() -> None:
    log = EventLog(2)
    for name in ("a", "b", "c"):
        log.add(Event(None, name, "event", 1, 1.0, {}, None, None))
    assert [event["name"] for event in log.report(People())] == ["b", "c"]


def test_made_ulids_are_valid_and_sort_by_time() -> None:
    made = [new_ulid() for _ in range(100)]
    assert all(is_ulid(ulid) for ulid in made)
    assert len(set(made)) == 100
    assert new_ulid()[:10] >= made[0][:10]


def test_what_is_no_ulid() -> None:
    good = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert is_ulid(good)
    assert is_ulid(good.lower())
    for bad in (good[:-1], good + "A", "8" + good[1:], good[:-1] + "U", good[:-1] + "İ", None, 5):
        assert not is_ulid(bad)
