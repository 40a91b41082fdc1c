"""Whatever body comes: no 500, no crash; each is done, dead-lettered or refused, as the table of answers says.

``FUZZ_EXAMPLES=100000 pytest tests/faults/test_fuzz.py`` is the long run.
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from shared.attributes import sanitize
from shared.customerio.signature import sign
from shared.handlers.archive import Archive
from shared.handlers.broadcast import Broadcast
from shared.handlers.forgetting import Forgetting
from shared.handlers.idempotency import Idempotency
from shared.handlers.identify import Identify
from shared.handlers.send import Send
from shared.handlers.signing_keys import SigningKeys
from shared.handlers.sync import Sync
from shared.handlers.track import Track
from shared.handlers.track_wiring import workspace
from shared.handlers.trigger_report import TriggerReport
from shared.handlers.user_sync import UserSync
from shared.handlers.webhook import WebhookEndpoint
from shared.ledger import SQLiteLedger
from shared.lifetime import Lifetime
from shared.outcome import Failed
from shared.pubsub.message import PushMessage
from shared.pubsub.push import PushEndpoint
from shared.pubsub.topic import dead_letter_attributes
from shared.recipients import RecipientPolicy
from shared.secrets import EnvironmentSecret
from shared.telemetry import Telemetry

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "600"))
KEY = "fuzzed-key"


class Accepting:
    """A Customer.io, a warehouse, a topic and a dead-letter topic that take everything that can be sent at all."""

    def __init__(self) -> None:
        self.dead = 0

    async def apply(self, item: bytes, *, keys: Iterable[str], exclusive: bool, deadline: float) -> None:
        json.loads(item)
        assert all(keys)
        assert isinstance(exclusive, bool)
        assert deadline > 0

    @asynccontextmanager
    async def permit(self, *, deadline: float, bulk: bool) -> AsyncIterator[None]:
        assert deadline > 0
        assert isinstance(bulk, bool)
        yield

    async def send(self, channel: str, body: bytes, *, permit: object, deadline: float) -> str:
        json.loads(body)
        assert permit is None
        assert deadline > 0
        return channel

    async def trigger(self, broadcast_id: int, body: bytes, *, permit: object, deadline: float) -> str:
        return await self.send(str(broadcast_id), body, permit=permit, deadline=deadline)

    async def is_processed(self, broadcast_id: int, trigger_id: str, *, deadline: float) -> bool:
        assert trigger_id == str(broadcast_id)
        return deadline > 0

    async def trigger_errors(self, broadcast_id: int, trigger_id: str, *, deadline: float) -> list[str]:
        assert await self.is_processed(broadcast_id, trigger_id, deadline=deadline)
        return []

    async def insert(self, row: Mapping[str, Any], row_id: str, *, deadline: float | None = None) -> None:  # noqa: ARG002
        json.dumps(row)
        assert row_id

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        assert isinstance(data, bytes)
        assert all(len(value.encode()) <= 1024 for value in sanitize(attributes).values())
        return "id"

    async def put(self, delivery: PushMessage, failure: Failed) -> None:
        await self.publish(delivery.data, dead_letter_attributes("f", delivery, failure))
        assert failure.reason
        self.dead += 1


async def answered(endpoint: Any, body: bytes, headers: Mapping[str, str] | None = None) -> int:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    named = {"content-length": str(len(body)), **(headers or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}
    return int((await endpoint(Request(scope, receive))).status_code)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *("type", "action", "identifiers", "attributes", "name", "id", "timestamp", "device", "primary", "secondary"),
    *("cio_relationships", "to", "transactional_message_id", "headers", "attachments", "broadcast_id", "ids", "emails"),
    *("per_user_data", "preferences", "created_at", "deleted", "email", "event_id", "metric", "object_type", "data"),
]
KNOWN = st.sampled_from(["person", "object", "identify", "merge", "event", "delivery", "42", "a@example.com", 7, True])
IDENTIFIERS = st.dictionaries(st.sampled_from(["id", "email", "cio_id", "object_type_id", "object_id"]), JSON | KNOWN)
JOB = st.dictionaries(st.sampled_from(FIELDS), JSON | KNOWN | IDENTIFIERS, max_size=6)
DATA = st.binary(max_size=60) | st.builds(lambda value: json.dumps(value).encode(), JOB | JSON)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["job_id", "channel", "expires_at", "delivery_guarantee", "first_publish_time"])
    | st.text(max_size=5),
    st.sampled_from(["email", "push", "at_most_once", "0", "9999999999"]) | st.text(max_size=8),
    max_size=3,
)
PUSH = st.builds(
    lambda data, attributes, when: json.dumps(
        {"message": {"data": base64.b64encode(data).decode(), "attributes": attributes, "publishTime": when}}
    ).encode(),
    DATA,
    ATTRIBUTES,
    st.sampled_from(["2026-05-01T12:00:00Z", "", "x"]),
)
KINDS = ["identify", "track", "send", "broadcast", "sync", "events"]


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Any:
    around: Any = Accepting()
    directory: Path = tmp_path_factory.mktemp("fuzz")
    ledger = SQLiteLedger(directory / "ledger.sqlite")
    handlers = {
        "identify": Identify(around),
        "track": Track(around),
        "send": Send(around, Idempotency(around, ledger, "send", Lifetime()), RecipientPolicy(everybody=True)),
        "broadcast": Broadcast(
            around,
            Idempotency(around, ledger, "broadcast", Lifetime()),
            TriggerReport(around, around, Lifetime()),
            RecipientPolicy(everybody=True),
        ),
        "sync": Sync(
            UserSync(around, ledger),
            workspace("http://here", EnvironmentSecret("site")),
            Forgetting(around, ledger, "project"),
        ),
        "events": Archive(around),
    }
    made = {kind: PushEndpoint(handle, around, Telemetry(kind, kind, "p")) for kind, handle in handlers.items()}
    keys = SigningKeys(EnvironmentSecret(KEY))
    yield made, WebhookEndpoint(keys, around, around, around, Telemetry("webhook", "", "p"), max_age=None)
    ledger.close()


FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@FUZZ
@given(st.sampled_from(KINDS), PUSH | st.binary(max_size=80) | st.builds(lambda v: json.dumps(v).encode(), JSON))
def test_every_push_is_settled_or_refused(endpoints: Any, kind: str, body: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        status = loop.run_until_complete(answered(endpoints[0][kind], body))
    finally:
        loop.close()
    assert status in {204, 400}


@FUZZ
@given(DATA, st.booleans(), st.text(max_size=12), st.text(max_size=70))
def test_every_webhook_is_taken_or_turned_away(
    endpoints: Any, body: bytes, signed: bool, timestamp: str, signature: str
) -> None:
    headers = {"x-cio-timestamp": timestamp, "x-cio-signature": signature}
    if signed:
        headers = {"x-cio-timestamp": "1767225600", "x-cio-signature": sign(KEY, "1767225600", body)}
    loop = asyncio.new_event_loop()
    try:
        status = loop.run_until_complete(answered(endpoints[1], body, headers))
    finally:
        loop.close()
    assert status == (200 if signed else 401)
