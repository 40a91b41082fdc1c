"""Runs Python blocks of a page in this process, with a Pub/Sub client that records, and prints what each published.

Reads a JSON list of blocks from standard input. A block may use a ``publisher`` that it did not make.
"""

import json
import sys
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import shared

# The name that an installed application imports. A test of the wheel itself is in tests/wheel.
sys.modules["customerio_jobs"] = shared

import shared.testing  # noqa: E402
from shared.publisher import Publisher, ordered_publisher  # noqa: E402

sys.modules["customerio_jobs.testing"] = shared.testing
messages: list[dict[str, Any]] = []


class RecordingClient:
    transport = SimpleNamespace(close=lambda: None)

    def __init__(self, **_: object) -> None:
        pass

    def publish(self, topic: str, data: bytes, ordering_key: str = "", **attributes: str) -> Future[str]:
        name = topic.rpartition("/topics/")[2]
        messages.append({"topic": name, "data": data.decode(), "ordering_key": ordering_key, "attributes": attributes})
        future: Future[str] = Future()
        future.set_result(str(len(messages)))
        return future

    def stop(self) -> None:
        pass


ordered_publisher.PublisherClient = cast("Any", RecordingClient)
told = []
for block in json.load(sys.stdin):
    messages.clear()
    exec(compile(block, "block", "exec"), {"__name__": "__main__", "publisher": Publisher("my-project")})
    told.append(messages.copy())
print(json.dumps(told))
