"""How an application's messages leave: Google's publisher client, and what that leaves to whoever uses it.

With ordering, a failed publish pauses its ordering key until somebody resumes it, and ``stop`` neither waits nor sends
what is queued behind the first batch of a key.
"""

from collections.abc import Mapping
from concurrent.futures import Future, wait
from contextlib import suppress

from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.publisher.exceptions import PublishToPausedOrderingKeyException
from google.cloud.pubsub_v1.types import PublisherOptions


class OrderedPublisher:
    """Publishes in order, goes on after a failure, and is empty before it closes. Safe to share between threads.

    Args:
        client: has ``enable_message_ordering``, and is closed by who made it; the outbox makes its own if absent.
    """

    def __init__(self, client: PublisherClient | None = None) -> None:
        self._owned = client is None
        self._client = client or PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
        self._unsent: set[Future[str]] = set()

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str], *, ordering_key: str = "") -> Future[str]:
        """Hand over one message; the future's result is its id.

        When a publish fails, those that were queued behind it under the same key fail with it, so that none overtakes
        it. The next one goes out again.

        Raises:
            MessageTooLargeError: above Pub/Sub's 10 MB.
            RuntimeError: the outbox is closed.
        """
        future = self._send(topic, data, attributes, ordering_key)
        # Resumed here and not in a callback of the failed future: the client calls those while it holds the very lock
        # that resuming takes.
        while _is_paused(future):
            with suppress(RuntimeError):  # another thread was first
                self._client.resume_publish(topic, ordering_key)
            future = self._send(topic, data, attributes, ordering_key)
        self._unsent.add(future)
        future.add_done_callback(self._unsent.discard)
        return future

    def close(self, timeout: float | None = None) -> None:
        """Wait until everything is sent or has failed, then close. Can be called again.

        Args:
            timeout: seconds to wait; without it, as long as Pub/Sub is away.

        Raises:
            TimeoutError: something still waits. Nothing is closed then.
        """
        _, unsent = wait(self._unsent.copy(), timeout)
        if unsent:
            msg = f"{len(unsent)} messages still wait for Pub/Sub"
            raise TimeoutError(msg)
        if self._owned:
            with suppress(RuntimeError):  # closed before
                self._client.stop()
            self._client.transport.close()

    def _send(self, topic: str, data: bytes, attributes: Mapping[str, str], ordering_key: str) -> Future[str]:
        future: Future[str] = self._client.publish(topic, data, ordering_key=ordering_key, **attributes)
        return future


def _is_paused(future: Future[str]) -> bool:
    return future.done() and isinstance(future.exception(), PublishToPausedOrderingKeyException)
