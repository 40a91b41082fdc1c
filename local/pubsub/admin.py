"""The broker's own HTTP surface, JSON: what it holds, and faults on demand.

GET    /_broker/stats     backlog and counters per subscription, publishes per topic, memory held
GET    /_broker/faults    the faults that are on, with how often each has struck
PUT    /_broker/faults    replaces them: {"faults": [{"kind": "duplicate", "share": 0.1, "seed": 7}, …]}
DELETE /_broker/faults    turns them all off

What a fault may say: ``local.pubsub.faults.Fault``.
"""

from typing import Any

import msgspec
from aiohttp import web

from local.pubsub.faults import Fault, Faults
from local.pubsub.messages import Memory
from local.pubsub.push import Pushes
from local.pubsub.registry import Registry


class _FaultList(msgspec.Struct, forbid_unknown_fields=True):
    faults: list[Fault]


_decoder = msgspec.json.Decoder(_FaultList)


def admin_app(*, registry: Registry, pushes: Pushes, memory: Memory, faults: Faults) -> web.Application:
    """The application. Stats are a snapshot: times in seconds, sizes in bytes, counts in messages."""

    async def get_stats(_: web.Request) -> web.Response:
        return _json(
            {
                "memory": {"held_bytes": memory.used, "limit_bytes": memory.limit},
                "topics": {name: {"published": topic.published} for name, topic in registry.topics.items()},
                "subscriptions": {
                    name: subscription.stats() | {"push_pause_seconds": pushes.pause_seconds(subscription)}
                    for name, subscription in registry.subscriptions.items()
                },
            }
        )

    async def get_faults(_: web.Request) -> web.Response:
        return _json({"faults": faults.report()})

    async def put_faults(request: web.Request) -> web.Response:
        try:
            wanted = _decoder.decode(await request.read())
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, status=400)
        faults.replace(wanted.faults)
        return _json({"faults": faults.report()})

    async def delete_faults(_: web.Request) -> web.Response:
        faults.replace([])
        return _json({"faults": []})

    app = web.Application()
    app.router.add_get("/_broker/stats", get_stats)
    app.router.add_get("/_broker/faults", get_faults)
    app.router.add_put("/_broker/faults", put_faults)
    app.router.add_delete("/_broker/faults", delete_faults)
    return app


def _json(body: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
