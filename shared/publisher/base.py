"""The common part of every publishing method: the check, the message, and the life of the Pub/Sub client."""

import os
from collections.abc import Mapping
from itertools import chain
from types import TracebackType
from typing import Any, Self

import msgspec
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.publisher.exceptions import MessageTooLargeError

from ..attributes import JobAttributes
from ..deadlines import PUBLISHER_EXIT_SECONDS
from ..jobs import SCHEMAS, InvalidJob, parse, subjects
from ..jobs.to_json import to_json
from ..topology import topology
from . import at_exit
from .failures import OnError
from .job_future import JobFuture
from .options import JobOptions, message_attributes
from .ordered_publisher import OrderedPublisher
from .pending import PendingJobs

Person = str | int | Mapping[str, Any]
"""A person's id, or a mapping with one identifier: ``{"email": "ada@example.com"}``."""

# Threads that are the first to use one of msgspec's types at the same moment crash the process (msgspec 0.22.0). Each
# type is used once here, where the import lock admits one thread alone.
topology()
for _form in chain.from_iterable(SCHEMAS.values()):
    msgspec.json.Decoder(_form)


class JobPublisher:
    """Checks jobs, publishes them, and loses none in silence. ``Publisher`` documents the arguments."""

    def __init__(
        self,
        project: str | None = None,
        *,
        prefix: str = "",
        on_error: OnError | None = None,
        exit_timeout: float = PUBLISHER_EXIT_SECONDS,
        client: PublisherClient | None = None,
    ) -> None:
        project = project or os.environ.get("GOOGLE_CLOUD_PROJECT")
        if not project:
            raise ValueError("no project: pass Publisher(project), or set GOOGLE_CLOUD_PROJECT")
        self._topics = f"projects/{project}/topics/{prefix}"
        self._on_error = on_error
        self._exit_timeout = exit_timeout
        self._pubsub = OrderedPublisher(client)
        self._pending = PendingJobs(on_error, self._pubsub.run)
        at_exit.watch(self)

    def flush(self, timeout: float | None = None) -> int:
        """Wait until every job is published or has failed, and stay open.

        Args:
            timeout: Seconds to wait. None waits as long as Pub/Sub is unreachable.

        Returns:
            How many jobs still wait; 0 unless the time was too short.
        """
        return self._pending.flush(timeout)

    def close(self, timeout: float | None = None) -> int:
        """Wait until every job is published or has failed, then close. Leaving the ``with`` block does it too.

        Args:
            timeout: Seconds to wait. None waits as long as Pub/Sub is unreachable.

        Returns:
            How many jobs failed since the publisher was made; the reasons are in the log.

        Raises:
            TimeoutError: if jobs still wait. Nothing is closed then.
        """
        if waiting := self._pending.flush(timeout):
            raise TimeoutError(f"{waiting} jobs still wait for Pub/Sub; close() can be called again")
        self._pubsub.close()
        if not self._pending.untold():
            at_exit.forget(self)
        return self._pending.failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush_at_exit(self) -> str:
        if self._pending.flush(self._exit_timeout):
            self._pending.give_up()
        return self._pending.untold()

    def restart_after_fork(self) -> None:
        self._pending.abandon()
        self._pending = PendingJobs(self._on_error, self._pubsub.run)
        self._pubsub.restart_after_fork()

    def _publish(self, kind: str, body: Mapping[str, Any], options: JobOptions | None, **attribute: str) -> JobFuture:
        if not isinstance(options, JobOptions | None):
            raise TypeError("options takes JobOptions; an attribute of that name goes into the mapping of attributes")
        data = _encoded(body)
        attributes = message_attributes(options or JobOptions(), attribute)
        subject = next(iter(subjects(parse(kind, data, JobAttributes.decode(attributes)))), "")
        topic = topology().topics[kind]
        path = self._topics + topic.name
        try:
            future = self._pubsub.publish(path, data, attributes, ordering_key=subject if topic.ordered else "")
        except MessageTooLargeError:
            raise InvalidJob("body", f"must fit into a Pub/Sub message of 10 MB; it has {len(data)} bytes") from None
        job = JobFuture(kind, attributes["job_id"], future)
        self._pending.add(job, future, path)
        return job


def identifiers(person: Person) -> Mapping[str, Any]:
    """Read a person as the publishing methods take one.

    Raises:
        InvalidJob: if an id looks like an email address, which would silently create a second person.
    """
    if isinstance(person, Mapping):
        return person
    if isinstance(person, str) and "@" in person:
        raise InvalidJob(
            "person", 'looks like an email address: write {"email": …}, or {"id": …} if it is the id of the person'
        )
    return {"id": person}


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(to_json(body))
    except InvalidJob:
        raise
    except RecursionError:
        raise InvalidJob("body", "is nested too deeply") from None
    except ValueError:
        raise InvalidJob("body", "has a number of too many digits") from None
