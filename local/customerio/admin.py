"""The simulator's own surface under `/_sim/`, on both hosts, without credentials, in JSON.

GET    requests?since=N   every request with n > N: n, method, path, host, auth, status, body, time, items, errors
GET    people             profiles, and suppressed identifiers with "suppressed": true
GET    objects, deliveries, events, counts, faults
PUT    faults             one fault or a list, instead of the present ones: see faults.py
DELETE faults             no faults
POST   webhooks           queue an event, or a list of them, for signed delivery, byte for byte
DELETE (/_sim itself, or all)   forget everything
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from typing import Any, Final

import msgspec
from aiohttp import web

from local.customerio.people import Person
from local.customerio.wire import encode
from local.customerio.workspace import Workspace

PREFIX: Final = "_sim"

# Lists are written in pieces, so that a long one neither fills memory nor holds up the requests beside it.
_PIECE: Final = 500


async def answer(
    request: web.BaseRequest, parts: tuple[str, ...], body: bytes, workspace: Workspace
) -> web.StreamResponse:
    """Answer a request below `/_sim`; `parts` are the segments after it."""
    lists = _LISTS.get("/".join(parts)) if request.method == "GET" else None
    if lists is not None:
        return await _list(request, lists(workspace))
    if request.method == "GET" and parts == ("requests",):
        return await _requests(request, workspace)
    action = _ACTIONS.get((request.method, "/".join(parts)))
    return _json(404, {"error": "not found"}) if action is None else action(workspace, body)


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=encode(value), content_type="application/json")


async def _list(request: web.BaseRequest, values: Iterable[object]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    opening = b"["
    for piece in batched(values, _PIECE, strict=False):
        await response.write(opening + b",".join(map(encode, piece)))
        opening = b","
        await asyncio.sleep(0)
    await response.write(b"[]" if opening == b"[" else b"]")
    await response.write_eof()
    return response


async def _requests(request: web.BaseRequest, workspace: Workspace) -> web.StreamResponse:
    since = request.rel_url.query.get("since", "0")
    if not since.isdecimal():
        return _json(400, {"error": "since must be a whole number"})
    return await _list(request, workspace.records.since(int(since)))


def _counts(workspace: Workspace, _body: bytes) -> web.Response:
    return _json(200, {**workspace.world.counts.report(), "webhooks": workspace.webhooks.report()})


def _get_faults(workspace: Workspace, _body: bytes) -> web.Response:
    return _json(200, workspace.faults.report())


def _delete_faults(workspace: Workspace, _body: bytes) -> web.Response:
    workspace.faults.clear()
    return web.Response(status=204)


def _reset(workspace: Workspace, _body: bytes) -> web.Response:
    workspace.reset()
    return web.Response(status=204)


def _put_faults(workspace: Workspace, body: bytes) -> web.Response:
    try:
        workspace.faults.replace(body)
    except msgspec.DecodeError as error:
        return _json(400, {"error": str(error)})
    return _json(200, workspace.faults.report())


def _queue_webhooks(workspace: Workspace, body: bytes) -> web.Response:
    if not workspace.webhooks.has_target:
        return _json(409, {"error": "the simulator was started without a webhook URL"})
    try:
        value = msgspec.json.decode(body)
        raws = (
            [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
            if isinstance(value, list)
            else [body]
        )
    except msgspec.DecodeError as error:
        return _json(400, {"error": str(error)})
    events = value if isinstance(value, list) else [value]
    for event, raw in zip(events, raws, strict=True):
        workspace.webhooks.queue_raw(event.get("metric") if isinstance(event, dict) else None, raw)
    return _json(202, {"queued": len(raws)})


def _people(workspace: Workspace) -> Iterator[dict[str, Any]]:
    people = workspace.world.people
    events = workspace.world.events.per_person(people)
    for person in list(people):
        yield _profile(person, events.get(person.cio_id, 0))
    for group in people.suppressed:
        blocked: dict[str, Any] = {"suppressed": True}
        blocked.update(group)
        yield blocked


def _profile(person: Person, events: int) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "phone": person.phone,
        "cio_id": person.cio_id,
        "anonymous_id": person.anonymous_id,
        "attributes": person.attributes,
        "devices": list(person.devices.values()),
        "relationships": [
            {"object_type_id": kind, "object_id": number, "attributes": attributes}
            for (kind, number), attributes in person.relationships.items()
        ],
        "unsubscribed": person.unsubscribed,
        "suppressed": False,
        "changed_at": person.changed_at,
        "events": events,
    }


def _events(workspace: Workspace) -> Iterator[dict[str, Any]]:
    return workspace.world.events.report(workspace.world.people)


_LISTS: dict[str, Callable[[Workspace], Iterable[object]]] = {
    "people": _people,
    "objects": lambda workspace: workspace.world.objects,
    "deliveries": lambda workspace: workspace.world.deliveries,
    "events": _events,
}
_ACTIONS: dict[tuple[str, str], Callable[[Workspace, bytes], web.Response]] = {
    ("GET", "counts"): _counts,
    ("GET", "faults"): _get_faults,
    ("PUT", "faults"): _put_faults,
    ("DELETE", "faults"): _delete_faults,
    ("POST", "webhooks"): _queue_webhooks,
    ("DELETE", ""): _reset,
    ("DELETE", "all"): _reset,
}
