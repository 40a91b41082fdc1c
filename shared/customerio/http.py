"""One HTTP connection pool to one of Customer.io's hosts, with credentials, bounded in time, never redirected.

aiohttp alone: httpx on top of it cost a third of a send's CPU and a quarter of a cold start's imports.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Container
from itertools import product
from typing import Protocol

import aiohttp
from yarl import URL

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
from .responses import Answer, request_error

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
    """

    def __init__(self, base_url: str, credentials: Credentials, *, timeout: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._accepted_header = ""
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, *, deadline: float | None = None) -> Answer:
        """Read something and return the 2xx answer; deadline and errors are those of ``post``."""
        return await self._request("GET", path, None, deadline, request_error)

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        deadline: float | None = None,
        read: Callable[[Answer], CustomerIOError | None] = request_error,
    ) -> Answer:
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
        read: Callable[[Answer], CustomerIOError | None],
    ) -> Answer:
        refused: list[str] = []
        for is_refreshed in (False, True):
            if is_refreshed:
                await self._credentials.refresh()
            for header in await self._headers(refused):
                answer = await self._request_once(method, path, body, header, self._time_left(deadline))
                if answer.status != 401:
                    return self._judged(answer, header, read)
                refused.append(header)
        raise CredentialsRefusedError(
            "Customer.io refused every enabled version of the credentials: add a version that is right", status=401
        )

    async def close(self) -> None:
        """Close the pool's connections."""
        if self._session is not None:
            await self._session.close()

    async def _headers(self, refused: Container[str]) -> list[str]:
        """Headers to try, the one that worked last before all others."""
        try:
            headers = await self._credentials.headers()
        except SecretUnavailableError as error:
            raise CredentialsUnavailableError(str(error)) from None
        untried = [header for header in headers[:_MAX_CREDENTIALS] if header not in refused]
        return sorted(untried, key=lambda header: header != self._accepted_header)

    def _judged(self, answer: Answer, header: str, read: Callable[[Answer], CustomerIOError | None]) -> Answer:
        if error := read(answer):
            raise error
        self._accepted_header = header
        return answer

    def _time_left(self, deadline: float | None) -> float:
        if deadline is None:
            return self._timeout
        left = deadline - asyncio.get_running_loop().time()
        if left < MIN_REQUEST_SECONDS:
            raise DeadlineExceededError("no time was left for a request before the push's deadline")
        return min(self._timeout, left)

    async def _request_once(self, method: str, path: str, body: bytes | None, header: str, seconds: float) -> Answer:
        session = self._session or self._open()
        # A connect ends well before the request's time is up: otherwise it would look like a request without an answer.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_SECONDS, seconds / 2))
        try:
            async with (
                asyncio.timeout(seconds),
                session.request(
                    method,
                    URL(self._base_url + path, encoded=True),
                    data=body,
                    headers={"Authorization": header, "Content-Type": "application/json"},
                    allow_redirects=False,
                    timeout=timeout,
                ) as response,
            ):
                return Answer(response.status, await response.read(), response.headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UnreachableError(f"no connection: {type(error).__name__}") from None
        except TimeoutError:
            raise UnknownOutcomeError(f"no answer within {seconds:.3g} s", reason="timeout") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: some of what a garbled answer raises
            raise _lost_answer(error) from None

    def _open(self) -> aiohttp.ClientSession:
        # Made at the first request, inside the event loop that will use it.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


def _lost_answer(error: Exception) -> UnknownOutcomeError:
    """The error for a request that may have reached Customer.io."""
    message = f"connection failed after the request was sent: {type(error).__name__}"
    return UnknownOutcomeError(message, reason="no_answer")
