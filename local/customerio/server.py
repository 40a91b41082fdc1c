"""Two listening ports, the Track host and the App host, in front of one workspace."""

import asyncio
import base64
import contextlib
import socket
import struct
import time
from http import HTTPStatus
from typing import Any, Final, Literal, Self
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web

from local.customerio import admin, limits
from local.customerio.faults import Verdict
from local.customerio.routes import route_of
from local.customerio.webhooks import Patience, Target, Webhooks
from local.customerio.wire import Answer, Auth, Call, Host, encode, meta_error
from local.customerio.workspace import Workspace

type Region = Literal["us", "eu"]

# Far above every published limit: what is larger is refused before it is read to the end.
_BODY_BYTES: Final = 16 << 20
_SHUTDOWN_SECONDS: Final = 0.5


class Credentials(msgspec.Struct, frozen=True):
    """What is accepted: Basic `site_id:track_api_key` on the Track host, Bearer `app_api_key` on the App host."""

    site_id: str = "local-site"
    track_api_key: str = "local-track-key"
    app_api_key: str = "local-app-key"


class Simulator:
    """Customer.io on loopback. `async with Simulator() as sim:` listens on `sim.track_url` and `sim.app_url`.

    Args:
        host: Address to listen on.
        track_port: Port of the Track API; 0 takes a free one.
        app_port: Port of the App API; 0 takes a free one.
        credentials: What is accepted; may be replaced while running, to rehearse a rotation.
        region: What `accounts/region` tells.
        redirect_to: Base URL of the right regional host; every Track call but `accounts/region` is answered 301 to it.
        webhook: Where reporting webhooks go; None sends none.
        patience: The webhooks' timeout and pauses.
        broadcast_pause: Seconds between two broadcasts.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        track_port: int = 0,
        app_port: int = 0,
        credentials: Credentials = Credentials(),  # noqa: B008 - frozen
        region: Region = "us",
        redirect_to: str | None = None,
        webhook: Target | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        broadcast_pause: float = limits.BROADCAST_PAUSE_SECONDS,
    ) -> None:
        self.credentials = credentials
        self.workspace = Workspace(Webhooks(webhook, patience), region, redirect_to, broadcast_pause)
        self._address = host
        self._ports: dict[Host, int] = {"track": track_port, "app": app_port}
        self._stack = contextlib.AsyncExitStack()

    @property
    def track_url(self) -> str:
        return f"http://{self._address}:{self._ports['track']}"

    @property
    def app_url(self) -> str:
        return f"http://{self._address}:{self._ports['app']}"

    async def __aenter__(self) -> Self:
        async with self._stack:
            for host in self._ports:
                await self._listen(host)
            webhooks = asyncio.create_task(self.workspace.webhooks.run())
            self._stack.push_async_callback(_cancel, webhooks)
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listen(self, host: Host) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(host, request)

        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self._address, self._ports[host]).start()
        self._ports[host] = runner.addresses[0][1]

    async def _handle(self, host: Host, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        parts = tuple(unquote(part) for part in path.strip("/").split("/"))
        body = await _read(request)
        if body is None:
            return _response(meta_error(413, "the body is too large"))
        if parts[0] == admin.PREFIX:
            return await admin.answer(request, parts[1:], body, self.workspace)
        arrived = time.time()
        auth = self._auth(host, request.headers.get("Authorization"))
        verdict = self.workspace.faults.judge(host, path) or Verdict()
        call = Call(host, request.method, request.raw_path, parts, dict(parse_qsl(query)), auth, body, verdict.reject)
        answer = await self._answer(call, verdict)
        self._record(call, None if verdict.reset else answer.status, answer, arrived)
        if verdict.reset:
            _reset(request)
        return _response(answer)

    async def _answer(self, call: Call, verdict: Verdict) -> Answer:
        if verdict.delay and not verdict.after_accept:
            await asyncio.sleep(verdict.delay)
        if verdict.answers and not verdict.after_accept:
            return _injected(Answer(), verdict)
        answer = self.workspace.answer(call)
        if verdict.delay and verdict.after_accept:
            await asyncio.sleep(verdict.delay)
        return _injected(answer, verdict)

    def _record(self, call: Call, status: int | None, answer: Answer, arrived: float) -> None:
        self.workspace.records.add(call, status, answer, arrived)
        self.workspace.world.counts.request(route_of(call.parts), "reset" if status is None else str(status))

    def _auth(self, host: Host, header: str | None) -> Auth:
        if header is None:
            return "none"
        scheme, _, given = header.partition(" ")
        if host == "app":
            good = scheme.lower() == "bearer" and given == self.credentials.app_api_key
        else:
            known = f"{self.credentials.site_id}:{self.credentials.track_api_key}"
            good = scheme.lower() == "basic" and given == base64.b64encode(known.encode()).decode()
        return "ok" if good else "bad"


def _injected(answer: Answer, verdict: Verdict) -> Answer:
    """The answer with the fault's status, body and Retry-After in place of its own, if the fault has any."""
    if verdict.status is None:
        return answer
    body = verdict.body
    if body is None:
        body = {"meta": {"error": _phrase(verdict.status)}}
    text = body.encode() if isinstance(body, str) else encode(body)
    headers = {} if verdict.retry_after is None else {"Retry-After": f"{verdict.retry_after:g}"}
    return Answer(verdict.status, text, answer.items, answer.errors, headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "injected fault"


async def _read(request: web.BaseRequest) -> bytes | None:
    """The whole body, or None if it is larger than any that could be right."""
    pieces, size = [], 0
    while piece := await request.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > _BODY_BYTES:
            return None
    return b"".join(pieces)


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={"Content-Type": "application/json; charset=utf-8", **answer.headers},
    )


def _reset(request: web.BaseRequest) -> None:
    """Close with a TCP reset: lingering for zero seconds makes close() send RST instead of FIN."""
    transport = request.transport
    if transport is not None:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
