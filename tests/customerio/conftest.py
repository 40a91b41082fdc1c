"""A Customer.io over a real socket whose every answer a test decides."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from shared.customerio.http import BasicCredentials, Connection, Credentials
from shared.secrets import EnvironmentSecret

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Upstream:
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    answers_to_reads: list[Answer] = field(default_factory=list)

    def then(self, *answers: Answer) -> None:
        """Give these answers, in order; afterwards everything is accepted."""
        self.answers.extend(answers)

    def batches(self) -> list[list[dict[str, Any]]]:
        return [json.loads(body)["batch"] for body in self.bodies]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await self._handle_read(request)
        body = await request.read()
        self.paths.append(request.path)
        self.bodies.append(body)
        self.authorizations.append(request.headers.get("Authorization", ""))
        if self.answers:
            return await self.answers.pop(0)(request, body)
        return web.json_response({})

    async def _handle_read(self, request: web.Request) -> web.StreamResponse:
        """A trigger is processed and has no errors, unless a test says otherwise."""
        self.reads.append(request.path_qs)
        answer = self.answers_to_reads.pop(0) if self.answers_to_reads else status(200, {"processed_at": 1})
        return await answer(request, b"")


def status(code: int, body: object = None, **headers: str) -> Answer:
    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({} if body is None else body, status=code, headers=named)

    return answer


async def reset(request: web.Request, _body: bytes) -> web.StreamResponse:
    """Read the request, then drop the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


class Rotating:
    """A secret whose value changes when it is read anew."""

    def __init__(self, *values: str) -> None:
        self._values = list(values)
        self.refreshed = 0

    async def values(self) -> tuple[str, ...]:
        return (self._values[0],)

    async def refresh(self) -> None:
        self.refreshed += 1
        if len(self._values) > 1:
            self._values.pop(0)


Connect = Callable[..., Connection]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes connections that are closed when the test ends."""
    made: list[Connection] = []

    def new(url: str, credentials: Credentials, *, timeout: float = 5.0) -> Connection:
        made.append(Connection(url, credentials, timeout=timeout))
        return made[-1]

    yield new
    for connection in made:
        await connection.close()


@pytest.fixture
def connection(upstream: Upstream, connect: Connect) -> Connection:
    return connect(upstream.url, BasicCredentials(EnvironmentSecret("site"), EnvironmentSecret("key")))
