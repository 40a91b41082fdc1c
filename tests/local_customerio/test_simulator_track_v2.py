import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.customerio import Simulator
from local.customerio.ids import new_ulid
from local.customerio.items import check
from local.customerio.state import State

PERSON = {"id": "1"}


def person(action: str, **fields: object) -> dict[str, Any]:
    return {"type": "person", "action": action, "identifiers": PERSON, **fields}


async def batch(client: httpx.AsyncClient, *items: object) -> httpx.Response:
    return await client.post("/api/v2/batch", json={"batch": items})


async def test_good_batch_of_mixed_types_is_200_and_applied(track: httpx.AsyncClient) -> None:
    account = {"object_type_id": "1", "object_id": "acme"}
    answer = await batch(
        track,
        person("identify", attributes={"email": "a@example.com"}, cio_relationships=[{"identifiers": account}]),
        person("event", name="order", id=new_ulid(), attributes={"total": 5}),
        person("screen", name="cart"),
        person("page", name="/home"),
        person("add_device", device={"token": "tok", "platform": "android"}),
        {"type": "object", "action": "identify", "identifiers": account, "attributes": {"name": "Acme"}},
        {
            "type": "object",
            "action": "add_relationships",
            "identifiers": account,
            "cio_relationships": [{"identifiers": {"email": "b@example.com"}}],
        },
        {
            "type": "delivery",
            "action": "event",
            "identifiers": {"id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY"},
            "name": "opened",
            "attributes": {"device_token": "tok"},
        },
    )
    assert (answer.status_code, answer.json()) == (200, {})
    first, second = (await track.get("/_sim/people")).json()
    assert (first["email"], first["events"], first["devices"][0]["token"]) == ("a@example.com", 3, "tok")
    assert first["relationships"] == second["relationships"] == [account | {"attributes": {}}]
    [found] = (await track.get("/_sim/objects")).json()
    assert found["attributes"] == {"name": "Acme"}
    counts = (await track.get("/_sim/counts")).json()
    assert counts["items"]["person"] == {"identify": 1, "event": 1, "screen": 1, "page": 1, "add_device": 1}
    assert counts["items"]["object"] == {"identify": 1, "add_relationships": 1}


async def test_removals(track: httpx.AsyncClient) -> None:
    account = {"object_type_id": "1", "object_id": "acme"}
    related = [{"identifiers": account}]
    await batch(track, person("add_device", device={"token": "tok", "platform": "ios"}))
    await batch(track, person("add_relationships", cio_relationships=related))
    await batch(track, person("delete_device", device={"token": "tok"}))
    [before] = (await track.get("/_sim/people")).json()
    assert (before["devices"], len(before["relationships"])) == ([], 1)
    await batch(track, {"type": "object", "action": "delete", "identifiers": account})
    [after] = (await track.get("/_sim/people")).json()
    assert (after["relationships"], (await track.get("/_sim/objects")).json()) == ([], [])
    await batch(track, person("suppress"))
    assert (await track.get("/_sim/people")).json() == [{"suppressed": True, "id": "1"}]
    await batch(track, person("unsuppress"), person("identify"), person("delete"))
    assert (await track.get("/_sim/people")).json() == []


async def test_object_relationships_end_and_unknown_object_ids_are_dropped(track: httpx.AsyncClient) -> None:
    account = {"object_type_id": "1", "object_id": "acme"}
    people = [{"identifiers": {"id": "1"}}]
    await batch(track, {"type": "object", "action": "identify", "identifiers": account, "cio_relationships": people})
    [known] = (await track.get("/_sim/objects")).json()
    by_cio_id = {"type": "object", "identifiers": {"cio_object_id": known["cio_object_id"]}}
    await batch(track, by_cio_id | {"action": "delete_relationships", "cio_relationships": people})
    assert (await track.get("/_sim/people")).json()[0]["relationships"] == []
    await batch(track, {"type": "object", "action": "identify", "identifiers": {"cio_object_id": "nothing"}})
    assert (await track.get("/_sim/counts")).json()["outcomes"]["unknown_object"] == 1


