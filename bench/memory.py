"""Memory of the functions under the largest jobs: ``python -m bench.memory``.

Eight sends of 3 MB at once to one process, forty identify jobs of 256 KB at once to another, as the largest bursts that
512 MiB have to hold. An innocent job is pushed again and again meanwhile. Ends with 1 if the process grew past 512 MiB
or an innocent push took 300 ms.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.processes import create_topics, process, tree
from bench.subjects import ROOT
from local.stack.ports import free_ports

_MAX_MB = 512
_MAX_INNOCENT_SECONDS = 0.3
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Burst:
    """Large jobs of one function, all pushed at once, and the small one that is pushed meanwhile."""

    function: str
    count: int
    large: Callable[[int], bytes]
    small: Callable[[int], bytes]


def _push(data: bytes, number: int) -> bytes:
    message = {
        "data": base64.b64encode(data).decode(),
        "attributes": {"job_id": f"job-{number}"},
        "messageId": str(number),
        "publishTime": "2026-01-01T00:00:00Z",
    }
    return json.dumps({"message": message, "subscription": "s", "deliveryAttempt": 1}).encode()


def _large_send(number: int) -> bytes:
    """A letter with 1.9 MB of attachments and half a megabyte of data that is dense: 3 MB in all."""
    attachments = {"statement.pdf": base64.b64encode(os.urandom(1_900_000)).decode()}
    lines = [{"sku": f"a-{n}", "n": n, "price": 1.5} for n in range(9_000)]
    job = {"to": "ada@example.com", "identifiers": {"id": str(number)}, "transactional_message_id": 7}
    return json.dumps({**job, "attachments": attachments, "message_data": {"lines": lines}}).encode()


def _large_identify(number: int) -> bytes:
    """256 KB, most of it as dense as is allowed. It exceeds Customer.io's 32 KB, which only parsing can tell."""
    job = json.dumps({"identifiers": {"id": str(number)}, "attributes": {"x": [[]] * 19_000, "y": "x" * 180_000}})
    return job.encode()


def _small_send(number: int) -> bytes:
    return json.dumps({"to": "a@b.c", "identifiers": {"id": str(number)}, "transactional_message_id": 7}).encode()


def _small_identify(number: int) -> bytes:
    return json.dumps({"identifiers": {"id": str(number)}, "attributes": {"plan": "pro"}}).encode()


BURSTS = [
    Burst("send", 8, _large_send, _small_send),
    Burst("identify", 40, _large_identify, _small_identify),
]


async def _post(port: int, body: bytes) -> tuple[int, float]:
    """Push once over a connection of its own; return the status, or 0 without one, and the seconds."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    line = await reader.readline()
    writer.close()
    return int(line.split()[1]) if line else 0, time.perf_counter() - started


async def _pushed(port: int, burst: Burst) -> tuple[Counter[int], list[float]]:
    """Push the burst a few times, an innocent job all the while."""
    statuses: Counter[int] = Counter()
    innocent: list[float] = []
    number = 0
    for _ in range(_ROUNDS):
        bodies = []
        for _ in range(burst.count):
            number += 1
            bodies.append(_push(burst.large(number), number))
        large = asyncio.gather(*(_post(port, body) for body in bodies))
        while not large.done():
            number += 1
            status, seconds = await _post(port, _push(burst.small(number), number))
            innocent.append(seconds)
            assert status == 204, status
            await asyncio.sleep(0.01)
        statuses.update(status for status, _ in await large)
    return statuses, innocent


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def measure(burst: Burst, upstream_port: int, dead_letters: str, directory: Path) -> bool:
    """Print one line of figures, and return whether they are as they should be."""
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GOOGLE_CLOUD_PROJECT": "bench",
        "PUBSUB_EMULATOR_HOST": dead_letters,
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_TRACK_URL": f"http://127.0.0.1:{upstream_port}",
        "CUSTOMERIO_APP_URL": f"http://127.0.0.1:{upstream_port}",
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "key",
        "CUSTOMERIO_APP_API_KEY": "key",
        "DEAD_LETTER_TOPIC": f"projects/bench/topics/cio-{burst.function}-dead-letter",
        "LEDGER": f"sqlite:{directory / 'ledger.sqlite'}",
        "FUNCTION_TARGET": burst.function,
        "FUNCTION_SOURCE": str(ROOT / "functions" / burst.function / "main.py"),
    }
    application = ["uvicorn", "--factory", "functions_framework.aio:create_asgi_app", "--no-access-log"]
    command = [sys.executable, "-m", *application, "--host", "127.0.0.1", "--port", str(port)]
    with process(command, port, environment, directory / f"{burst.function}.log") as server:
        asyncio.run(_post(port, _push(burst.small(0), 0)))  # imports and connections are there
        statuses, innocent = asyncio.run(_pushed(port, burst))
        peak = max(_peak_mb(each.pid) for each in tree(server))
    size = len(burst.large(1))
    print(
        f"{burst.function}: {burst.count} x {size:,} bytes at once, {_ROUNDS} times: peak {peak:.0f} MiB; answers "
        f"{dict(statuses)}; {len(innocent)} innocent pushes, slowest {max(innocent) * 1000:.0f} ms",
        flush=True,
    )
    return peak < _MAX_MB and max(innocent) < _MAX_INNOCENT_SECONDS


def main() -> int:
    """Measure every burst beside an upstream and a Pub/Sub, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        upstream_port, pubsub_port, admin_port = free_ports(3)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        upstream = [sys.executable, "-m", "bench.upstream", str(upstream_port)]
        ports = ["--port", str(pubsub_port), "--admin-port", str(admin_port)]
        pubsub = [sys.executable, "-m", "local.pubsub", "--host", "127.0.0.1", *ports, "--time-scale", "1"]
        with (
            process(upstream, upstream_port, environment, directory / "upstream.log"),
            process(pubsub, admin_port, environment, directory / "pubsub.log"),
        ):
            host = f"127.0.0.1:{pubsub_port}"
            create_topics(host, [f"projects/bench/topics/cio-{burst.function}-dead-letter" for burst in BURSTS])
            is_right = [measure(burst, upstream_port, host, directory) for burst in BURSTS]
    return 0 if all(is_right) else 1


if __name__ == "__main__":
    sys.exit(main())
