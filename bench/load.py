"""Load generator that pushes as Pub/Sub does: ``python -m bench.load PORT CONCURRENT FIRST JOBS KIND``.

Prints one JSON line: jobs, seconds, number of answers by status, median and 99th percentile of the latency in
milliseconds. Each connection is kept open and carries one push at a time. Uses only httptools and uvloop, because it
shares two cores with what it measures.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import cast

import httptools
import uvloop

from bench.jobs import requests


class Pusher(asyncio.Protocol):
    """One connection, which sends a push once the one before is answered."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's transports do not inherit from it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._run.answered(self._parser.get_status_code(), time.perf_counter() - self._sent_at)
        self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.lost()

    def _send(self) -> None:
        request = self._run.next_request()
        if request is None:
            self._transport.close()
        else:
            self._sent_at = time.perf_counter()
            self._transport.write(request)


class Run:
    """All pushes of one run, and what became of them."""

    def __init__(self, pushes: list[bytes], concurrent: int) -> None:
        self._pushes = iter(pushes)
        self._open = concurrent
        self.answers: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes | None:
        return next(self._pushes, None)

    def answered(self, status: int, seconds: float) -> None:
        self.answers[status] += 1
        self.latencies.append(seconds)

    def lost(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.finished.set_result(None)


async def main(port: int, concurrent: int, first: int, jobs: int, kind: str) -> None:
    run = Run(list(requests(kind, first, jobs)), concurrent)
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(lambda: Pusher(run), "127.0.0.1", port) for _ in range(concurrent)))
    await run.finished
    seconds = time.perf_counter() - started
    ordered = sorted(run.latencies)
    print(
        json.dumps(
            {
                "jobs": len(ordered),
                "seconds": seconds,
                "answers": dict(run.answers),
                "p50_ms": ordered[len(ordered) // 2] * 1000,
                "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    port, concurrent, first, jobs = (int(argument) for argument in sys.argv[1:5])
    uvloop.run(main(port, concurrent, first, jobs, sys.argv[5]))
