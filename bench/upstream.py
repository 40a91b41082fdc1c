"""A Customer.io and a BigQuery that take 50 ms and cost little CPU, in one process: ``python -m bench.upstream PORT``.

Counts its requests, and answers ``GET /count`` with the number. Uses only httptools and uvloop, so that a run does not
measure it.
"""

import asyncio
import sys
from typing import cast

import httptools
import uvloop

ANSWER_SECONDS = 0.05
# One answer for all: that of a batch, of a send, of a broadcast and of its progress, of an insert of rows.
_BODY = b'{"delivery_id":"RPILAgUBcRhIBqSf","id":7,"processed_at":1767225600,"errors":[]}'
_ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class Upstream(asyncio.Protocol):
    """One connection."""

    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's transports do not inherit from it
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        if self._path == b"/count":
            body = b"%d" % Upstream.requests
            self._answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        else:
            Upstream.requests += 1
            asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._answer, _ACCEPTED)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
