"""The way of every request: faults, credentials, rates, the endpoint, the request log."""

import asyncio
import base64
import socket
import struct
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from local.customerio import limits
from local.customerio.exchange import (
    ApiRequest,
    ApiResponse,
    Auth,
    Host,
    encode,
    error_response,
    not_found,
    too_many_requests,
    unauthorized,
)
from local.customerio.faults import Effect
from local.customerio.rates import RateName
from local.customerio.workspace import Workspace

type Endpoint = Callable[[ApiRequest, Workspace], ApiResponse]

_OTHER: Final = "other"  # the name under which requests to unknown paths are counted


class Credentials(msgspec.Struct, frozen=True):
    """Accepted credentials: Basic `site_id:track_api_key` on the Track host, Bearer `app_api_key` on the App host."""

    site_id: str = "local-site"
    track_api_key: str = "local-track-key"
    app_api_key: str = "local-app-key"


class Gateway:
    """The layer between aiohttp's routers and the endpoints.

    Args:
        workspace: The state that requests read and change.
        credentials: What is accepted; may be replaced while running, to rehearse a rotation.
        redirect_to: Base URL of the right regional Track host, or None if this one is right.
    """

    def __init__(self, workspace: Workspace, credentials: Credentials, redirect_to: str | None) -> None:
        self.workspace = workspace
        self.credentials = credentials
        self.redirect_to = redirect_to

    async def serve(self, host: Host, route: "Route", request: web.Request) -> web.StreamResponse:
        body = await read_body(request)
        if body is None:
            return _web_response(error_response(413, "the body is too large"))
        arrived = time.time()
        path = request.raw_path.partition("?")[0]
        effect = self.workspace.faults.effect_on(host, path) or Effect()
        call = ApiRequest(
            host,
            request.method,
            f"{request.scheme}://{request.host}",
            request.raw_path,
            dict(request.match_info),
            dict(request.query),
            self._auth(host, request.headers.get("Authorization")),
            body,
            effect.reject,
        )
        response = await self._respond(call, route, effect)
        status = None if effect.reset else response.status
        self.workspace.request_log.add(call, status, response, arrived)
        self.workspace.state.counts.request(route.name, "reset" if status is None else str(status))
        if effect.reset:
            _reset_connection(request)
        return _web_response(response)

    async def _respond(self, call: ApiRequest, route: "Route", effect: Effect) -> ApiResponse:
        if effect.delay and not effect.after_accept:
            await asyncio.sleep(effect.delay)
        if effect.responds and not effect.after_accept:
            return _injected(ApiResponse(), effect)
        response = self._apply(call, route)
        if effect.delay and effect.after_accept:
            await asyncio.sleep(effect.delay)
        return _injected(response, effect)

    def _apply(self, call: ApiRequest, route: "Route") -> ApiResponse:
        # Either regional host answers accounts/region, so that a client can find out where it belongs.
        if call.host == "track" and self.redirect_to is not None and not route.any_region:
            return ApiResponse(301, b"", headers={"Location": self.redirect_to.rstrip("/") + call.url})
        if route.needs_key and call.auth != "ok":
            return unauthorized()
        if route.rate is not None and not self.workspace.rate_limiter.allows(route.rate):
            return too_many_requests()
        return route.endpoint(call, self.workspace)

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


class Route(msgspec.Struct, frozen=True):
    """An endpoint and what a request needs to reach it. `name` is the path with its variable parts in braces."""

    name: str
    endpoint: Endpoint
    rate: RateName | None
    needs_key: bool = True
    any_region: bool = False


class Routes:
    """Registers endpoints of one host with aiohttp's router."""

    def __init__(self, host: Host, gateway: Gateway, app: web.Application) -> None:
        self._host: Host = host
        self._gateway = gateway
        self._app = app

    def add(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        *,
        rate: RateName | None = None,
        needs_key: bool = True,
        any_region: bool = False,
    ) -> None:
        """Register one endpoint. `rate` names the account's rate that it draws on; the host's own by default."""
        route = Route(path, endpoint, rate or self._host, needs_key, any_region)
        self._register(method, path, route)

    def add_unknown(self) -> None:
        """Answer everything that is not registered: on the App host it takes a valid key to be told 404."""
        route = Route(_OTHER, lambda _request, _workspace: not_found(), None, needs_key=self._host == "app")
        self._register("*", "/{path:.*}", route)

    def _register(self, method: str, path: str, route: Route) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._gateway.serve(self._host, route, request)

        self._app.router.add_route(method, path, handle)


async def read_body(request: web.BaseRequest) -> bytes | None:
    """The whole body, or None if it is larger than any body that could be right."""
    pieces, size = [], 0
    while piece := await request.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > limits.MAX_BODY_BYTES:
            return None
    return b"".join(pieces)


def _injected(response: ApiResponse, effect: Effect) -> ApiResponse:
    """The response with the fault's status, body and Retry-After instead of its own, if the fault has any."""
    if effect.status is None:
        return response
    body = {"meta": {"error": _phrase(effect.status)}} if effect.body is None else effect.body
    text = body.encode() if isinstance(body, str) else encode(body)
    headers = {} if effect.retry_after is None else {"Retry-After": f"{effect.retry_after:g}"}
    return ApiResponse(effect.status, text, response.items, response.errors, headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "injected fault"


def _web_response(response: ApiResponse) -> web.Response:
    headers = {"Content-Type": "application/json; charset=utf-8", **response.headers}
    return web.Response(status=response.status, body=response.body, headers=headers)


def _reset_connection(request: web.BaseRequest) -> None:
    """Close with a TCP reset: a linger time of zero makes close() send RST instead of FIN."""
    transport = request.transport
    if transport is not None:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
