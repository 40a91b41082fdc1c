"""A Customer.io that takes 50 ms and costs almost nothing, in a process of its own: ``python -m bench.upstream PORT``.

It counts requests and answers ``GET /count`` with them. Written on the bare protocol, so that it is not what a run
measures.
"""

import asyncio
import sys
from typing import cast

import uvloop

_SECONDS = 0.05
_ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Upstream(asyncio.Protocol):
    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by inheritance
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._received[:head]).lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(self._received) < head + 4 + length:
                return
            del self._received[: head + 4 + length]
            if lines[0].startswith(b"get /count"):
                body = b"%d" % Upstream.requests
                self._answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            else:
                Upstream.requests += 1
                asyncio.get_running_loop().call_later(_SECONDS, self._answer, _ACCEPTED)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
