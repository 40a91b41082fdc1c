from collections.abc import Iterator

import pytest

from tests.local_pubsub.broker_helpers import PubSub, broker_process


@pytest.fixture(scope="session")
def pubsub() -> Iterator[PubSub]:
    """The broker, in a process of its own."""
    with broker_process() as running:
        yield running
