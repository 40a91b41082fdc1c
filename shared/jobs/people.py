"""Jobs of the identify topic: people and objects, every action of Track v2 that is no event.

https://docs.customer.io/integrations/api/track/#operation/entity
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.jobs import limits
from shared.jobs.checks import (
    Body,
    check_attributes,
    check_form,
    check_id,
    check_identifiers,
    check_size,
    check_timestamp,
    read_object,
)
from shared.jobs.errors import InvalidJob
from shared.jobs.operation import TrackOperation, person_key

ID = Annotated[str | int, Meta(description=f"at most {limits.ID_BYTES} bytes; a number is written as text")]
Email = Annotated[str, Meta(description=f"an email address, at most {limits.ID_BYTES} bytes")]
Phone = Annotated[str, Meta(description="E.164, where the workspace identifies people by phone")]
CioID = Annotated[str, Meta(description="Customer.io's own id, without the prefix `cio_`")]
Seconds = Annotated[int, Meta(description="unix seconds, not milliseconds")]
Attributes = Annotated[
    dict[str, Any],
    Meta(
        description=f"at most {limits.ATTRIBUTES}; names at most {limits.ATTRIBUTE_NAME_BYTES} bytes, "
        f"text values at most {limits.ATTRIBUTE_VALUE_BYTES} bytes"
    ),
]

PERSON_IDENTIFIERS = ("id", "email", "phone", "cio_id")
_MERGE_IDENTIFIERS = ("id", "email", "cio_id")
_OBJECT_TYPE_ID = "object_type_id"


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
    relationship_attributes: Attributes | None = None


class PersonRelationship(msgspec.Struct):
    """An object's relationship to a person."""

    identifiers: PersonIdentifiers
    relationship_attributes: Attributes | None = None


class Device(msgspec.Struct):
    """A device that push notifications go to."""

    token: Annotated[str, Meta(description="the device's token")]
    platform: Annotated[str, Meta(description="`ios` or `android`")] | None = None
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
    """Take the identifiers back. What was deleted stays deleted."""

    action: Literal["unsuppress"]


class AddDevice(_PersonJob, kw_only=True):
    """Add a device to a person."""

    action: Literal["add_device"]
    device: Device


class DeleteDevice(_PersonJob, kw_only=True):
    """Delete a device of a person."""

    action: Literal["delete_device"]
    device: Device


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

    action: Literal["identify", "identify_anonymous"] = "identify"
    attributes: Attributes | None = None
    timestamp: Seconds | None = None
    cio_relationships: list[Any] | None = None


class DeleteObject(_ObjectJob, kw_only=True):
    """Delete an object."""

    action: Literal["delete"]


class RelateObject(_ObjectJob, kw_only=True):
    """Relate an object to people, or end that."""

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
    ("object", "identify_anonymous"): IdentifyObject,
    ("object", "delete"): DeleteObject,
    ("object", "add_relationships"): RelateObject,
    ("object", "delete_relationships"): RelateObject,
}
_EVENTS = frozenset({"event", "page", "screen"})


def parse_identify(data: bytes) -> TrackOperation:
    """Check a job of the identify topic. ``type`` defaults to ``person``, ``action`` to ``identify``.

    Raises:
        InvalidJob: it can never succeed.
    """
    body = {"type": "person", "action": "identify", **read_object(data)}
    kind, action = body["type"], body["action"]
    if not isinstance(kind, str) or not isinstance(action, str) or (kind, action) not in IDENTIFY_FORMS:
        raise _unknown(kind, action)
    check_form(body, IDENTIFY_FORMS[kind, action])
    operation = _CHECKS.get((kind, action), _person if kind == "person" else _object)(body)
    check_size(data, operation.body)
    return operation


def _unknown(kind: Any, action: Any) -> InvalidJob:
    if isinstance(action, str) and action in _EVENTS:
        return InvalidJob("action", "events go to the track topic, not to this one")
    known = sorted({name for _, name in IDENTIFY_FORMS})
    return InvalidJob(
        "action" if kind in ("person", "object") else "type",
        f"must be person or object with one of: {', '.join(known)}",
    )


