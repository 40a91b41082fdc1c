"""The simulator's own surface under `/_sim/`, on both hosts, without credentials, in JSON.

GET    requests?since=N   every request with n > N: n, method, path, host, auth, status, body, time, items, errors
GET    people             profiles, and suppressed identifiers with "suppressed": true
GET    objects, deliveries, events, counts, faults
       ?latest=N on people, objects, deliveries and events: only the last N of the list
PUT    faults             replace all faults by one or a list: see faults.py
DELETE faults             remove all faults
PUT    settings           {"shared_emails": true}: several people may have one email address
POST   webhooks           queue an event, or a list of them, for signed delivery, byte for byte
DELETE (/_sim itself, or all)   forget everything
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import batched
from typing import Any, Final

import msgspec
from aiohttp import web

from local.customerio.exchange import encode
from local.customerio.gateway import read_body
from local.customerio.people import Person
from local.customerio.workspace import Workspace

_PREFIX: Final = "/_sim"

# Lists are written in pieces, so that a long one neither fills memory nor holds up other requests.
_ITEMS_PER_PIECE: Final = 500

_MAX_DIGITS: Final = 9

type Handler = Callable[[Workspace, web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, workspace: Workspace) -> None:
    """Register everything below `/_sim` with aiohttp's router."""
    routes: list[tuple[str, str, Handler]] = [
        ("GET", "/requests", _requests),
        ("GET", "/people", _listing(_people)),
        ("GET", "/objects", _listing(lambda workspace: workspace.state.objects)),
        ("GET", "/deliveries", _listing(lambda workspace: workspace.state.deliveries)),
        ("GET", "/events", _listing(lambda workspace: workspace.state.events.report(workspace.state.people))),
        ("GET", "/counts", _counts),
        ("GET", "/faults", _get_faults),
        ("PUT", "/faults", _put_faults),
        ("DELETE", "/faults", _delete_faults),
        ("PUT", "/settings", _put_settings),
        ("POST", "/webhooks", _queue_webhooks),
        ("DELETE", "", _reset),
        ("DELETE", "/", _reset),
        ("DELETE", "/all", _reset),
        ("*", "/{path:.*}", _not_found),
    ]
    for method, path, handler in routes:
        app.router.add_route(method, _PREFIX + path, partial(handler, workspace))


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=encode(value), content_type="application/json")


async def _not_found(_workspace: Workspace, _request: web.Request) -> web.StreamResponse:
    return _json(404, {"error": "not found"})


def _listing(values: Callable[[Workspace], Iterable[object]]) -> Handler:
    async def handler(workspace: Workspace, request: web.Request) -> web.StreamResponse:
        latest = request.query.get("latest")
        if latest is None:
            return await _stream(request, values(workspace))
        if not latest.isdecimal() or len(latest) > _MAX_DIGITS:
            return _json(400, {"error": f"latest must be a whole number of at most {_MAX_DIGITS} digits"})
        return await _stream(request, deque(values(workspace), maxlen=int(latest)))

    return handler


async def _stream(request: web.Request, values: Iterable[object]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    opening = b"["
    for piece in batched(values, _ITEMS_PER_PIECE, strict=False):
        await response.write(opening + b",".join(map(encode, piece)))
        opening = b","
        await asyncio.sleep(0)
    await response.write(b"[]" if opening == b"[" else b"]")
    await response.write_eof()
    return response


async def _requests(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    since = request.query.get("since", "0")
    if not since.isdecimal():
        return _json(400, {"error": "since must be a whole number"})
    return await _stream(request, workspace.request_log.since(int(since)))


async def _counts(workspace: Workspace, _request: web.Request) -> web.StreamResponse:
    webhooks = workspace.webhooks.report()
    # What will be reported later counts as queued too, so that 0 means: nothing more will come.
    webhooks["queued"] += workspace.engagement.pending + workspace.triggers.pending
    return _json(200, {**workspace.state.counts.report(), "webhooks": webhooks})


async def _get_faults(workspace: Workspace, _request: web.Request) -> web.StreamResponse:
    return _json(200, workspace.faults.report())


async def _delete_faults(workspace: Workspace, _request: web.Request) -> web.StreamResponse:
    workspace.faults.clear()
    return web.Response(status=204)


async def _reset(workspace: Workspace, _request: web.Request) -> web.StreamResponse:
    workspace.reset()
    return web.Response(status=204)


async def _put_faults(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    try:
        workspace.faults.replace(await read_body(request) or b"")
    except msgspec.DecodeError as error:
        return _json(400, {"error": str(error)})
    return _json(200, workspace.faults.report())


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of the workspace, until it is reset."""

    shared_emails: bool


async def _put_settings(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    try:
        settings = msgspec.json.decode(await read_body(request) or b"", type=Settings)
    except msgspec.DecodeError as error:
        return _json(400, {"error": str(error)})
    workspace.state.people.shared_emails = settings.shared_emails
    return _json(200, settings)


async def _queue_webhooks(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    if not workspace.webhooks.has_target:
        return _json(409, {"error": "the simulator was started without a webhook URL"})
    try:
        raws = _raw_events(await read_body(request) or b"")
    except msgspec.DecodeError as error:
        return _json(400, {"error": str(error)})
    for raw in raws:
        event = msgspec.json.decode(raw)
        workspace.webhooks.queue_raw(event.get("metric") if isinstance(event, dict) else None, raw)
    return _json(202, {"queued": len(raws)})


def _raw_events(body: bytes) -> list[bytes]:
    """The bytes of each event of a list, or of the one event."""
    if isinstance(msgspec.json.decode(body), list):
        return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    return [body]


def _people(workspace: Workspace) -> Iterator[dict[str, Any]]:
    people = workspace.state.people
    events = workspace.state.events.per_person(people)
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
