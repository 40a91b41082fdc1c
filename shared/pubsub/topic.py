"""Topics that a function publishes to, awaited: the message id comes back or ``PublishError`` is raised."""

import asyncio
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from .. import deadlines
from ..attributes import DeadLetterAttributes, republished, sanitize
from ..outcome import Failed
from ..redaction import loggable_key
from .message import PushMessage

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient


class PublishError(Exception):
    """Pub/Sub did not confirm the message in time. It may have arrived: consumers meet duplicates anyway."""


class _Confirmations:
    """Brings the client's results from its threads to the event loop, all of a batch with one call.

    ``asyncio.wrap_future`` wakes the loop once for each message, and a batch confirms a hundred at a time.
    """

    def __init__(self) -> None:
        # A deque, because the client's threads append while the loop takes.
        self._done: deque[tuple[Future[str], asyncio.Future[str]]] = deque()
        self._called: asyncio.AbstractEventLoop | None = None

    async def of(self, future: "Future[str]") -> str:
        """Wait for a result of the client.

        Raises:
            Exception: if the message was not published; whatever the client raises.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[str] = loop.create_future()

        def confirmed(done: "Future[str]") -> None:
            self._done.append((done, result))
            # Asked after the append: who finds the loop called knows that it has not taken anything yet.
            if self._called is not loop and not loop.is_closed():
                self._called = loop
                loop.call_soon_threadsafe(self._tell)

        future.add_done_callback(confirmed)
        return await result

    def _tell(self) -> None:
        self._called = None
        while self._done:
            future, result = self._done.popleft()
            if result.done():
                continue  # its caller waits no more
            if error := future.exception():
                result.set_exception(error)
            else:
                result.set_result(future.result())


class TopicPublisher:
    """Publishes to one topic with the official client, which batches.

    Args:
        path: ``projects/P/topics/T``.
        timeout: Seconds after which a publish is given up.
    """

    def __init__(self, path: str, *, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._client: PublisherClient | None = None
        self._opening = asyncio.Lock()
        self._confirmations = _Confirmations()

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publish one message and wait for its id.

        Raises:
            PublishError: if Pub/Sub refused or did not confirm in time; the text holds nothing of the message.
        """
        try:
            async with asyncio.timeout(self._timeout):
                client = self._client or await self._open()
                future = client.publish(self.path, data, timeout=self._timeout, **sanitize(attributes))
                return await self._confirmations.of(future)
        except Exception as error:  # noqa: BLE001 - the client raises many kinds, and none may lose the message
            raise PublishError(f"{self.path}: {type(error).__name__}") from None

    async def open(self) -> None:
        """Make the client ahead of the first publish, for a caller whose first publish may not wait."""
        if self._client is None:
            await self._open()

    async def _open(self) -> "PublisherClient":
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_new_client, self._timeout)
        return self._client


class RetryLane(Protocol):
    """The place of a job that was tried a few times in vain."""

    async def put(self, message: PushMessage) -> None:
        """Publish the job again, with its key and its time.

        Raises:
            PublishError: if it was not confirmed; the job must not be acknowledged then.
        """


class RetryTopic:
    """The retry lane as a Pub/Sub topic."""

    def __init__(self, topic: TopicPublisher) -> None:
        self._topic = topic

    async def put(self, message: PushMessage) -> None:
        await self._topic.publish(message.data, republished(message.attributes, message.origin))


class DeadLetters(Protocol):
    """The place of failed jobs."""

    async def put(self, message: PushMessage, failure: Failed) -> None:
        """Keep the job with its reason.

        Raises:
            PublishError: if it could not be kept; the job must not be acknowledged then.
        """


class DeadLetterTopic:
    """Dead letters as Pub/Sub messages: the job's data as it was, the reason and the job's own attributes.

    Args:
        topic: Topic of the dead letters.
        function: Name of the function that gives jobs up.
    """

    def __init__(self, topic: TopicPublisher, function: str) -> None:
        self._topic = topic
        self._function = function

    async def put(self, message: PushMessage, failure: Failed) -> None:
        await self._topic.publish(message.data, dead_letter_attributes(self._function, message, failure))


def dead_letter_attributes(function: str, message: PushMessage, failure: Failed) -> dict[str, str]:
    """Attributes of the dead letter that ``function`` makes of ``message``; not yet within Pub/Sub's limits."""
    told = DeadLetterAttributes(
        reason=failure.reason,
        error_class=failure.error_class,
        status="" if failure.status is None else str(failure.status),
        field=failure.field,
        message=failure.message,
        function=function,
        attempt="" if message.attempt is None else str(message.attempt),
        lane=message.lane,
        # It may name the person. A replay of each job of theirs has the same key.
        ordering_key=loggable_key(message.ordering_key) if message.ordering_key else "",
    )
    return told.encode(message.attributes, message.origin)


def _new_client(timeout: float) -> "PublisherClient":
    # Imported here, off the event loop: it takes most of a second of CPU, and a function that never publishes never
    # pays it.
    from google.api_core.retry import Retry  # noqa: PLC0415
    from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415
    from google.cloud.pubsub_v1.types import BatchSettings, PublisherOptions  # noqa: PLC0415

    retry = Retry(
        initial=deadlines.PUBLISH_RETRY_MIN_SECONDS, maximum=deadlines.PUBLISH_RETRY_MAX_SECONDS, deadline=timeout
    )
    return PublisherClient(
        batch_settings=BatchSettings(max_latency=deadlines.PUBLISH_BATCH_SECONDS),
        publisher_options=PublisherOptions(retry=retry, timeout=timeout),
    )
