"""A publisher for unit tests: it checks every job like the real one, and keeps it instead of publishing it."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from google.cloud.pubsub_v1 import PublisherClient

from .publisher import Publisher
from .publisher.failures import OnError
from .topology import topology


@dataclass(frozen=True, slots=True)
class RecordedJob:
    """One job, as its function would receive it.

    Args:
        kind: ``identify``, ``track``, ``send``, ``broadcast`` or ``sync``.
        topic: Name of the topic, prefix included.
        data: The message's data.
        attributes: The message's attributes, ``job_id`` included.
        ordering_key: Key under which Pub/Sub keeps the order, or empty.
    """

    kind: str
    topic: str
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str

    @property
    def body(self) -> Any:
        """The message's data, decoded from JSON."""
        return msgspec.json.decode(self.data)

    @property
    def job_id(self) -> str:
        return self.attributes["job_id"]


class RecordingPublisher(Publisher):
    """A ``Publisher`` that needs no Pub/Sub. Jobs are confirmed at once; a job that can never succeed is refused.

    Args:
        project: Any name.
        prefix: Topic-name prefix.
        on_error: As for ``Publisher``.
        fail_with: Error that every job fails with, to test how the application takes it.

    Attributes:
        jobs: The jobs so far, in the order of the calls.
    """

    def __init__(
        self,
        project: str = "recording",
        *,
        prefix: str = "",
        on_error: OnError | None = None,
        fail_with: Exception | None = None,
    ) -> None:
        self.jobs: list[RecordedJob] = []
        client = cast("PublisherClient", _RecordingClient(self.jobs, prefix, fail_with))
        super().__init__(project, prefix=prefix, on_error=on_error, client=client)

    def flush_at_exit(self) -> str:
        """Say nothing at exit: a test's failures are its own."""
        return ""


class _RecordingClient:
    def __init__(self, jobs: list[RecordedJob], prefix: str, fail_with: Exception | None) -> None:
        self._jobs = jobs
        self._fail_with = fail_with
        self._kinds = {prefix + topic.name: kind for kind, topic in topology().topics.items()}

    def publish(self, topic: str, data: bytes, ordering_key: str = "", **attributes: str) -> "Future[str]":
        future: Future[str] = Future()
        if self._fail_with is not None:
            future.set_exception(self._fail_with)
            return future
        name = topic.rpartition("/topics/")[2]
        self._jobs.append(RecordedJob(self._kinds[name], name, data, attributes, ordering_key))
        future.set_result(str(len(self._jobs)))
        return future
