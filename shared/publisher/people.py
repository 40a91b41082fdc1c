"""Publishing methods about people."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .base import JobPublisher, Person, identifiers
from .job_future import JobFuture
from .options import JobOptions, When


class PeopleMethods(JobPublisher):
    """Identify, delete, suppress and merge people; their devices and relationships."""

    def identify(
        self,
        person: Person,
        attributes: Mapping[str, Any] | None = None,
        /,
        *,
        timestamp: When | None = None,
        options: JobOptions | None = None,
        **more_attributes: Any,
    ) -> JobFuture:
        """Create a person, or change attributes, given by name or as a mapping.

        Args:
            person: The person's id, or a mapping with one identifier.
            attributes: Attributes as a mapping, for names that are not Python names, or ``timestamp`` or ``options``.
            timestamp: Time of the change. Customer.io silently drops the change if the person has changed since.
            options: The job's options.
            more_attributes: Attributes by name. They win over the mapping's.

        Raises:
            InvalidJob: if the job can never succeed. Every publishing method raises it.
        """
        fields: dict[str, Any] = {"attributes": {**(attributes or {}), **more_attributes}}
        if timestamp is not None:
            fields["timestamp"] = timestamp
        return self._person("identify", person, options, **fields)

    def delete(self, person: Person, *, options: JobOptions | None = None) -> JobFuture:
        """Delete a person; a later job makes a new one."""
        return self._person("delete", person, options)

    def suppress(self, person: Person, *, options: JobOptions | None = None) -> JobFuture:
        """Delete a person for good and refuse the identifiers from now on."""
        return self._person("suppress", person, options)

    def unsuppress(self, person: Person, *, options: JobOptions | None = None) -> JobFuture:
        """Accept the identifiers again. What was deleted stays deleted."""
        return self._person("unsuppress", person, options)

    def merge(self, primary: Person, secondary: Person, *, options: JobOptions | None = None) -> JobFuture:
        """Merge ``secondary`` into ``primary``, which must exist. This cannot be undone."""
        body = {"action": "merge", "primary": identifiers(primary), "secondary": identifiers(secondary)}
        return self._publish("identify", body, options)

    def add_device(
        self,
        person: Person,
        token: str,
        platform: Literal["ios", "android"],
        *,
        last_used: When | None = None,
        attributes: Mapping[str, Any] | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Add a device.

        Args:
            person: The person's id, or a mapping with one identifier.
            token: The device's token.
            platform: ``ios`` or ``android``.
            last_used: Time at which the device was last used.
            attributes: Attributes of the device.
            options: The job's options.
        """
        given = {"token": token, "platform": platform, "last_used": last_used, "attributes": attributes}
        device = {name: value for name, value in given.items() if value is not None}
        return self._person("add_device", person, options, device=device)

    def delete_device(self, person: Person, token: str, *, options: JobOptions | None = None) -> JobFuture:
        """Delete a device."""
        return self._person("delete_device", person, options, device={"token": token})

    def add_relationships(
        self, person: Person, relationships: Sequence[Mapping[str, Any]], *, options: JobOptions | None = None
    ) -> JobFuture:
        """Relate a person to objects: ``[{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]``."""
        return self._person("add_relationships", person, options, cio_relationships=relationships)

    def delete_relationships(
        self, person: Person, relationships: Sequence[Mapping[str, Any]], *, options: JobOptions | None = None
    ) -> JobFuture:
        """End a person's relationships to objects."""
        return self._person("delete_relationships", person, options, cio_relationships=relationships)

    def _person(self, action: str, person: Person, options: JobOptions | None, **fields: Any) -> JobFuture:
        return self._publish("identify", {"action": action, "identifiers": identifiers(person), **fields}, options)
