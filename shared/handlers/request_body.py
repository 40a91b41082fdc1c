"""Request bodies of a limited length: read up to the limit, and refused in a way that the caller gets to see."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import deadlines

_LENGTH_DIGITS = 18  # of a Content-Length that is worth reading as a number
_LINGER_BYTES = 4 * 1024 * 1024


async def read_body(request: Request, limit: int) -> bytes | None:
    """The body, or None where it is longer than ``limit`` bytes; then the rest of it is left unread.

    Raises:
        ClientDisconnect: the caller hung up.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > _LENGTH_DIGITS or int(announced) > limit):
        return None
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


class TooLarge(Response):
    """413, then the end of the connection.

    A connection that is closed on a caller in the middle of its body is reset, and most callers then report that and
    not the 413. So some of what still comes is thrown away first, 4 MiB or one second of it, and no more.
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


async def _throw_away(receive: Receive) -> None:
    size = 0
    while size < _LINGER_BYTES:
        message = await receive()
        if not message.get("more_body"):  # its end, or the caller's
            return
        size += len(message["body"])
