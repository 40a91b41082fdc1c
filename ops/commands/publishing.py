"""Publishing that is confirmed: when a call returns, each message is on its topic, or it is said why not."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient

_CALL_SECONDS = 30.0
_CONNECTIONS = 8
REQUEST_MESSAGES = 1000
REQUEST_BYTES = 9_000_000
"""Of a publish request, with room for what is around the data: https://cloud.google.com/pubsub/quotas#resource_limits."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish.

    Args:
        topic: ``projects/P/topics/T``.
        data: at most 10 MB.
        attributes: of any name that Pub/Sub takes.
        ordering_key: or empty.
    """

    topic: str
    data: bytes = field(repr=False)
    attributes: dict[str, str] = field(repr=False)
    ordering_key: str = field(repr=False)


class Sender:
    """Publishes messages, those of one ordering key in their order, others side by side."""

    def __init__(self, publisher: "PublisherClient") -> None:
        self._publisher = publisher
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="publish")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    def send(self, messages: Sequence[Outgoing]) -> list[str]:
        """Publish at most ``REQUEST_MESSAGES`` messages of together at most ``REQUEST_BYTES``.

        Returns:
            Of each message the kind of error that kept it from being published; empty when it is confirmed. One that
            is not confirmed may be on its topic all the same.
        """
        problems = [""] * len(messages)

        def key(index: int) -> tuple[str, str]:
            return messages[index].topic, messages[index].ordering_key

        # One request per topic and ordering key: Pub/Sub takes no others.
        requests = [list(group) for _, group in groupby(sorted(range(len(messages)), key=key), key=key)]
        found = self._threads.map(lambda request: self._publish([messages[index] for index in request]), requests)
        for request, problem in zip(requests, found, strict=True):
            for index in request:
                problems[index] = problem
        return problems

    def _publish(self, messages: Sequence[Outgoing]) -> str:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
        from google.pubsub_v1.types import PubsubMessage  # noqa: PLC0415

        made = [PubsubMessage(data=m.data, attributes=m.attributes, ordering_key=m.ordering_key) for m in messages]
        try:
            self._publisher.publish(request={"topic": messages[0].topic, "messages": made}, timeout=_CALL_SECONDS)
        except GoogleAPIError as error:
            return type(error).__name__
        return ""


def steps[T](items: Iterable[T], count: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut ``items`` into lists that one ``send`` takes, of at most ``count`` items.

    Args:
        items: whatever becomes one message each.
        count: at most ``REQUEST_MESSAGES``.
        size: of an item's data, in bytes.
    """
    step: list[T] = []
    held = 0
    for item in items:
        if step and (len(step) >= count or held + size(item) > REQUEST_BYTES):
            yield step
            step, held = [], 0
        step.append(item)
        held += size(item)
    if step:
        yield step
