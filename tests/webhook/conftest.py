import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
from google.pubsub_v1.types import PublishRequest, PublishResponse

from tests.function_process import RunningFunction, running_function
from tests.payloads import KEY

PROJECT = "demo-project"
EVENTS = f"projects/{PROJECT}/topics/cio-events"
CONSENT = f"projects/{PROJECT}/topics/cio-consent"
DEAD_LETTERS = f"projects/{PROJECT}/topics/cio-events-dead-letter"


@dataclass
class FakePubSub:
    """Takes publishes by gRPC as Pub/Sub does, and can be slow or down."""

    address: str = ""
    published: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    delay: float = 0.0
    down: bool = False

    async def publish(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        if self.down:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        await asyncio.sleep(self.delay)
        ids = []
        for message in request.messages:
            self.published.append((request.topic, message.data, dict(message.attributes)))
            ids.append(str(len(self.published)))
        return PublishResponse.pb()(message_ids=ids)

    def reset(self) -> None:
        self.published.clear()
        self.delay = 0.0
        self.down = False


@pytest_asyncio.fixture(scope="session")
async def pubsub_server() -> AsyncIterator[FakePubSub]:
    fake = FakePubSub()
    handler = grpc.unary_unary_rpc_method_handler(
        fake.publish,
        request_deserializer=PublishRequest.pb().FromString,
        response_serializer=PublishResponse.pb().SerializeToString,
    )
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": handler}),)
    )
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(None)


@pytest.fixture
def pubsub(pubsub_server: FakePubSub) -> FakePubSub:
    pubsub_server.reset()
    return pubsub_server


@pytest_asyncio.fixture(scope="session")
async def webhook(
    pubsub_server: FakePubSub, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningFunction]:
    environment = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "PUBSUB_EMULATOR_HOST": pubsub_server.address,
        "EVENTS_TOPIC": EVENTS,
        "CONSENT_TOPIC": CONSENT,
        "DEAD_LETTER_TOPIC": DEAD_LETTERS,
        "CUSTOMERIO_WEBHOOK_SIGNING_KEY": f"a-newer-key,{KEY}",
    }
    async with running_function("webhook", environment, tmp_path_factory.mktemp("webhook") / "log") as function:
        yield function


@pytest_asyncio.fixture(scope="session")
async def caller(webhook: RunningFunction) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=webhook.url, timeout=10.0) as client:
        yield client
