"""Prints how many Python functions a push enters, all told: ``python -m tests.budgets.counted_calls SOURCE TARGET``.

A count and no time: it is the same on every machine and under every load.
"""

import asyncio
import sys
from typing import Any

import functions_framework.aio

from bench.jobs import push

_CONCURRENT = 200
_HEADERS = [
    (b"host", b"f"),
    (b"content-type", b"application/json"),
    (b"user-agent", b"CloudPubSub-Google"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]


class Counter:
    """Counts entered functions. A coroutine that goes on counts once."""

    def __init__(self) -> None:
        self.count = 0
        sys.monitoring.use_tool_id(sys.monitoring.PROFILER_ID, "budget")
        sys.monitoring.register_callback(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START, self._entered)

    def _entered(self, _code: object, _offset: int) -> None:
        self.count += 1

    def start(self) -> None:
        self.count = 0
        sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START)

    def stop(self) -> None:
        sys.monitoring.set_events(sys.monitoring.PROFILER_ID, 0)


async def answered(app: Any, kind: str, number: int) -> int:
    """Push once, as the server does; return the status."""
    body = push(kind, number)
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    return status


async def main(source: str, target: str) -> None:
    app = functions_framework.aio.create_asgi_app(target, source)
    kind = "identify" if target == "empty" else target
    counter = Counter()
    counts = []
    for round_number in range(3):
        first = round_number * _CONCURRENT
        pushes = [answered(app, kind, first + number) for number in range(_CONCURRENT)]
        counter.start()
        statuses = await asyncio.gather(*pushes)
        await asyncio.sleep(0)
        counter.stop()
        assert set(statuses) == {204}, statuses
        counts.append(counter.count / _CONCURRENT)
    print("calls", min(counts[1:]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
