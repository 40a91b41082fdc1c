"""Publishing methods about objects: accounts, courses, or whatever else people belong to."""

from collections.abc import Mapping, Sequence
from typing import Any

from .base import JobPublisher
from .job_future import JobFuture
from .options import JobOptions


class ObjectMethods(JobPublisher):
    """Identify and delete objects, and relate them to people."""

    def identify_object(
        self,
        object_type_id: str | int,
        object_id: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Create an object or change its attributes."""
        return self._object("identify", object_type_id, object_id, options, attributes=attributes or {})

    def relate_object(
        self,
        object_type_id: str | int,
        object_id: str | int,
        people: Sequence[Mapping[str, Any]],
        *,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Relate an object to people: ``[{"identifiers": {"id": "42"}}]``."""
        return self._object("add_relationships", object_type_id, object_id, options, cio_relationships=people)

    def relate_object_anonymously(
        self,
        object_type_id: str | int,
        object_id: str | int,
        anonymous_ids: Sequence[str],
        *,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Relate an object to people who are not known yet. They keep the relationship once they are."""
        people = [{"identifiers": {"anonymous_id": each}} for each in anonymous_ids]
        return self._object("identify_anonymous", object_type_id, object_id, options, cio_relationships=people)

    def unrelate_object(
        self,
        object_type_id: str | int,
        object_id: str | int,
        people: Sequence[Mapping[str, Any]],
        *,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """End an object's relationships to people."""
        return self._object("delete_relationships", object_type_id, object_id, options, cio_relationships=people)

    def delete_object(
        self, object_type_id: str | int, object_id: str | int, *, options: JobOptions | None = None
    ) -> JobFuture:
        """Delete an object."""
        return self._object("delete", object_type_id, object_id, options)

    def _object(
        self, action: str, object_type_id: str | int, object_id: str | int, options: JobOptions | None, **fields: Any
    ) -> JobFuture:
        identifiers = {"object_type_id": object_type_id, "object_id": object_id}
        return self._publish(
            "identify", {"type": "object", "action": action, "identifiers": identifiers, **fields}, options
        )
