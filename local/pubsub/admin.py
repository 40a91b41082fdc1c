"""The broker's admin surface, in JSON: stats, and faults to inject.

GET    /_broker/stats     backlog and counters per subscription, publishes per topic, memory held
GET    /_broker/faults    the active faults, each with the number of times it was injected
PUT    /_broker/faults    replaces them: {"faults": [{"kind": "duplicate", "share": 0.1, "seed": 7}, …]}
DELETE /_broker/faults    removes them all

``local.pubsub.faults.Fault`` lists the fields of a fault.
"""

from typing import Any

import msgspec
from aiohttp import web

from local.pubsub.faults import Fault, Faults
from local.pubsub.memory import MemoryLimit
from local.pubsub.push import PushConsumers
from local.pubsub.registry import Registry


class _FaultList(msgspec.Struct, forbid_unknown_fields=True):
    faults: list[Fault]


_decoder = msgspec.json.Decoder(_FaultList)


def admin_app(
    *, registry: Registry, push_consumers: PushConsumers, memory: MemoryLimit, faults: Faults
) -> web.Application:
    """Return the application that serves the admin surface. Stats are in seconds, bytes and messages."""

    async def get_stats(_: web.Request) -> web.Response:
        return _json(
            {
                "memory": {"held_bytes": memory.used_bytes, "limit_bytes": memory.limit_bytes},
                "topics": {name: {"published": topic.published} for name, topic in registry.topics.items()},
                "subscriptions": {
                    name: subscription.stats() | {"push_backoff_seconds": push_consumers.backoff_seconds(subscription)}
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