async def test_bad_items_are_207_by_index_and_the_rest_applied(track: httpx.AsyncClient) -> None:
    answer = await batch(
        track,
        person("identify", attributes={"plan": "free"}),
        person("identify", attributes={"plan": "x" * 1001}),
        person("event", name="kept"),
        "text",
        person("event", name="", id="bad"),
    )
    assert answer.status_code == 207
    errors = answer.json()["errors"]
    assert errors[0] == {
        "batch_index": 1,
        "reason": "invalid",
        "field": "attributes.plan",
        "message": "property value cannot be longer than 1000 bytes",
    }
    assert [error["batch_index"] for error in errors] == [1, 3, 4, 4]
    [found] = (await track.get("/_sim/people")).json()
    assert (found["attributes"], found["events"]) == ({"plan": "free"}, 1)
    [request] = (await track.get("/_sim/requests")).json()
    assert (request["status"], request["items"], request["errors"]) == (207, 5, errors)
    assert request["body"]["batch"][3] == "text"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"type": "robot", "action": "identify", "identifiers": PERSON}, "type"),
    ({"action": "identify", "identifiers": PERSON}, "type"),
    (person("fly"), "action"),
    ({"type": "person", "identifiers": PERSON}, "action"),
    ({"type": "person", "action": "identify"}, "identifiers"),
    ({"type": "person", "action": "identify", "identifiers": {"id": "1", "email": "a@example.com"}}, "identifiers"),
    ({"type": "person", "action": "identify", "identifiers": {"id": ""}}, "identifiers.id"),
    ({"type": "person", "action": "identify", "identifiers": {"id": True}}, "identifiers.id"),
    ({"type": "person", "action": "identify", "identifiers": {"id": "é" * 76}}, "identifiers.id"),
    ({"type": "person", "action": "identify", "identifiers": {"email": "nobody"}}, "identifiers.email"),
    ({"type": "person", "action": "identify", "identifiers": {"phone": "555"}}, "identifiers.phone"),
    ({"type": "person", "action": "identify", "identifiers": {"anonymous_id": "1"}}, "identifiers.anonymous_id"),
    (person("identify", attributes=[]), "attributes"),
    (person("identify", attributes={"n" * 151: 1}), "attributes"),
    (person("identify", attributes={f"n{number}": 1 for number in range(301)}), "attributes"),
    (person("add_relationships", cio_relationships=[{"identifiers": {"object_id": "a"}}]),
     "cio_relationships.0.identifiers.object_type_id"),
    (person("add_relationships"), "cio_relationships"),
    (person("event"), "name"),
    (person("event", name="x" * 101), "name"),
    (person("event", name="x", id="8" + "Z" * 25), "id"),
    (person("event", name="x", attributes="text"), "attributes"),
    (person("add_device", device={"token": "t"}), "device.platform"),
    (person("delete_device", device={}), "device.token"),
    (person("merge", primary={"id": "1"}, secondary={"id": "2"}), "identifiers"),
    ({"type": "object", "action": "identify", "identifiers": {"object_type_id": 1, "object_id": "a"}},
     "identifiers.object_type_id"),
    ({"type": "object", "action": "delete", "identifiers": {"object_type_id": "1", "object_id": "a" * 151}},
     "identifiers.object_id"),
    ({"type": "delivery", "action": "event", "identifiers": {"id": "d"}, "name": "sent",
      "attributes": {"device_token": "t"}}, "name"),
    ({"type": "delivery", "action": "event", "identifiers": {"id": "d"}, "name": "opened"},
     "attributes.device_token"),
    (person("event", name="x", attributes={"text": "x" * 32_000}), ""),
]  # fmt: skip


@pytest.mark.parametrize(("item", "field"), REFUSED)
async def test_each_rule_is_refused_by_batch_and_entity_alike(
    track: httpx.AsyncClient, item: dict[str, Any], field: str
) -> None:
    in_batch = await batch(track, person("identify"), item)
    alone = await track.post("/api/v2/entity", json=item)
    assert (in_batch.status_code, alone.status_code) == (207, 400)
    [error] = in_batch.json()["errors"]
    assert (error.pop("batch_index"), error["field"]) == (1, field)
    assert alone.json() == {"errors": [error]}


async def test_entity_is_200_when_good(track: httpx.AsyncClient) -> None:
    answer = await track.post("/api/v2/entity", json=person("event", name="x", id=new_ulid().lower()))
    assert (answer.status_code, answer.json()) == (200, {})


async def test_repeated_event_ids_are_ignored_across_batches(track: httpx.AsyncClient) -> None:
    ulid = new_ulid()
    event = person("event", name="order", id=ulid)
    assert (await batch(track, event, event)).status_code == 200
    assert (await batch(track, event)).status_code == 200
    assert (await track.post("/api/v1/customers/1/events", json={"name": "order", "id": ulid})).status_code == 200
    counts = (await track.get("/_sim/counts")).json()
    assert (counts["events_applied"], counts["duplicates_dropped"]) == (1, 3)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"batch": {}}', b'{"batch": []}', b'{"batch": [{"type": }]}', b'{"batch": [{"a": 01}]}'],
)
async def test_a_request_that_is_no_batch_is_400_as_a_whole(track: httpx.AsyncClient, content: bytes) -> None:
    answer = await track.post("/api/v2/batch", content=content)
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error.keys() == {"reason", "field", "message"}


