"""A webhook endpoint that checks signatures and answers what a test asks for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from local.customerio.webhooks import sign

SIGNING_KEY = "a-signing-key"


@dataclass(frozen=True)
class Arrival:
    """`seconds` is the loop's clock."""

    seconds: float
    timestamp: str
    body: bytes

    @property
    def event(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """Answers the given statuses one after the other, 0 meaning not at all, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    _arrived: asyncio.Queue[Arrival] = field(default_factory=asyncio.Queue)

    async def next(self) -> Arrival:
        async with asyncio.timeout(5):
            return await self._arrived.get()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        timestamp = request.headers["X-CIO-Timestamp"]
        if request.headers["X-CIO-Signature"] != sign(SIGNING_KEY, timestamp, body):
            return web.Response(status=401)
        self._arrived.put_nowait(Arrival(asyncio.get_running_loop().time(), timestamp, body))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            await asyncio.sleep(5)
        return web.Response(status=status or 200)


@asynccontextmanager
async def running_receiver(port: int = 0) -> AsyncIterator[Receiver]:
    endpoint = Receiver()
    server = web.Server(endpoint.handle, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    try:
        yield endpoint
    finally:
        await runner.cleanup()