def _person(body: Body) -> TrackOperation:
    name, value = check_identifiers(body["identifiers"], PERSON_IDENTIFIERS)
    body["identifiers"] = {name: value}
    _check_common(body)
    if relationships := body.get("cio_relationships"):
        body["cio_relationships"] = [_to_object(each, n) for n, each in enumerate(relationships)]
    return TrackOperation(person_key(name, value), body, body["action"], ordered=True)


def _object(body: Body) -> TrackOperation:
    body["identifiers"] = _object_identifiers(body["identifiers"], "identifiers")
    _check_common(body)
    return TrackOperation(_object_key(body["identifiers"]), body, body["action"], ordered=True)


def _merge(body: Body) -> TrackOperation:
    keys = []
    for side in ("primary", "secondary"):
        name, value = check_identifiers(body[side], _MERGE_IDENTIFIERS, side)
        body[side] = {name: value}
        keys.append(person_key(name, value))
    if keys[0] == keys[1]:
        raise InvalidJob("secondary", "must be another person than primary")
    return TrackOperation(keys[0], body, "merge", ordered=True, others=(keys[1],))


def _device(body: Body) -> TrackOperation:
    device = body["device"]
    check_id_not_empty(device["token"], "device.token")
    if body["action"] == "add_device" and device.get("platform") not in {"ios", "android"}:
        raise InvalidJob("device.platform", "must be ios or android")
    check_timestamp(device.get("last_used"), "device.last_used")
    return _person(body)


def _relationships(body: Body) -> TrackOperation:
    if not body["cio_relationships"]:
        raise InvalidJob("cio_relationships", "must not be empty")
    if body["type"] == "person":
        return _person(body)
    body["cio_relationships"] = [_to_person(each, n) for n, each in enumerate(body["cio_relationships"])]
    return _object(body)


_CHECKS: dict[tuple[str, str], Callable[[Body], TrackOperation]] = {
    ("person", "merge"): _merge,
    ("person", "add_device"): _device,
    ("person", "delete_device"): _device,
    ("person", "add_relationships"): _relationships,
    ("person", "delete_relationships"): _relationships,
    ("object", "add_relationships"): _relationships,
    ("object", "delete_relationships"): _relationships,
}


def check_id_not_empty(text: str, field: str) -> None:
    if not text.strip():
        raise InvalidJob(field, "must not be empty")


def _check_common(body: Body) -> None:
    if attributes := body.get("attributes"):
        check_attributes(attributes)
    check_timestamp(body.get("timestamp"))


def _to_object(relationship: Body, number: int) -> Body:
    field = f"cio_relationships[{number}].identifiers"
    return {**relationship, "identifiers": _object_identifiers(relationship["identifiers"], field)}


def _to_person(relationship: Body, number: int) -> Body:
    field = f"cio_relationships[{number}].identifiers"
    name, value = check_identifiers(relationship["identifiers"], PERSON_IDENTIFIERS, field)
    return {**relationship, "identifiers": {name: value}}


def _object_identifiers(identifiers: Body, field: str) -> Body:
    if identifiers.get("cio_object_id") is not None:
        if identifiers.get(_OBJECT_TYPE_ID) is not None or identifiers.get("object_id") is not None:
            raise InvalidJob(field, "must have object_type_id and object_id, or cio_object_id alone")
        check_id(identifiers["cio_object_id"], f"{field}.cio_object_id")
        return {"cio_object_id": identifiers["cio_object_id"]}
    for name in (_OBJECT_TYPE_ID, "object_id"):
        if identifiers.get(name) is None:
            raise InvalidJob(f"{field}.{name}", "is required")
    kind, number = str(identifiers[_OBJECT_TYPE_ID]), str(identifiers["object_id"])
    if not (kind.isascii() and kind.isdecimal()):
        raise InvalidJob(f"{field}.{_OBJECT_TYPE_ID}", "must be a whole number")
    check_id(number, f"{field}.object_id")
    return {_OBJECT_TYPE_ID: kind, "object_id": number}


def _object_key(identifiers: Body) -> str:
    if "cio_object_id" in identifiers:
        return f"object:{identifiers['cio_object_id']}"
    return f"object:{identifiers[_OBJECT_TYPE_ID]}:{identifiers['object_id']}"
