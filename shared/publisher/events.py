"""Publishing methods about events and delivery metrics."""

from collections.abc import Mapping
from typing import Any

from .base import JobPublisher, Person, identifiers
from .job_future import JobFuture
from .options import JobOptions, When


class EventMethods(JobPublisher):
    """Track events, page and screen views, and report delivery metrics."""

    def track(
        self,
        person: Person,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        id: str | None = None,  # noqa: A002 - Customer.io's name for it
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Record an event.

        Args:
            person: The person's id, or a mapping with one identifier.
            name: The event's name, at most 100 bytes.
            attributes: The event's data.
            timestamp: Time of the event. Default: the time of publishing.
            id: Id by which Customer.io drops a repetition, best a ULID. Default: made from ``job_id``.
            options: The job's options.
        """
        return self._event("event", identifiers(person), name, attributes, timestamp, options, id=id)

    def page(
        self,
        person: Person,
        url: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Record a page view."""
        return self._event("page", identifiers(person), url, attributes, timestamp, options)

    def screen(
        self,
        person: Person,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Record a screen view."""
        return self._event("screen", identifiers(person), name, attributes, timestamp, options)

    def track_anonymous(
        self,
        anonymous_id: str,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Record an event of a person who is not known yet."""
        return self._event("event", {"anonymous_id": anonymous_id}, name, attributes, timestamp, options)

    def delivery_metric(
        self,
        delivery_id: str,
        metric: str,
        *,
        device_token: str | None = None,
        timestamp: When | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Report a delivery metric: ``opened``, ``converted`` or ``delivered``."""
        attributes = None if device_token is None else {"device_token": device_token}
        return self._event("event", {"id": delivery_id}, metric, attributes, timestamp, options, type="delivery")

    def _event(
        self,
        action: str,
        identifiers: Mapping[str, Any],
        name: str,
        attributes: Mapping[str, Any] | None,
        timestamp: When | None,
        options: JobOptions | None,
        **fields: Any,
    ) -> JobFuture:
        given = {"attributes": attributes, "timestamp": timestamp, **fields}
        present = {field: value for field, value in given.items() if value is not None}
        return self._publish("track", {"action": action, "identifiers": identifiers, "name": name, **present}, options)
