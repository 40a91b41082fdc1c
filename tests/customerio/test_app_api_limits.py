import asyncio

import pytest
from aiohttp import web

from shared.customerio.app import AppAPI
from shared.customerio.errors import RateLimitedError
from shared.customerio.http import BearerCredentials
from shared.secrets import EnvironmentSecret
from tests.customerio.conftest import Connect, Upstream

CREDENTIALS = BearerCredentials(EnvironmentSecret("app-key"))


async def test_our_own_rate_refuses_at_once_and_does_not_close_the_gate(upstream: Upstream, connect: Connect) -> None:
    app = AppAPI(connect(upstream.url, CREDENTIALS), requests_per_second=20.0, longest_wait=0.2)
    fates = await asyncio.gather(*(app.send("email", b"{}") for _ in range(60)), return_exceptions=True)
    refused = [fate for fate in fates if isinstance(fate, RateLimitedError)]
    assert 0 < len(refused) < 60
    assert len(upstream.bodies) == 60 - len(refused)
    await asyncio.sleep(0.1)
    assert await app.send("email", b"{}") == ""


async def test_sends_beyond_the_connections_are_refused_at_once(upstream: Upstream, connect: Connect) -> None:
    answered = asyncio.Event()

    async def slow(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await answered.wait()
        return web.json_response({"delivery_id": "d"})

    upstream.then(*[slow] * 400)
    app = AppAPI(connect(upstream.url, CREDENTIALS))
    calls = [asyncio.ensure_future(app.send("email", b"{}")) for _ in range(400)]
    done, pending = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    with pytest.raises(RateLimitedError):
        next(iter(done)).result()
    answered.set()
    fates = await asyncio.gather(*pending, return_exceptions=True)
    assert fates.count("d") == 150
