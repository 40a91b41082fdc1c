"""What the tests of handlers share: pushes as Pub/Sub sends them, and functions that take them within this process."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from shared.attributes import republished
from shared.ledger import SQLiteLedger
from shared.lifetime import Lifetime
from shared.outcome import Failed
from shared.pubsub.message import PushMessage, read_push
from shared.pubsub.push import PushEndpoint
from shared.topology import BULK_SUFFIX, RETRY_SUFFIX
from tests.customerio.conftest import Upstream
from tests.ledger.ledger_helpers import Clock
from tests.webhook.conftest import FakePubSub

PROJECT = "demo-project"
PUBLISHED = "2026-05-01T12:00:00.123Z"
PUBLISHED_SECONDS = 1_777_636_800
CANARY = "canary-5f2b"
ADDRESS = f"{CANARY}@example.com"
_SUFFIXES = {"retry": RETRY_SUFFIX, "bulk": BULK_SUFFIX}


@dataclass(frozen=True)
class Push:
    """One push; ``data`` is JSON unless it is bytes."""

    data: object
    attributes: Mapping[str, str] = field(default_factory=dict)
    attempt: int | None = 1
    published: str = PUBLISHED
    message_id: str = "1"
    ordering_key: str = ""
    lane: str = "main"

    def body(self) -> bytes:
        data = self.data if isinstance(self.data, bytes) else json.dumps(self.data).encode()
        message = {
            "data": base64.b64encode(data).decode(),
            "attributes": dict(self.attributes),
            "messageId": self.message_id,
            "publishTime": self.published,
            "orderingKey": self.ordering_key,
        }
        push = {
            "message": message,
            "subscription": f"projects/p/subscriptions/cio-x{_SUFFIXES.get(self.lane, '')}",
            "deliveryAttempt": self.attempt,
        }
        return json.dumps(push).encode()

    def in_retry_lane(self, attempt: int = 1) -> "Push":
        """The same job as the retry lane delivers it, after the function moved it there."""
        message = read_push(self.body())
        return replace(
            self,
            attributes=republished(message.attributes, message.origin),
            attempt=attempt,
            published="2026-05-01T13:00:00.9Z",
            message_id="another",
            lane="retry",
        )


class Function:
    """A function's endpoint behind an HTTP client."""

    def __init__(self, endpoint: PushEndpoint) -> None:
        self.endpoint = endpoint
        app = Starlette(routes=[Route("/", endpoint.__call__, methods=["POST"])])
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function")

    async def push(self, push: Push) -> int:
        return await self.post(push.body())

    async def post(self, body: bytes) -> int:
        status = (await self._client.post("/", content=body)).status_code
        await asyncio.sleep(0)  # log lines of one turn of the loop are written in the next
        return status


@dataclass(frozen=True)
class Around:
    """What is around a function: what it calls, writes to and remembers in."""

    upstream: Upstream
    pubsub: FakePubSub
    ledger: SQLiteLedger
    clock: Clock
    lifetime: Lifetime

    def dead_letter(self) -> dict[str, str]:
        """Attributes of the one dead letter, without those of every delivery."""
        [(topic, _, attributes)] = self.pubsub.published
        assert topic.endswith("-dead-letter")
        always = ("job_id", "job_id_from", "function", "attempt", "lane", "first_publish_time")
        return {name: value for name, value in attributes.items() if name not in always}

    def nowhere(self) -> "Nowhere":
        return Nowhere()

    @property
    def ledger_file(self) -> Path:
        return Path(str(self.ledger._path))

    def break_the_ledger(self) -> None:
        """Before its first use: it does not answer."""
        self.ledger_file.mkdir()

    def lease_ends(self) -> None:
        self.clock.advance(timedelta(seconds=41))


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


class Nowhere:
    """Takes no dead letter, because none is expected."""

    async def put(self, message: PushMessage, failure: Failed) -> None:
        raise AssertionError(message, failure)
