"""HTTP/1.1 to one push endpoint.

A client of its own, because the pushes are the broker's hot path: aiohttp's session took 145 µs of CPU for each, this
takes a third of that and no task per push. It needs nothing of a response but its status and where it ends.
"""

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

type Answered = Callable[[int | None], None]
"""Told once how a request ended: the status, or None for no connection, a timeout, or anything that is not HTTP."""

_IDLE_SECONDS = 1.5
"""An idle connection is not used after this: gunicorn closes it at 2 s, uvicorn at 5; a request sent then is lost."""

_MAX_HEAD_BYTES = 65_536
_MAX_BODY_BYTES = 65_536
_NO_BODY = frozenset({204, 304})
_PROCESSING = 102
_FIRST_FINAL = 200


class Endpoint:
    """Keep-alive connections to one URL, as many as there are requests at a time.

    Args:
        url: http or https.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
            "Content-Type: application/json\r\nUser-Agent: CloudPubSub-Google\r\nContent-Length: "
        ).encode()
        self._connections: set[_Connection] = set()
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._idle: dict[_Connection, None] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._retired = False

    def post(self, body: bytes, *, timeout: float, answered: Answered) -> None:
        """Send one request. ``answered`` is called later, never from inside this call.

        Args:
            body: JSON.
            timeout: seconds for all of it, the connection included.
            answered: told how it ended.
        """
        loop = asyncio.get_running_loop()
        request = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        deadline = loop.time() + timeout
        connection = self._idle_connection(loop.time())
        if connection is not None:
            connection.send(request, deadline, answered)
            return
        task = loop.create_task(self._connect(request, deadline, answered))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def retire(self) -> None:
        """Let what is under way end, then close."""
        self._retired = True
        for connection in list(self._idle):
            connection.close()

    async def abort(self) -> None:
        """Close everything now; nothing under way is answered."""
        self._retired = True
        tasks = list(self._connecting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._connections):
            connection.abandon()
        await self._all_closed.wait()

    def opened(self, connection: "_Connection") -> None:
        self._connections.add(connection)
        self._all_closed.clear()

    def lost(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        self._idle.pop(connection, None)
        if not self._connections:
            self._all_closed.set()

    def free(self, connection: "_Connection") -> None:
        """The connection has had its answer and can take another request."""
        if self._retired:
            connection.close()
        else:
            self._idle[connection] = None

    def _idle_connection(self, now: float) -> "_Connection | None":
        while self._idle:
            connection, _ = self._idle.popitem()
            if now - connection.idle_since <= _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self, request: bytes, deadline: float, answered: Answered) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), self._host, self._port, ssl=self._tls
                )
        except (OSError, ValueError):  # refused, unknown host, the timeout, TLS; a host no resolver can encode
            answered(None)
        else:
            connection.send(request, deadline, answered)


class _Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.idle_since = 0.0
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answered: Answered | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._status: int | None = None
        self._unread = 0
        self._reusable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._endpoint.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any end without an answer is the same
        self._transport = None
        self._endpoint.lost(self)
        self._end(None)

    def send(self, request: bytes, deadline: float, answered: Answered) -> None:
        if self._transport is None:  # lost between connecting and sending
            self._loop.call_soon(answered, None)
            return
        self._answered = answered
        self._timer = self._loop.call_at(deadline, self._timed_out)
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abandon(self) -> None:
        self._answered = None
        self._end(None)
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answered is None:  # nobody asked: not a server to keep talking to
            self.close()
        elif self._status is None:
            self._buffer += data
            self._read_head()
        else:
            self._read_body(len(data))

    def _read_head(self) -> None:
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2].lower()
            rest = len(self._buffer) - end - 4
            status = _status(head)
            if status is None or status == _PROCESSING:
                # Pub/Sub takes 102 for an ack; HTTP has another answer follow, which nobody waits for.
                self._finish(status, reusable=False)
                return
            if status >= _FIRST_FINAL:  # below it is an interim answer, and the real one follows
                self._buffer = b""
                self._expect_body(status, head)
                self._read_body(rest)
                return
            self._buffer = self._buffer[end + 4 :]
        if len(self._buffer) > _MAX_HEAD_BYTES:
            self._finish(None, reusable=False)

    def _expect_body(self, status: int, head: bytes) -> None:
        self._status = status
        length = 0 if status in _NO_BODY else _content_length(head)
        # Without a length the body ends with its chunks or the connection: its status is known, so close, not read on.
        self._reusable = length is not None and length <= _MAX_BODY_BYTES and not _closes(head)
        self._unread = length if self._reusable and length is not None else 0

    def _read_body(self, size: int) -> None:
        self._unread -= size
        if self._unread <= 0:
            self._finish(self._status, reusable=self._reusable and self._unread == 0)

    def _finish(self, status: int | None, *, reusable: bool) -> None:
        self._buffer = b""
        self._status = None
        if reusable:
            self.idle_since = self._loop.time()
            self._endpoint.free(self)
        else:
            self.close()
        self._end(status)

    def _timed_out(self) -> None:
        self._end(None)
        if self._transport is not None:
            self._transport.abort()

    def _end(self, status: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answered is not None:
            answered, self._answered = self._answered, None
            answered(status)


def _status(head: bytes) -> int | None:
    digits = head[9:12]
    return int(digits) if head.startswith(b"http/1.") and digits.isdigit() and head[8:9] == b" " else None


def _content_length(head: bytes) -> int | None:
    value = _header(head, b"content-length")
    return int(value) if value.isdigit() and not _header(head, b"transfer-encoding") else None


def _closes(head: bytes) -> bool:
    return head.startswith(b"http/1.0") or b"close" in _header(head, b"connection")


def _header(lower_case_head: bytes, name: bytes) -> bytes:
    """The value of the header's first line; empty without one."""
    start = lower_case_head.find(b"\r\n%b:" % name)
    if start < 0:
        return b""
    start += len(name) + 3
    return lower_case_head[start : lower_case_head.find(b"\r\n", start)].strip()
