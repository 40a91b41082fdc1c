"""Request bodies within limits: of one body, and of all bodies that an instance holds at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import deadlines

# A Content-Length of more digits is no length.
_MAX_LENGTH_DIGITS = 18
# Bytes of a refused body that are read and thrown away.
_MAX_REFUSED_BYTES = 4 * 1024 * 1024

Read = Callable[[], Awaitable[bytes]]


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

    @asynccontextmanager
    async def holding(self, request: Request) -> AsyncIterator[Read]:
        """Count the body as held until the block ends; what is given reads it, once.

        Raises:
            BodyTooLargeError: if the body is longer than one may be; from the call to read, too.
            TooManyBytesError: if there is no room now; from the call to read, too.
            ClientDisconnect: if the caller hung up, from the call to read.
        """
        held = _announced(request)

        def hold(size: int) -> None:
            nonlocal held
            if size > self._max_body:
                raise BodyTooLargeError
            if self._held + size - held > self._max_total:
                raise TooManyBytesError
            self._held += size - held
            held = size

        async def read() -> bytes:
            chunks: list[bytes] = []
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
                if size > held:  # nothing was announced, or it was wrong
                    hold(size)
                chunks.append(chunk)
            return b"".join(chunks)

        announced, held = held, 0
        hold(announced)
        try:
            yield read
        finally:
            self._held -= held


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
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdecimal()):
        return 0
    return int(text[:_MAX_LENGTH_DIGITS]) if len(text) <= _MAX_LENGTH_DIGITS else 10**_MAX_LENGTH_DIGITS


async def _throw_away(receive: Receive) -> None:
    size = 0
    while size < _MAX_REFUSED_BYTES:
        message = await receive()
        if not message.get("more_body"):  # its end, or the caller's
            return
        size += len(message["body"])