async def test_batch_size_limit_is_on_the_bytes_sent(track: httpx.AsyncClient) -> None:
    items = [person("event", name="x", attributes={"text": "x" * 30_000}) for _ in range(16)]
    body = json.dumps({"batch": items}).encode()
    fits = body + b" " * (500_000 - len(body))
    assert (await track.post("/api/v2/batch", content=fits)).status_code == 200
    assert (await track.post("/api/v2/batch", content=fits + b" ")).status_code == 400


async def test_merge(track: httpx.AsyncClient) -> None:
    await batch(track, person("identify"), {**person("identify"), "identifiers": {"id": "2"}})
    merge = {"type": "person", "action": "merge", "primary": {"id": "1"}, "secondary": {"id": "2"}}
    assert (await batch(track, merge)).status_code == 200
    assert [found["id"] for found in (await track.get("/_sim/people")).json()] == ["1"]


async def test_more_than_300_attributes_in_total_are_not_applied(track: httpx.AsyncClient) -> None:
    await batch(track, person("identify", attributes={f"a{number}": 1 for number in range(300)}))
    assert (await batch(track, person("identify", attributes={"a0": 2, "one_more": 1}))).status_code == 200
    assert (await batch(track, person("identify", attributes={"a1": 2}))).status_code == 200
    attributes = (await track.get("/_sim/people")).json()[0]["attributes"]
    assert (len(attributes), attributes["a0"], attributes["a1"]) == (300, 1, 2)


async def test_credentials(sim: Simulator) -> None:
    async with httpx.AsyncClient(base_url=sim.track_url, verify=False) as client:
        assert (await batch(client, person("identify"))).status_code == 401
        assert (await client.post("/api/v2/entity", json=person("identify"))).status_code == 401
        assert (await client.get("/_sim/people")).json() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)
PERSON_KEY = st.sampled_from(
    [
        {"id": "1"},
        {"id": 2},
        {"email": "a@b"},
        {"phone": "+15551234567"},
        {"cio_id": "d9c100000001"},
        {"anonymous_id": "x"},
    ]
)
OBJECT_KEY = st.sampled_from(
    [{"object_type_id": "1", "object_id": "a"}, {"object_type_id": "2", "object_id": 1}, {"cio_object_id": "ob1"}]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["id", "email", "phone", "anonymous_id", "unsubscribed", "cio_subscription_preferences.topics.topic_1", "plan"]
    ),
    JSON,
    max_size=3,
)
DEVICE = st.fixed_dictionaries({"token": st.just("t"), "platform": st.just("ios")}, optional={"last_used": JSON})


def operations(kind: str, actions: list[str], key: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> Any:
    related = st.fixed_dictionaries({"identifiers": other}, optional={"relationship_attributes": JSON})
    return st.fixed_dictionaries(
        {"type": st.just(kind), "action": st.sampled_from(actions), "identifiers": key, "name": st.just("opened")},
        optional={
            "attributes": ATTRIBUTES | st.just({"device_token": "t"}),
            "timestamp": JSON,
            "device": DEVICE,
            "cio_relationships": st.lists(related, max_size=2),
        },
    )


MERGE = st.fixed_dictionaries(
    {"type": st.just("person"), "action": st.just("merge"), "primary": PERSON_KEY, "secondary": PERSON_KEY}
)
OBJECT_ACTIONS = ["identify", "identify_anonymous", "delete", "add_relationships", "delete_relationships"]
PERSON_ACTIONS = [
    *("identify", "delete", "event", "screen", "page", "suppress", "unsuppress"),
    *("add_device", "delete_device", "add_relationships", "delete_relationships"),
]
ITEM = st.one_of(
    operations("person", PERSON_ACTIONS, PERSON_KEY, OBJECT_KEY),
    operations("object", OBJECT_ACTIONS, OBJECT_KEY, PERSON_KEY),
    operations("delivery", ["event"], PERSON_KEY, PERSON_KEY),
    MERGE,
)


@given(st.lists(ITEM, max_size=12), JSON)
def test_whatever_passes_the_check_can_be_applied_and_listed(items: list[dict[str, Any]], noise: object) -> None:
    state = State(5)
    applied = [item for item in items if not check(item)]
    for item in applied:
        state.apply(item)
    assert sum(state.counts.report()["outcomes"].values()) == len(applied)
    assert len(list(state.events.report(state.people))) <= 5
    assert check(noise)
