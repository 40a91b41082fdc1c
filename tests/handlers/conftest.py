import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest
import pytest_asyncio

from shared.customerio.app import AppAPI
from shared.customerio.http import BasicCredentials, BearerCredentials
from shared.customerio.track import TrackAPI
from shared.handlers.broadcast import Broadcast
from shared.handlers.forgetting import Forgetting
from shared.handlers.idempotency import Idempotency
from shared.handlers.identify import Identify
from shared.handlers.send import Send
from shared.handlers.sync import Sync
from shared.handlers.track import Track
from shared.handlers.track_wiring import workspace
from shared.handlers.trigger_report import TriggerReport
from shared.handlers.unless_forgotten import DELIBERATE, UnlessForgotten
from shared.handlers.user_sync import UserSync
from shared.ledger import SQLiteLedger
from shared.lifetime import Lifetime
from shared.pubsub.drain import Drain
from shared.pubsub.outcomes import OutcomePublisher
from shared.pubsub.push import Handle, PushEndpoint
from shared.pubsub.topic import DeadLetterTopic, RetryTopic, TopicPublisher
from shared.recipients import RecipientPolicy
from shared.secrets import EnvironmentSecret, Secret
from shared.telemetry import Telemetry
from shared.topology import topology
from tests.customerio.conftest import Connect, Upstream, connect, upstream
from tests.handlers.handler_helpers import PROJECT, Around, Function
from tests.ledger.ledger_helpers import Clock
from tests.local_pubsub.broker_helpers import PubSub, broker_process
from tests.webhook.conftest import FakePubSub, pubsub, pubsub_server

__all__ = ["connect", "pubsub", "pubsub_server", "upstream"]

Make = Callable[..., Function]
RETRY_TOPIC = f"projects/{PROJECT}/topics/cio-x-retry"


@pytest.fixture(scope="session")
def broker() -> Iterator[PubSub]:
    with broker_process() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def topic(pubsub_server: FakePubSub) -> AsyncIterator[TopicPublisher]:
    async with opened(f"projects/{PROJECT}/topics/cio-dead-letter", pubsub_server) as made:
        yield made


@pytest_asyncio.fixture(scope="session")
async def retry_topic(pubsub_server: FakePubSub) -> AsyncIterator[TopicPublisher]:
    async with opened(RETRY_TOPIC, pubsub_server) as made:
        yield made


@asynccontextmanager
async def opened(path: str, pubsub_server: FakePubSub) -> AsyncIterator[TopicPublisher]:
    made = TopicPublisher(path, timeout=3.0)
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": pubsub_server.address}):
        await made.open()
    yield made
    assert made._client is not None
    made._client.stop()
    made._client.transport.close()


@pytest.fixture
def around(upstream: Upstream, pubsub: FakePubSub, tmp_path: Path) -> Iterator[Around]:
    clock = Clock()
    ledger = SQLiteLedger(tmp_path / "ledger.sqlite", now=clock)
    yield Around(upstream, pubsub, ledger, clock, Lifetime())
    ledger.close()


@pytest.fixture
def function(around: Around, connect: Connect, topic: TopicPublisher, retry_topic: TopicPublisher) -> Make:
    """Makes the function that takes a kind of job, wired to what is around it."""

    def make(
        kind: str,
        *,
        handle: Handle | None = None,
        url: str = "",
        timeout: float = 5.0,
        secret: Secret | None = None,
        rate: float | None = None,
        site_id: str = "site",
        outcomes: OutcomePublisher | None = None,
        drain: Drain | None = None,
        unless_forgotten: bool = False,
    ) -> Function:
        key = secret or EnvironmentSecret("key")

        def track() -> TrackAPI:
            credentials = BasicCredentials(EnvironmentSecret("site"), key)
            return TrackAPI(connect(url or around.upstream.url, credentials, timeout=timeout), requests_per_second=rate)

        def app() -> AppAPI:
            connection = connect(url or around.upstream.url, BearerCredentials(key), timeout=timeout)
            return AppAPI(connection, requests_per_second=rate)

        def idempotency(app: AppAPI) -> Idempotency:
            return Idempotency(app, around.ledger, kind, around.lifetime)

        handlers: dict[str, Callable[[], Handle]] = {
            "identify": lambda: Identify(track()),
            "track": lambda: Track(track()),
            "send": lambda: Send(api := app(), idempotency(api), RecipientPolicy(everybody=True)),
            "broadcast": lambda: Broadcast(
                api := app(),
                idempotency(api),
                TriggerReport(api, Telemetry(kind, kind, PROJECT), around.lifetime),
                RecipientPolicy(everybody=True),
            ),
            "sync": lambda: Sync(
                UserSync(api := track(), around.ledger),
                workspace(url or around.upstream.url, EnvironmentSecret(site_id)),
                Forgetting(api, around.ledger, PROJECT),
            ),
        }
        telemetry = Telemetry(kind, kind, PROJECT)
        handle = handle or handlers[kind]()
        if unless_forgotten:
            handle = UnlessForgotten(handle, around.ledger, PROJECT, DELIBERATE if kind == "sync" else frozenset())
        endpoint = PushEndpoint(
            handle,
            DeadLetterTopic(topic, kind),
            telemetry,
            retry_lane=None if topology().topics[kind].ordered else RetryTopic(retry_topic),
            outcomes=outcomes,
            drain=drain,
            lifetime=around.lifetime,
        )
        return Function(endpoint)

    return make


@pytest.fixture
def identify(function: Make) -> Function:
    return function("identify")


@pytest.fixture
def track(function: Make) -> Function:
    return function("track")


@pytest.fixture
def send(function: Make) -> Function:
    return function("send")


@pytest.fixture
def broadcast(function: Make) -> Function:
    return function("broadcast")


@pytest.fixture
def sync(function: Make) -> Function:
    return function("sync")
