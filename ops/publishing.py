"""Confirmed publishing: a call returns once every message is on its topic or has an error."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ops import clients, deadlines

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient

_CONNECTIONS = 8
MAX_REQUEST_MESSAGES = 1000
MAX_REQUEST_BYTES = 9_000_000
"""Pub/Sub allows 10 MB per publish request, envelope included: https://cloud.google.com/pubsub/quotas#resource_limits."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish.

    Args:
        topic: ``projects/P/topics/T``.
        data: At most 10 MB.
        attributes: Message attributes; keys and values as Pub/Sub allows.
        ordering_key: Ordering key, or empty.
    """

    topic: str
    data: bytes = field(repr=False)
    attributes: dict[str, str] = field(repr=False)
    ordering_key: str = field(repr=False)


class ConfirmedPublisher:
    """Publishes messages of one ordering key in order, those of different keys in parallel.

    Args:
        client: A publisher client. It is closed by ``__exit__``, so that Ctrl-C cancels the calls in progress.
        request_seconds: Longest wait for one request; for tests.
    """

    def __init__(self, client: "PublisherClient", *, request_seconds: float = deadlines.PUBLISH_SECONDS) -> None:
        self._client = client
        self._request_seconds = request_seconds
        self._retry = clients.short_retry()
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="publish")
        self._unreachable = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.transport.close()  # type: ignore[no-untyped-call]
        self._threads.shutdown()

    @property
    def is_unreachable(self) -> bool:
        """Whether Pub/Sub stopped answering. Nothing is sent any more then."""
        return self._unreachable.is_set()

    def publish(self, messages: Sequence[Outgoing]) -> list[str]:
        """Publish at most ``MAX_REQUEST_MESSAGES`` messages of together at most ``MAX_REQUEST_BYTES``.

        Returns:
            The type of error for each message, empty for a confirmed one. A message with an error may be on its topic
            all the same.
        """
        problems = [""] * len(messages)

        def key(index: int) -> tuple[str, str]:
            return messages[index].topic, messages[index].ordering_key

        # A publish request takes messages of one topic and one ordering key.
        requests = [list(group) for _, group in groupby(sorted(range(len(messages)), key=key), key=key)]
        found = self._threads.map(lambda request: self._request([messages[index] for index in request]), requests)
        for request, problem in zip(requests, found, strict=True):
            for index in request:
                problems[index] = problem
        return problems

    def _request(self, messages: Sequence[Outgoing]) -> str:
        from google.api_core.exceptions import (  # noqa: PLC0415
            DeadlineExceeded,
            GoogleAPIError,
            RetryError,
            ServiceUnavailable,
        )
        from google.pubsub_v1.types import PubsubMessage  # noqa: PLC0415

        if self.is_unreachable:
            return ServiceUnavailable.__name__
        made = [PubsubMessage(data=m.data, attributes=m.attributes, ordering_key=m.ordering_key) for m in messages]
        try:
            self._client.publish(
                request={"topic": messages[0].topic, "messages": made},
                timeout=self._request_seconds,
                retry=self._retry,
            )
        except (RetryError, ServiceUnavailable, DeadlineExceeded) as error:
            self._unreachable.set()
            return type(error.cause if isinstance(error, RetryError) else error).__name__
        except GoogleAPIError as error:
            return type(error).__name__
        return ""


def batches[T](items: Iterable[T], count: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut ``items`` into lists that one ``publish`` takes.

    Args:
        items: What becomes one message each.
        count: Most items in a list, at most ``MAX_REQUEST_MESSAGES``.
        size: Gives the bytes of an item's data.
    """
    batch: list[T] = []
    held = 0
    for item in items:
        if batch and (len(batch) >= count or held + size(item) > MAX_REQUEST_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += size(item)
    if batch:
        yield batch
