"""Load generator that pushes as Pub/Sub does: ``python -m bench.load PORT CONCURRENT JOBS KIND``.

Prints one JSON line: jobs, seconds, number of answers by status, median and 99th percentile of the latency in
milliseconds. Each connection is kept open and carries one push at a time. Uses only httptools and uvloop, because it
shares two cores with what it measures.
"""

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

import httptools
import uvloop


def bodies(count: int, kind: str) -> Iterator[bytes]:
    """Yield the push bodies of ``count`` jobs of one kind, about 300 bytes each, each about another person."""
    for number in range(count):
        person = f"user-{number}"
        attributes = {"plan": "pro", "logins": number, "city": "Zürich", "note": "n" * 120}
        job: dict[str, object] = {"type": "person", "identifiers": {"id": person}, "attributes": attributes}
        job |= {"action": "event", "name": "order_placed"} if kind == "track" else {"action": "identify"}
        yield json.dumps(
            {
                "message": {
                    "data": base64.b64encode(json.dumps(job).encode()).decode(),
                    "attributes": {"job_id": f"01J{number:023d}"},
                    "messageId": str(number),
                    "publishTime": "2026-01-01T00:00:00.000Z",
                },
                "subscription": "projects/p/subscriptions/s",
                "deliveryAttempt": 1,
            }
        ).encode()


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
    def __init__(self, jobs: int, concurrent: int, kind: str) -> None:
        head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        self._requests = iter([head % (len(body), body) for body in bodies(jobs, kind)])
        self._open = concurrent
        self.answers: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes | None:
        return next(self._requests, None)

    def answered(self, status: int, seconds: float) -> None:
        self.answers[status] += 1
        self.latencies.append(seconds)

    def lost(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.finished.set_result(None)


async def main(port: int, concurrent: int, jobs: int, kind: str) -> None:
    run = Run(jobs, concurrent, kind)
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
    port, concurrent, jobs = (int(argument) for argument in sys.argv[1:4])
    uvloop.run(main(port, concurrent, jobs, sys.argv[4]))
