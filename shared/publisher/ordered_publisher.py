"""Ordered publishing on top of Google's client, which pauses an ordering key after a failure.

Its ``stop()`` neither waits nor sends what is queued behind the first batch of a key, so jobs are drained before.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress

from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.publisher.exceptions import PublishToPausedOrderingKeyException
from google.cloud.pubsub_v1.types import PublisherOptions

from .commit_threads import CommitThreads, use_threads


class OrderedPublisher:
    """Publishes each ordering key in order, and resumes a key after a failure. Safe to share between threads.

    Args:
        client: A PublisherClient with message ordering enabled; the caller closes it. If None, one is created, and
            closed, here.
    """

    def __init__(self, client: PublisherClient | None = None) -> None:
        self._given = client
        self._connecting = threading.Lock()
        self._threads: CommitThreads | None = None
        self._client: PublisherClient | None = None
        self._connect()

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str], *, ordering_key: str = "") -> Future[str]:
        """Hand over one message.

        When a publish fails, those that were queued behind it under the same key fail with it, so that none overtakes
        it. The next one goes out again.

        Returns:
            A future whose result is Pub/Sub's message id.

        Raises:
            MessageTooLargeError: if the message is above Pub/Sub's 10 MB.
            RuntimeError: if the publisher is closed.
        """
        future = self._send(topic, data, attributes, ordering_key)
        # Resumed here and not in a callback of the failed future: the client calls those while it holds the very lock
        # that resuming takes.
        while _is_paused(future):
            with suppress(RuntimeError):  # another thread was first
                self._connect().resume_publish(topic, ordering_key)
            future = self._send(topic, data, attributes, ordering_key)
        return future

    def run(self, task: Callable[[], None]) -> None:
        """Run ``task`` on a thread that holds none of the client's locks."""
        if self._threads is None:  # a test's client, which has none
            task()
        else:
            self._threads.run(task)

    def close(self) -> None:
        """Close the client if it was created here. The caller has drained it."""
        if self._client is not None and self._given is None:
            with suppress(RuntimeError):  # closed before
                self._client.stop()
            self._client.transport.close()
            if self._threads is not None:
                self._threads.stop()

    def restart_after_fork(self) -> None:
        """Connect anew at the next publish: no thread and no connection survives a fork."""
        self._connecting = threading.Lock()
        self._threads = self._client = None

    def _connect(self) -> PublisherClient:
        if self._client is not None:
            return self._client
        with self._connecting:
            if self._client is None:
                client = self._given or PublisherClient(
                    publisher_options=PublisherOptions(enable_message_ordering=True)
                )
                if issubclass(type(client), PublisherClient):  # isinstance() believes a mock
                    self._threads = CommitThreads()
                    use_threads(client, self._threads)
                self._client = client
            return self._client

    def _send(self, topic: str, data: bytes, attributes: Mapping[str, str], ordering_key: str) -> Future[str]:
        future = self._connect().publish(topic, data, ordering_key=ordering_key, **attributes)
        if isinstance(future, Future):
            return future
        # A mocked client: nothing will ever settle what it returns.
        confirmed: Future[str] = Future()
        confirmed.set_result("")
        return confirmed


def _is_paused(future: Future[str]) -> bool:
    return future.done() and isinstance(future.exception(), PublishToPausedOrderingKeyException)
