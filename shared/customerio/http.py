"""One HTTP connection pool to one of Customer.io's hosts, with credentials, bounded in time, never redirected.

httpx with aiohttp below it (``httpx-aiohttp``): httpx's own pool is quadratic in open connections, and httpcore's
HTTP/2 breaks after 1,000 requests on a connection (httpcore#1054).
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Container
from itertools import product
from typing import Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ..deadlines import CONNECT_SECONDS, KEEPALIVE_SECONDS, MIN_REQUEST_SECONDS
from ..secrets import Secret, SecretUnavailableError
from .errors import (
    CredentialsRefusedError,
    CredentialsUnavailableError,
    CustomerIOError,
    DeadlineExceededError,
    UnknownOutcomeError,
    UnreachableError,
)
from .responses import request_error

# Each refused version costs a request. During a rotation two are enabled, of the site id perhaps too.
_MAX_CREDENTIALS = 5

_MAX_CONNECTIONS = 200


class Credentials(Protocol):
    """Makes Authorization headers."""

    async def headers(self) -> tuple[str, ...]:
        """One header per enabled version of the secrets, newest first.

        Raises:
            SecretUnavailableError: if no version can be read.
        """

    async def refresh(self) -> None:
        """Read the secrets anew at the next call of ``headers``."""


class BasicCredentials:
    """Credentials of the Track API: the workspace's site id and API key."""

    def __init__(self, site_id: Secret, api_key: Secret) -> None:
        self._site_id = site_id
        self._api_key = api_key

    async def headers(self) -> tuple[str, ...]:
        pairs = product(await self._site_id.values(), await self._api_key.values())
        return tuple("Basic " + b64encode(f"{site_id}:{key}".encode()).decode() for site_id, key in pairs)

    async def refresh(self) -> None:
        await self._site_id.refresh()
        await self._api_key.refresh()


class BearerCredentials:
    """Credentials of the App API: an App API key."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    async def headers(self) -> tuple[str, ...]:
        return tuple(f"Bearer {value}" for value in await self._key.values())

    async def refresh(self) -> None:
        await self._key.refresh()


class Connection:
    """Posts JSON to one host, and reads from it.

    Args:
        base_url: Scheme and host, e.g. ``https://track.customer.io``.
        credentials: Asked before each request.
        timeout: Seconds that one request may take as a whole.
        transport: Makes the HTTP stack below; aiohttp's if None.
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
        self._accepted_header = ""
        self._timeout = timeout
        self._new_transport = transport or _aiohttp_transport
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str, *, deadline: float | None = None) -> httpx.Response:
        """Read something and return the 2xx answer; deadline and errors are those of ``post``."""
        return await self._request("GET", path, None, deadline, request_error)

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        deadline: float | None = None,
        read: Callable[[httpx.Response], CustomerIOError | None] = request_error,
    ) -> httpx.Response:
        """Send one request and return its 2xx answer.

        After a 401 the request is repeated with each other enabled version of the credentials, and with those that
        reading them anew brings: nothing was accepted, so nothing is done twice.

        Args:
            path: Path below the host.
            body: Request body, JSON.
            deadline: Latest moment for the answer, in seconds of ``time.monotonic()``. No request is started with less
                than ``MIN_REQUEST_SECONDS`` left.
            read: Reads an answer's status and body into the error that it stands for.

        Raises:
            CustomerIOError: if it was not accepted; the class says whether it can have been.
        """
        return await self._request("POST", path, body, deadline, read)

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        deadline: float | None,
        read: Callable[[httpx.Response], CustomerIOError | None],
    ) -> httpx.Response:
        refused: list[str] = []
        for is_refreshed in (False, True):
            if is_refreshed:
                await self._credentials.refresh()
            for header in await self._headers(refused):
                response = await self._request_once(method, path, body, header, self._time_left(deadline))
                if response.status_code != 401:
                    return self._judged(response, header, read)
                refused.append(header)
        raise CredentialsRefusedError(
            "Customer.io refused every enabled version of the credentials: add a version that is right", status=401
        )

    async def close(self) -> None:
        """Close the pool's connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _headers(self, refused: Container[str]) -> list[str]:
        """Headers to try, the one that worked last before all others."""
        try:
            headers = await self._credentials.headers()
        except SecretUnavailableError as error:
            raise CredentialsUnavailableError(str(error)) from None
        untried = [header for header in headers[:_MAX_CREDENTIALS] if header not in refused]
        return sorted(untried, key=lambda header: header != self._accepted_header)

    def _judged(
        self, response: httpx.Response, header: str, read: Callable[[httpx.Response], CustomerIOError | None]
    ) -> httpx.Response:
        if error := read(response):
            raise error
        self._accepted_header = header
        return response

    def _time_left(self, deadline: float | None) -> float:
        if deadline is None:
            return self._timeout
        left = deadline - asyncio.get_running_loop().time()
        if left < MIN_REQUEST_SECONDS:
            raise DeadlineExceededError("no time was left for a request before the push's deadline")
        return min(self._timeout, left)

    async def _request_once(
        self, method: str, path: str, body: bytes | None, header: str, seconds: float
    ) -> httpx.Response:
        client = self._client or self._open()
        # A connect ends well before the request's time is up: otherwise it would look like a request without an answer.
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds / 2))
        try:
            async with asyncio.timeout(seconds):
                return await client.request(
                    method,
                    path,
                    content=body,
                    headers={"Authorization": header, "Content-Type": "application/json"},
                    timeout=timeout,
                )
        except TimeoutError:
            raise UnknownOutcomeError(f"no answer within {seconds:.3g} s", reason="timeout") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            # httpx-aiohttp lets some of what a garbled answer raises through as it is.
            raise _transport_error(error) from None

    def _open(self) -> httpx.AsyncClient:
        # Made at the first request, inside the event loop that will use it.
        self._client = httpx.AsyncClient(
            base_url=self._base_url, transport=self._new_transport(), follow_redirects=False, trust_env=False
        )
        return self._client


def _aiohttp_transport() -> httpx.AsyncBaseTransport:
    return AiohttpTransport(limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS))


def _transport_error(error: Exception) -> UnreachableError | UnknownOutcomeError:
    """Tell whether the request can have reached Customer.io; what cannot be told counts as sent.

    httpx-aiohttp maps every broken connection to ``ConnectTimeout``, one that broke after the request went out too;
    aiohttp's own error below it tells them apart.
    """
    cause = error.__cause__
    before_sending = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) or (
        cause is None and isinstance(error, httpx.ConnectError | httpx.PoolTimeout)
    )
    name = type(cause or error).__name__
    if before_sending:
        return UnreachableError(f"no connection: {name}")
    return UnknownOutcomeError(f"connection failed after the request was sent: {name}", reason="no_answer")
