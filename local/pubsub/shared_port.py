"""One TCP port for gRPC and REST, as Google's emulator has it.

gRPC cannot serve a connection that somebody else accepted. So this port accepts every connection and looks at its first
bytes: an HTTP/1.1 connection goes to aiohttp, in this process and without a copy; a gRPC connection is relayed to the
Unix socket on which gRPC listens.
"""

import asyncio
from typing import cast

from aiohttp import web

# A gRPC client begins its connection with the HTTP/2 preface (RFC 9113, 3.4).
_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_BACKLOG = 1024


class SharedPort:
    """Accepts connections, and passes each to REST or gRPC.

    Args:
        rest: The aiohttp server of the REST surface.
        grpc_socket: The path of the Unix socket on which gRPC listens.
    """

    def __init__(self, *, rest: web.Server, grpc_socket: str) -> None:
        self.rest = rest
        self.grpc_socket = grpc_socket
        self.transports: set[asyncio.BaseTransport] = set()
        self.connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: The address to listen on.
            port: The port to listen on; 0 takes a free one.

        Raises:
            OSError: if the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _NewConnection(self), host, port, backlog=_BACKLOG)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop_accepting(self) -> None:
        """Accept no more connections. Open ones go on."""
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        """Close all gRPC connections, and those that have sent nothing yet. aiohttp closes its own."""
        self.stop_accepting()
        for task in self.connecting:
            task.cancel()
        for transport in self.transports:
            cast("asyncio.Transport", transport).abort()


class _NewConnection(asyncio.Protocol):
    """A connection whose protocol is not known yet."""

    def __init__(self, port: SharedPort) -> None:
        self._port = port
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._port.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it has no request to answer
        self._port.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.startswith(_HTTP2_PREFACE):
            self._transport.pause_reading()
            task = asyncio.get_running_loop().create_task(self._relay_to_grpc())
            self._port.connecting.add(task)
            task.add_done_callback(self._port.connecting.discard)
        elif not _HTTP2_PREFACE.startswith(self._received):
            self._pass_to_rest()

    def _pass_to_rest(self) -> None:
        self._port.transports.discard(self._transport)
        protocol = self._port.rest()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._received)

    async def _relay_to_grpc(self) -> None:
        client = self._transport
        try:
            server, _ = await asyncio.get_running_loop().create_unix_connection(
                lambda: _Relay(client, self._port), self._port.grpc_socket
            )
        except OSError:  # gRPC is stopping
            client.abort()
            return
        client.set_protocol(_Relay(server, self._port, own=client))
        server.write(self._received)
        client.resume_reading()


class _Relay(asyncio.Protocol):
    """One end of a relayed connection: writes what it receives to the other end.

    Args:
        other: The transport of the other end.
        port: The port, which closes the transports that are open when it closes.
        own: The transport of this end, if it is connected already.
    """

    def __init__(self, other: asyncio.Transport, port: SharedPort, *, own: asyncio.Transport | None = None) -> None:
        self._other = other
        self._port = port
        self._own: asyncio.BaseTransport | None = own

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own = transport
        self._port.transports.add(transport)

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        """Stop reading from the other end while this end takes no more."""
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the other end learns it the same way
        if self._own is not None:
            self._port.transports.discard(self._own)
        self._other.close()
