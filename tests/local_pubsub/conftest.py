import os
import shutil
from collections.abc import Iterator

import pytest

from tests.local_pubsub.broker_helpers import (
    PubSub,
    RecordingEndpoint,
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
def fast() -> Iterator[PubSub]:
    """The broker with its backoffs divided by 50."""
    with broker_process("--time-scale", "50") as pubsub:
        yield pubsub


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


@pytest.fixture(params=["local", "google"])
def pubsub(request: pytest.FixtureRequest) -> PubSub:
    """Each Pub/Sub in turn: what holds for one has to hold for the other."""
    fixture: PubSub = request.getfixturevalue(request.param)
    return fixture


@pytest.fixture
def endpoint() -> Iterator[RecordingEndpoint]:
    server = RecordingEndpoint()
    yield server
    server.close()
