"""One HTTP connection pool to one of Customer.io's hosts, with credentials, bounded in time, never redirected.

httpx with aiohttp below it (``httpx-aiohttp``): httpx's own pool is quadratic in open connections, and httpcore's
HTTP/2 breaks after 1,000 requests on a connection (httpcore#1054).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ..secrets import Secret, SecretUnavailableError
from .errors import UnknownOutcomeError, UnreachableError
from .responses import error_of

_CONNECT_SECONDS = 5.0
# Below the 15 s after which aiohttp drops an idle connection of its own accord; a frozen instance finds its
# connections aged.
_KEEPALIVE_SECONDS = 15.0


class Credentials(Protocol):
    """Makes the Authorization header."""

    async def header(self) -> str: ...

    async def refresh(self) -> None: ...


class BasicCredentials:
    """The Track API's: site id and API key of the workspace."""

    def __init__(self, site_id: Secret, api_key: Secret) -> None:
        self._site_id = site_id
        self._api_key = api_key

    async def header(self) -> str:
        (site_id, *_), (api_key, *_) = await self._site_id.values(), await self._api_key.values()
        return httpx.BasicAuth(site_id, api_key)._auth_header  # noqa: SLF001

    async def refresh(self) -> None:
        await self._site_id.refresh()
        await self._api_key.refresh()


class BearerCredentials:
    """The App API's: an App API key."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    async def header(self) -> str:
        return f"Bearer {(await self._key.values())[0]}"

    async def refresh(self) -> None:
        await self._key.refresh()


class Connection:
    """Posts JSON to one host.

    Args:
        base_url: such as ``https://track.customer.io``.
        credentials: asked before each request, and to refresh once when they were refused.
        timeout: seconds that one request may take, all of it.
        transport: given by tests and by whoever wants another HTTP stack below.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeout: float,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._timeout = timeout
        self._new_transport = transport or _aiohttp_transport
        self._client: httpx.AsyncClient | None = None

    async def post(self, path: str, body: bytes) -> httpx.Response:
        """Send one request and return its 2xx answer.

        A 401 is tried once more after the credentials were read anew: nothing was accepted, so nothing is repeated.

        Raises:
            CustomerIOError: one of its leaves, by what happened.
        """
        response = await self._post_once(path, body)
        if response.status_code == 401:
            await self._credentials.refresh()
            response = await self._post_once(path, body)
        if error := error_of(response):
            raise error
        return response

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _post_once(self, path: str, body: bytes) -> httpx.Response:
        try:
            headers = {"Authorization": await self._credentials.header(), "Content-Type": "application/json"}
        except SecretUnavailableError as error:
            raise UnreachableError(str(error), reason="secret_unavailable") from None
        client = self._client or self._open()
        try:
            async with asyncio.timeout(self._timeout):
                return await client.post(path, content=body, headers=headers)
        except TimeoutError:
            msg = f"no answer within {self._timeout:g} s"
            raise UnknownOutcomeError(msg, reason="timeout") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            # httpx-aiohttp lets some of what a garbled answer raises through as it is.
            raise _transport_error(error) from None

    def _open(self) -> httpx.AsyncClient:
        # Made at the first request, inside the event loop that will use it.
        self._client = httpx.AsyncClient(
            base_url=self._base_url,
            transport=self._new_transport(),
            timeout=httpx.Timeout(self._timeout, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )
        return self._client


def _aiohttp_transport() -> httpx.AsyncBaseTransport:
    return AiohttpTransport(limits=httpx.Limits(max_connections=200, keepalive_expiry=_KEEPALIVE_SECONDS))


def _transport_error(error: Exception) -> UnreachableError | UnknownOutcomeError:
    """Whether the request can have reached Customer.io.

    httpx-aiohttp maps every broken connection to ``ConnectTimeout``, one that broke after the request went out too;
    aiohttp's own error below it tells them apart. What cannot be told counts as sent.
    """
    cause = error.__cause__
    before_sending = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) or (
        cause is None and isinstance(error, httpx.ConnectError | httpx.PoolTimeout)
    )
    name = type(cause or error).__name__
    if before_sending:
        return UnreachableError(f"no connection: {name}")
    return UnknownOutcomeError(f"connection failed after the request was sent: {name}", reason="no_answer")
