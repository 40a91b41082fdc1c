"""A pytest fixture for applications, which pytest finds by itself once the package is installed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import RecordingPublisher


@pytest.fixture
def customerio_publisher() -> "Iterator[RecordingPublisher]":
    """A ``RecordingPublisher``: pass it to the code under test, then look at its ``jobs``."""
    # Imported here: a test run that does not use the fixture does not load the Pub/Sub client.
    from .testing import RecordingPublisher  # noqa: PLC0415

    with RecordingPublisher() as publisher:
        yield publisher
