"""Forms of the identify topic's messages: one per action on people and objects. Checks are in ``identify.py``.

https://docs.customer.io/integrations/api/track/#operation/entity
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from . import limits
from .fields import ID, CioID, Email, Phone, Seconds

Attributes = Annotated[
    dict[str, Any],
    Meta(
        description=f"at most {limits.MAX_ATTRIBUTES}; names at most {limits.MAX_ATTRIBUTE_NAME_BYTES} bytes, "
        f"text values at most {limits.MAX_ATTRIBUTE_VALUE_BYTES} bytes"
    ),
]

# Customer.io publishes no limit for these, apart from that of the whole item.
RelationshipAttributes = Annotated[dict[str, Any], Meta(description="what is true of the relationship")]


class PersonIdentifiers(msgspec.Struct):
    """Exactly one of these."""

    id: ID | None = None
    email: Email | None = None
    phone: Phone | None = None
    cio_id: CioID | None = None


class ObjectIdentifiers(msgspec.Struct):
    """`object_type_id` and `object_id`, or `cio_object_id` alone."""

    object_type_id: Annotated[str | int, Meta(description='a whole number, sent as text, such as "1"')] | None = None
    object_id: ID | None = None
    cio_object_id: Annotated[str, Meta(description="Customer.io's own id of the object")] | None = None


class ObjectRelationship(msgspec.Struct):
    """A person's relationship to an object."""

    identifiers: ObjectIdentifiers
    relationship_attributes: RelationshipAttributes | None = None


class PersonRelationship(msgspec.Struct):
    """An object's relationship to a person."""

    identifiers: PersonIdentifiers
    relationship_attributes: RelationshipAttributes | None = None


class AnonymousIdentifiers(msgspec.Struct):
    """Somebody who is not known yet."""

    anonymous_id: ID


class AnonymousRelationship(msgspec.Struct):
    """An object's relationship to somebody who is not known yet; it becomes the person's when they are."""

    identifiers: AnonymousIdentifiers
    relationship_attributes: RelationshipAttributes | None = None


class DeviceToken(msgspec.Struct):
    """A device by its token."""

    token: Annotated[str, Meta(description="the device's token")]


class Device(DeviceToken):
    """A device that push notifications go to."""

    platform: Annotated[str, Meta(extra_json_schema={"enum": list(limits.PLATFORMS)})]
    last_used: Seconds | None = None
    attributes: dict[str, Any] | None = None


class _PersonJob(msgspec.Struct, kw_only=True):
    type: Literal["person"] = "person"
    identifiers: PersonIdentifiers


class IdentifyPerson(_PersonJob, kw_only=True):
    """Create a person or change the attributes."""

    action: Literal["identify"] = "identify"
    attributes: Attributes | None = None
    timestamp: (
        Annotated[int, Meta(description="unix seconds; an identify older than the last change is dropped silently")]
        | None
    ) = None
    cio_relationships: list[ObjectRelationship] | None = None


class DeletePerson(_PersonJob, kw_only=True):
    """Delete a person. A later identify or event makes a new one."""

    action: Literal["delete"]


class SuppressPerson(_PersonJob, kw_only=True):
    """Delete a person for good and refuse the identifiers from now on."""

    action: Literal["suppress"]


class UnsuppressPerson(_PersonJob, kw_only=True):
    """Accept the identifiers again. What was deleted stays deleted."""

    action: Literal["unsuppress"]


class AddDevice(_PersonJob, kw_only=True):
    """Add a device to a person."""

    action: Literal["add_device"]
    device: Device


class DeleteDevice(_PersonJob, kw_only=True):
    """Delete a person's device."""

    action: Literal["delete_device"]
    device: DeviceToken


class AddRelationships(_PersonJob, kw_only=True):
    """Relate a person to objects."""

    action: Literal["add_relationships"]
    cio_relationships: list[ObjectRelationship]


class DeleteRelationships(_PersonJob, kw_only=True):
    """End a person's relationships to objects."""

    action: Literal["delete_relationships"]
    cio_relationships: list[ObjectRelationship]


class MergePeople(msgspec.Struct, kw_only=True):
    """Merge a second person into a first that exists. Cannot be undone."""

    type: Literal["person"] = "person"
    action: Literal["merge"]
    primary: Annotated[dict[str, Any], Meta(description="exactly one of id, email, cio_id")]
    secondary: Annotated[dict[str, Any], Meta(description="exactly one of id, email, cio_id")]


class _ObjectJob(msgspec.Struct, kw_only=True):
    type: Literal["object"]
    identifiers: ObjectIdentifiers


class IdentifyObject(_ObjectJob, kw_only=True):
    """Create an object or change its attributes."""

    action: Literal["identify"] = "identify"
    attributes: Attributes | None = None
    timestamp: Seconds | None = None
    cio_relationships: list[PersonRelationship] | None = None


class IdentifyObjectAnonymously(_ObjectJob, kw_only=True):
    """Create an object or change its attributes, and relate it to people who are not known yet."""

    action: Literal["identify_anonymous"]
    attributes: Attributes | None = None
    timestamp: Seconds | None = None
    cio_relationships: list[AnonymousRelationship] | None = None


class DeleteObject(_ObjectJob, kw_only=True):
    """Delete an object."""

    action: Literal["delete"]


class RelateObject(_ObjectJob, kw_only=True):
    """Relate an object to people, or end those relationships."""

    action: Literal["add_relationships", "delete_relationships"]
    cio_relationships: list[PersonRelationship]


IDENTIFY_FORMS: dict[tuple[str, str], type[msgspec.Struct]] = {
    ("person", "identify"): IdentifyPerson,
    ("person", "delete"): DeletePerson,
    ("person", "suppress"): SuppressPerson,
    ("person", "unsuppress"): UnsuppressPerson,
    ("person", "merge"): MergePeople,
    ("person", "add_device"): AddDevice,
    ("person", "delete_device"): DeleteDevice,
    ("person", "add_relationships"): AddRelationships,
    ("person", "delete_relationships"): DeleteRelationships,
    ("object", "identify"): IdentifyObject,
    ("object", "identify_anonymous"): IdentifyObjectAnonymously,
    ("object", "delete"): DeleteObject,
    ("object", "add_relationships"): RelateObject,
    ("object", "delete_relationships"): RelateObject,
}
