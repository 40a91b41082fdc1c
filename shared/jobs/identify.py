"""The identify topic: people and objects, every Track v2 action that is not an event. Forms: ``identify_schema.py``."""

from collections.abc import Callable, Iterable
from typing import Any

from ..attributes import JobAttributes
from ..errors import InvalidJob
from . import limits
from .checks import (
    Body,
    check_attributes,
    check_data_size,
    check_form,
    check_id,
    check_identifiers,
    check_item_size,
    check_not_empty,
    check_timestamp,
    read_object,
)
from .fields import PERSON_IDENTIFIERS
from .identify_schema import IDENTIFY_FORMS
from .operation import TrackOperation, person_key

_MERGE_IDENTIFIERS = ("id", "email", "cio_id")
_OBJECT_TYPE_ID = "object_type_id"
_EVENTS = frozenset({"event", "page", "screen"})


def parse(data: bytes, _: JobAttributes) -> TrackOperation:
    """Check an identify job. ``type`` defaults to ``person``, ``action`` to ``identify``.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    check_data_size(data, limits.MAX_TRACK_DATA_BYTES)
    body = {"type": "person", "action": "identify", **read_object(data)}
    kind, action = body["type"], body["action"]
    if not isinstance(kind, str) or not isinstance(action, str) or (kind, action) not in IDENTIFY_FORMS:
        raise _unknown_form(kind, action)
    check_form(body, IDENTIFY_FORMS[kind, action])
    operation = _CHECKS.get((kind, action), _person if kind == "person" else _object)(body)
    check_item_size(operation.body, len(data))
    return operation


def _unknown_form(kind: Any, action: Any) -> InvalidJob:
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
    if relationships := body.get("cio_relationships"):
        # Customer.io documents both anonymous ids and known people for identify_anonymous, and judges which it takes.
        anonymous = ("anonymous_id",) if body["action"] == "identify_anonymous" else ()
        names = (*PERSON_IDENTIFIERS, *anonymous)
        body["cio_relationships"] = [_to_person(each, n, names) for n, each in enumerate(relationships)]
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
    check_not_empty(device["token"], "device.token")
    if body["action"] == "add_device" and device["platform"] not in limits.PLATFORMS:
        raise InvalidJob("device.platform", f"must be {' or '.join(limits.PLATFORMS)}")
    check_timestamp(device.get("last_used"), "device.last_used")
    return _person(body)


def _relationships(body: Body) -> TrackOperation:
    if not body["cio_relationships"]:
        raise InvalidJob("cio_relationships", "must not be empty")
    return _person(body) if body["type"] == "person" else _object(body)


_CHECKS: dict[tuple[str, str], Callable[[Body], TrackOperation]] = {
    ("person", "merge"): _merge,
    ("person", "add_device"): _device,
    ("person", "delete_device"): _device,
    ("person", "add_relationships"): _relationships,
    ("person", "delete_relationships"): _relationships,
    ("object", "add_relationships"): _relationships,
    ("object", "delete_relationships"): _relationships,
}


def _check_common(body: Body) -> None:
    if attributes := body.get("attributes"):
        check_attributes(attributes)
    check_timestamp(body.get("timestamp"))


def _to_object(relationship: Body, number: int) -> Body:
    field = f"cio_relationships[{number}].identifiers"
    return {**relationship, "identifiers": _object_identifiers(relationship["identifiers"], field)}


def _to_person(relationship: Body, number: int, names: Iterable[str]) -> Body:
    field = f"cio_relationships[{number}].identifiers"
    name, value = check_identifiers(relationship["identifiers"], names, field)
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
