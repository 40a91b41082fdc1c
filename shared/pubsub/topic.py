"""One topic that a function publishes to, awaited: the message id comes back or ``PublishError`` is raised."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .attributes import publishable

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient


class PublishError(Exception):
    """Pub/Sub did not confirm the message in time. It may have arrived: consumers meet duplicates anyway."""


class Topic:
    """Publishes to one topic with the official client, batched by it.

    Args:
        path: ``projects/P/topics/T``.
        timeout: seconds after which a publish is given up.
    """

    def __init__(self, path: str, *, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._client: PublisherClient | None = None
        self._opening = asyncio.Lock()

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publish one message and wait for its id.

        Raises:
            PublishError: no confirmation within ``timeout``, or Pub/Sub refused. Its text holds nothing of the message.
        """
        try:
            async with asyncio.timeout(self._timeout):
                client = self._client or await self._open()
                future = client.publish(self.path, data, timeout=self._timeout, **publishable(attributes))
                message_id: str = await asyncio.wrap_future(future)
                return message_id
        except Exception as error:  # noqa: BLE001 - the client raises many kinds, and none may lose the message
            msg = f"{self.path}: {type(error).__name__}"
            raise PublishError(msg) from None

    async def open(self) -> None:
        """Make the client ahead of the first publish, for a caller whose first publish may not wait."""
        if self._client is None:
            await self._open()

    async def _open(self) -> "PublisherClient":
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_new_client, self._timeout)
        return self._client


def _new_client(timeout: float) -> "PublisherClient":
    # Imported here, off the event loop: it takes most of a second of CPU, and a function that never publishes never
    # pays it.
    from google.api_core.retry import Retry  # noqa: PLC0415
    from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415
    from google.cloud.pubsub_v1.types import BatchSettings, PublisherOptions  # noqa: PLC0415

    return PublisherClient(
        batch_settings=BatchSettings(max_latency=0.005),
        publisher_options=PublisherOptions(retry=Retry(initial=0.1, maximum=1.0, deadline=timeout), timeout=timeout),
    )
