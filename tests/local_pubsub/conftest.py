import os
import shutil
from collections.abc import Iterator

import pytest

from tests.local_pubsub.broker_helpers import (
    PubSub,
    RecordingEndpoint,
    RestPubSub,
    broker_process,
    google_emulator,
    google_emulator_process,
)


@pytest.fixture(scope="session")
def local() -> Iterator[PubSub]:
    """The broker, at the real pace."""
    with broker_process() as pubsub:
        yield pubsub


@pytest.fixture(scope="session")
def rest(local: PubSub) -> Iterator[PubSub]:
    """The same broker over REST."""
    pubsub = RestPubSub(local.host, local.admin_url)
    yield pubsub
    pubsub.close()


@pytest.fixture(scope="session")
def fast() -> Iterator[PubSub]:
    """The broker with its backoffs divided by 50."""
    with broker_process("--time-scale", "50") as pubsub:
        yield pubsub


@pytest.fixture(scope="session")
def fast_rest(fast: PubSub) -> Iterator[PubSub]:
    """The broker with its backoffs divided by 50, over REST."""
    pubsub = RestPubSub(fast.host, fast.admin_url)
    yield pubsub
    pubsub.close()


@pytest.fixture(scope="session")
def google() -> Iterator[PubSub]:
    """Google's emulator: the one that is running, or one of our own."""
    if host := os.environ.get("PUBSUB_EMULATOR_HOST"):
        pubsub = PubSub(host)
        yield pubsub
        pubsub.close()
        return
    script = google_emulator()
    if script is None:
        pytest.skip("Google's Pub/Sub emulator is not installed: gcloud components install pubsub-emulator")
    if shutil.which("java") is None:
        pytest.skip("Google's Pub/Sub emulator needs Java, and there is none on PATH")
    with google_emulator_process(script) as host:
        pubsub = PubSub(host)
        yield pubsub
        pubsub.close()


@pytest.fixture(params=["local", "rest", "google"])
def pubsub(request: pytest.FixtureRequest) -> PubSub:
    """Each Pub/Sub in turn, the broker over gRPC and over REST: all have the same contract."""
    fixture: PubSub = request.getfixturevalue(request.param)
    return fixture


@pytest.fixture(params=["local", "google"])
def streaming(request: pytest.FixtureRequest) -> PubSub:
    """Each Pub/Sub over gRPC: REST has no streaming pull."""
    fixture: PubSub = request.getfixturevalue(request.param)
    return fixture


@pytest.fixture
def endpoint() -> Iterator[RecordingEndpoint]:
    server = RecordingEndpoint()
    yield server
    server.close()
