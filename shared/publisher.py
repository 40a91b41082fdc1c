"""What an application imports to publish jobs: one line per job, checked before it leaves.

    from .publisher import Publisher

    with Publisher("my-project") as publisher:
        publisher.identify("42", email="ada@example.com", plan="pro")
        publisher.send_email(to="ada@example.com", identifiers={"id": "42"}, transactional_message_id=7)

Every call returns the publish's future at once; its result is the message id. A person is an id (text or number), or a
mapping with one other identifier: ``{"email": "ada@example.com"}``. Needs google-cloud-pubsub and msgspec.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from itertools import chain
from types import TracebackType
from typing import Any, Self

import msgspec
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.publisher.exceptions import MessageTooLargeError

from .job_options import JobOptions, When, message_attributes
from .jobs import SCHEMAS, InvalidJob, parse_broadcast, parse_identify, parse_send, parse_sync, parse_track
from .jobs.to_json import plain
from .pubsub.ordered_publisher import OrderedPublisher
from .topology import topology

__all__ = ["InvalidJob", "JobOptions", "Publisher"]

Person = str | int | Mapping[str, Any]

# Threads that are the first to use a type of msgspec's at the same moment crash the process (msgspec 0.22.0): each is
# used once here, where the import lock lets in one thread alone.
topology()
for _form in chain.from_iterable(SCHEMAS.values()):
    msgspec.json.Decoder(_form)


class Publisher:
    """Publishes jobs. Safe to share between threads; make one per process, and close it when that ends.

    Jobs about a person on the identify and sync topics are ordered: Pub/Sub delivers those of one person in the order
    of the calls. When one fails to be published, those queued behind it fail with it; later ones go out again.

    Args:
        project: Google Cloud project; ``GOOGLE_CLOUD_PROJECT`` if absent.
        prefix: of the topics' names, such as ``dev-``.
        client: a client of your own, with ``enable_message_ordering``; closing it stays yours.

    Raises:
        ValueError: no project is given.
    """

    def __init__(self, project: str | None = None, *, prefix: str = "", client: PublisherClient | None = None) -> None:
        project = project or os.environ.get("GOOGLE_CLOUD_PROJECT")
        if not project:
            raise ValueError("no project: give one, or set GOOGLE_CLOUD_PROJECT")
        self._topics = f"projects/{project}/topics/{prefix}"
        self._outbox = OrderedPublisher(client)

    def identify(
        self,
        person: Person,
        attributes: Mapping[str, Any] | None = None,
        /,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
        **more_attributes: Any,
    ) -> Future[str]:
        """Create a person or change attributes, given by name, as a mapping for any name, or both.

        Args:
            person: whom it is about.
            attributes: the place for those whose names are no Python names, or ``timestamp`` or ``options``.
            timestamp: of the change; Customer.io drops it silently when the person has changed since.
            options: of the job.
            more_attributes: further ones; they win.

        Raises:
            InvalidJob: it can never succeed; so does every method here.
        """
        fields: dict[str, Any] = {"attributes": {**(attributes or {}), **more_attributes}}
        if timestamp is not None:
            fields["timestamp"] = timestamp
        return self._person("identify", person, options, **fields)

    def delete(self, person: Person, *, options: JobOptions | None = None) -> Future[str]:
        """Delete a person; a later job makes a new one."""
        return self._person("delete", person, options)

    def suppress(self, person: Person, *, options: JobOptions | None = None) -> Future[str]:
        """Delete a person for good and refuse the identifiers from now on."""
        return self._person("suppress", person, options)

    def unsuppress(self, person: Person, *, options: JobOptions | None = None) -> Future[str]:
        """Take the identifiers back."""
        return self._person("unsuppress", person, options)

    def merge(self, primary: Person, secondary: Person, *, options: JobOptions | None = None) -> Future[str]:
        """Merge ``secondary`` into ``primary``, which exists. Cannot be undone."""
        body = {"action": "merge", "primary": _identifiers(primary), "secondary": _identifiers(secondary)}
        return self._publish("identify", body, options)

    def add_device(
        self, person: Person, token: str, platform: str, *, options: JobOptions | None = None, **device: Any
    ) -> Future[str]:
        """Add a device, ``ios`` or ``android``; ``last_used`` and ``attributes`` can be given."""
        return self._person("add_device", person, options, device={"token": token, "platform": platform, **device})

    def delete_device(self, person: Person, token: str, *, options: JobOptions | None = None) -> Future[str]:
        """Delete a device."""
        return self._person("delete_device", person, options, device={"token": token})

    def add_relationships(
        self, person: Person, relationships: Sequence[Mapping[str, Any]], *, options: JobOptions | None = None
    ) -> Future[str]:
        """Relate a person to objects: ``[{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]``."""
        return self._person("add_relationships", person, options, cio_relationships=relationships)

    def delete_relationships(
        self, person: Person, relationships: Sequence[Mapping[str, Any]], *, options: JobOptions | None = None
    ) -> Future[str]:
        """End a person's relationships to objects."""
        return self._person("delete_relationships", person, options, cio_relationships=relationships)

    def identify_object(
        self,
        object_type_id: str | int,
        object_id: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Create an object or change its attributes."""
        return self._object("identify", object_type_id, object_id, options, attributes=attributes or {})

    def relate_object(
        self,
        object_type_id: str | int,
        object_id: str | int,
        people: Sequence[Mapping[str, Any]],
        *,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Relate an object to people: ``[{"identifiers": {"id": "42"}}]``."""
        return self._object("add_relationships", object_type_id, object_id, options, cio_relationships=people)

    def relate_object_anonymously(
        self,
        object_type_id: str | int,
        object_id: str | int,
        anonymous_ids: Sequence[str],
        *,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Relate an object to people who are not known yet; the relationship becomes theirs once they are."""
        people = [{"identifiers": {"anonymous_id": each}} for each in anonymous_ids]
        return self._object("identify_anonymous", object_type_id, object_id, options, cio_relationships=people)

    def unrelate_object(
        self,
        object_type_id: str | int,
        object_id: str | int,
        people: Sequence[Mapping[str, Any]],
        *,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """End an object's relationships to people."""
        return self._object("delete_relationships", object_type_id, object_id, options, cio_relationships=people)

    def delete_object(
        self, object_type_id: str | int, object_id: str | int, *, options: JobOptions | None = None
    ) -> Future[str]:
        """Delete an object."""
        return self._object("delete", object_type_id, object_id, options)

    def track(
        self,
        person: Person,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        id: str | None = None,  # noqa: A002 - Customer.io's name for it
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Record an event.

        Args:
            person: who did it.
            name: of the event.
            attributes: its data.
            timestamp: when; the time of publishing if absent.
            id: by which Customer.io drops a repetition, best a ULID; made from ``job_id`` if absent.
            options: of the job.
        """
        return self._event("event", _identifiers(person), name, attributes, timestamp, options, id=id)

    def page(
        self,
        person: Person,
        url: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Record a page view."""
        return self._event("page", _identifiers(person), url, attributes, timestamp, options)

    def screen(
        self,
        person: Person,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Record a screen view."""
        return self._event("screen", _identifiers(person), name, attributes, timestamp, options)

    def track_anonymous(
        self,
        anonymous_id: str,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Record an event of somebody who is not known yet."""
        return self._event("event", {"anonymous_id": anonymous_id}, name, attributes, timestamp, options)

    def delivery_metric(
        self,
        delivery_id: str,
        metric: str,
        *,
        device_token: str | None = None,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> Future[str]:
        """Report what became of a message: ``opened``, ``converted`` or ``delivered``."""
        attributes = None if device_token is None else {"device_token": device_token}
        return self._event("event", {"id": delivery_id}, metric, attributes, timestamp, options, type="delivery")

    def send_email(self, *, options: JobOptions | None = None, **body: Any) -> Future[str]:
        """Send an email; the App API's fields by name, and ``from_`` for its ``from``."""
        return self.send("email", options=options, **body)

    def send(self, channel: str, *, options: JobOptions | None = None, **body: Any) -> Future[str]:
        """Send a transactional message through one of the six channels; the App API's fields by name."""
        if "from_" in body:
            body["from"] = body.pop("from_")
        return self._publish("send", body, options, channel=channel)

    def broadcast(self, broadcast_id: int, *, options: JobOptions | None = None, **body: Any) -> Future[str]:
        """Trigger a broadcast; the App API's fields by name."""
        return self._publish("broadcast", {"broadcast_id": broadcast_id, **body}, options)

    def sync_user(self, user: Mapping[str, Any], *, options: JobOptions | None = None) -> Future[str]:
        """Bring a user record to Customer.io: ``id``, ``email``, ``preferences`` and what else describes the user."""
        return self._publish("sync", user, options)

    def user_deleted(self, id: str | int, *, options: JobOptions | None = None) -> Future[str]:  # noqa: A002
        """Have Customer.io forget a user."""
        return self._publish("sync", {"id": id, "deleted": True}, options)

    def close(self, timeout: float | None = None) -> None:
        """Wait until every job is published or has failed to be, then close. Leaving the ``with`` block does it too.

        Args:
            timeout: seconds to wait; without it, as long as Pub/Sub is away.

        Raises:
            TimeoutError: jobs still wait. Nothing is closed then.
        """
        self._outbox.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _person(self, action: str, person: Person, options: JobOptions | None, **fields: Any) -> Future[str]:
        return self._publish("identify", {"action": action, "identifiers": _identifiers(person), **fields}, options)

    def _object(
        self, action: str, object_type_id: str | int, object_id: str | int, options: JobOptions | None, **fields: Any
    ) -> Future[str]:
        identifiers = {"object_type_id": object_type_id, "object_id": object_id}
        return self._publish(
            "identify", {"type": "object", "action": action, "identifiers": identifiers, **fields}, options
        )

    def _event(
        self,
        action: str,
        identifiers: Mapping[str, Any],
        name: str,
        attributes: Mapping[str, Any] | None,
        timestamp: When | None,
        options: JobOptions | None,
        **fields: Any,
    ) -> Future[str]:
        given = {"attributes": attributes, "timestamp": timestamp, **fields}
        present = {field: value for field, value in given.items() if value is not None}
        return self._publish("track", {"action": action, "identifiers": identifiers, "name": name, **present}, options)

    def _publish(
        self, kind: str, body: Mapping[str, Any], options: JobOptions | None, *, channel: str = ""
    ) -> Future[str]:
        if not isinstance(options, JobOptions | None):
            raise TypeError("options takes JobOptions; an attribute of that name goes into the mapping of attributes")
        data = _encoded(body)
        person = _checked(kind, data, channel)
        attributes = message_attributes(options or JobOptions(), channel)
        job = topology().topics[kind]
        try:
            return self._outbox.publish(
                self._topics + job.name, data, attributes, ordering_key=person if job.ordered else ""
            )
        except MessageTooLargeError:
            raise InvalidJob("body", f"must fit into a Pub/Sub message of 10 MB; it has {len(data)} bytes") from None


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(plain(body))
    except InvalidJob:
        raise
    except RecursionError:
        raise InvalidJob("body", "is nested too deeply") from None
    except ValueError:
        raise InvalidJob("body", "has a number of too many digits") from None


def _checked(kind: str, data: bytes, channel: str) -> str:
    """The person whom a job is about, once it has passed every check that its function makes."""
    match kind:
        case "identify":
            return parse_identify(data).subject
        case "track":
            return parse_track(data).subject
        case "send":
            return parse_send(data, channel).subject
        case "broadcast":
            parse_broadcast(data)
            return ""
        case _:
            return parse_sync(data).subject


def _identifiers(person: Person) -> Mapping[str, Any]:
    return person if isinstance(person, Mapping) else {"id": person}
