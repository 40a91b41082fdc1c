"""Refusals and headers that keep other sites' pages away from the console.

The console listens on loopback, where any page in the user's browser can send requests to it. So a request must name a
loopback host (Starlette's TrustedHostMiddleware), and one that changes something must come from the console's own page.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALLOWED_HOSTS = ("127.0.0.1", "localhost")

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class SameOriginOnly:
    """ASGI middleware that refuses cross-site changes with 403 and adds the security headers to every response.

    A program without a browser sends neither ``Origin`` nor ``Sec-Fetch-Site``, and is let through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if scope["method"] not in _SAFE_METHODS and _is_cross_site(scope):
            refusal = PlainTextResponse("The console takes changes from its own page only.\n", status_code=403)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _is_cross_site(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = f"{scope['scheme']}://{headers.get('host', '')}"
    return (origin is not None and origin != own) or (site is not None and site != "same-origin")
