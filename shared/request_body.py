"""Request bodies within limits: of one body, and of all bodies that an instance holds at once."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import deadlines

# A Content-Length of more digits is no length.
_MAX_LENGTH_DIGITS = 18
# Bytes of a refused body that are read and thrown away.
_MAX_REFUSED_BYTES = 4 * 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is longer than one may be. The rest of it is left unread."""


class TooManyBytesError(Exception):
    """The bodies under way leave no room for this one now."""


class BodyBudget:
    """Bounds the bytes of bodies that an instance holds, so that its memory stays bounded, too.

    Args:
        max_body: Bytes of one body.
        max_total: Bytes of all bodies under way.
    """

    def __init__(self, *, max_body: int, max_total: int) -> None:
        self._max_body = max_body
        self._max_total = max_total
        self._held = 0

    def holding(self, request: Request) -> "HeldBody":
        """The body of a request, which counts as held inside the ``with`` block, by the length that was announced."""
        return HeldBody(self, request)

    def hold(self, size: int, held: int) -> int:
        """Count a body of ``size`` bytes, of which ``held`` are counted already, and return its size.

        Raises:
            BodyTooLargeError: if the body is longer than one may be.
            TooManyBytesError: if there is no room now.
        """
        if size > self._max_body:
            raise BodyTooLargeError
        if self._held + size - held > self._max_total:
            raise TooManyBytesError
        self._held += size - held
        return size

    def let_go(self, size: int) -> None:
        """Count ``size`` bytes no longer."""
        self._held -= size


class HeldBody:
    """One body, read within the limits of a budget."""

    def __init__(self, budget: BodyBudget, request: Request) -> None:
        self._budget = budget
        self._request = request
        self._held = 0

    def __enter__(self) -> Self:
        """Make room for the announced length.

        Raises:
            BodyTooLargeError: if the body is longer than one may be.
            TooManyBytesError: if there is no room now.
        """
        self._held = self._budget.hold(_announced(self._request), 0)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._budget.let_go(self._held)

    async def read(self) -> bytes:
        """Read the body, once.

        Raises:
            BodyTooLargeError: if the body is longer than one may be. The rest of it is left unread.
            TooManyBytesError: if the body is longer than was announced, and there is no room for that now.
            ClientDisconnect: if the caller hung up.
        """
        chunks: list[bytes] = []
        size, receive = 0, self._request.receive
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._held:  # nothing was announced, or it was wrong
                self._held = self._budget.hold(size, self._held)
            chunks.append(chunk)
            if not message.get("more_body"):
                return chunk if len(chunks) == 1 else b"".join(chunks)


class TooLarge(Response):
    """413, then the end of the connection.

    A connection that is closed on a caller in the middle of its body is reset, and most callers then report that and
    not the 413. So some of what still comes is thrown away first: 4 MiB or one second of it, and no more.
    """

    def __init__(self) -> None:
        super().__init__(status_code=413, headers={"Connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with asyncio.timeout(deadlines.REFUSED_BODY_SECONDS):
                await _throw_away(receive)
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})


def _announced(request: Request) -> int:
    """Content-Length, 0 where there is none that can be read."""
    text = next((value for name, value in request.scope["headers"] if name == b"content-length"), b"")
    if not text.isdigit():
        return 0
    return int(text[:_MAX_LENGTH_DIGITS]) if len(text) <= _MAX_LENGTH_DIGITS else 10**_MAX_LENGTH_DIGITS


async def _throw_away(receive: Receive) -> None:
    size = 0
    while size < _MAX_REFUSED_BYTES:
        message = await receive()
        if not message.get("more_body"):  # its end, or the caller's
            return
        size += len(message["body"])
