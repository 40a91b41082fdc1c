"""Pushes as Pub/Sub makes them, as many at once as asked: ``python -m bench.load PORT CONCURRENT JOBS KIND``.

Prints one JSON line: jobs, seconds, answers by status, and the latencies' median and 99th percentile in milliseconds.
Each connection carries one push at a time and is kept open. Written on the bare protocol: it shares two cores with
what it measures.
"""

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

import uvloop


def bodies(count: int, kind: str) -> Iterator[bytes]:
    """``count`` jobs for the topic of ``kind``, about 300 bytes each, each about another person."""
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
    """One connection: sends a push when the one before was answered."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._received = bytearray()
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by inheritance
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        lines = bytes(self._received[:head]).lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(self._received) < head + 4 + length:
            return
        self._received.clear()
        self._run.answered(int(lines[0].split()[1]), time.perf_counter() - self._sent_at)
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
