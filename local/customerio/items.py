"""The published rules of one Track v2 operation, as `/api/v2/entity` and `/api/v2/batch` take it.

`check` returns what Customer.io would refuse, as reason, field and message. An empty list means accepted.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from local.customerio.exchange import ItemError
from local.customerio.ids import is_ulid
from shared.jobs import limits as published

type Item = dict[str, Any]
type Errors = list[ItemError]
type Check = Callable[[Item, Errors], None]

_PERSON = ("id", "email", "phone", "cio_id")
# Segment's integration sends anonymous_id for anonymous events, although the published schema does not have it.
_EVENT_PERSON = (*_PERSON, "anonymous_id")
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
# A character takes at most four bytes of UTF-8, so a text of a quarter of the limit need not be encoded to be measured.
_MAX_BYTES_PER_CHARACTER = 4


def check(item: object) -> Errors:
    """Return the first problem of a decoded operation, or None. The caller has its bytes, and checks the size."""
    errors: Errors = []
    if not isinstance(item, dict):
        return [ItemError("invalid", "", "must be an object")]
    kind, action = item.get("type"), item.get("action")
    rule = _RULES.get((kind, action)) if isinstance(kind, str) and isinstance(action, str) else None
    if rule is not None:
        rule(item, errors)
    elif kind not in ("person", "object", "delivery"):
        _bad(errors, item, "type", "must be person, object or delivery")
    else:
        _bad(errors, item, "action", f"is not an action of type {kind}")
    return errors


def too_long(text: str, limit: int) -> bool:
    return len(text) * _MAX_BYTES_PER_CHARACTER > limit and len(text.encode()) > limit


def check_identifiers(value: object, allowed: Iterable[str], field: str, errors: Errors) -> None:
    """Check that there is exactly one identifier, of an allowed kind, not blank, at most 150 bytes."""
    if value is None:
        errors.append(ItemError("required", field, "is required"))
    elif not isinstance(value, dict) or len(value) != 1:
        errors.append(ItemError("invalid", field, "must hold exactly one identifier"))
    else:
        kind, identifier = next(iter(value.items()))
        if kind not in allowed:
            errors.append(ItemError("invalid", f"{field}.{kind}", "is not a known identifier"))
        else:
            _check_identifier(kind, identifier, f"{field}.{kind}", errors)


def check_attributes(value: object, errors: Errors) -> None:
    """Check attributes of a person or object: at most 300, names up to 150 bytes, texts up to 1000 bytes."""
    if value is None:
        return
    if not isinstance(value, dict):
        errors.append(ItemError("invalid", "attributes", "must be an object"))
        return
    if len(value) > published.MAX_ATTRIBUTES:
        errors.append(ItemError("invalid", "attributes", f"cannot be more than {published.MAX_ATTRIBUTES}"))
    for name, content in value.items():
        if too_long(name, published.MAX_ATTRIBUTE_NAME_BYTES):
            message = f"property name cannot be longer than {published.MAX_ATTRIBUTE_NAME_BYTES} bytes"
            errors.append(ItemError("invalid", "attributes", message))
        if isinstance(content, str) and too_long(content, published.MAX_ATTRIBUTE_VALUE_BYTES):
            message = f"property value cannot be longer than {published.MAX_ATTRIBUTE_VALUE_BYTES} bytes"
            errors.append(ItemError("invalid", f"attributes.{name}", message))


def check_event(item: Item, errors: Errors) -> None:
    """Check the name, the ULID and the attributes of an event."""
    name = item.get("name")
    if not isinstance(name, str) or not name.strip():
        _bad(errors, item, "name", "must be a non-blank text")
    elif too_long(name.strip(), published.MAX_EVENT_NAME_BYTES):
        errors.append(ItemError("invalid", "name", f"cannot be longer than {published.MAX_EVENT_NAME_BYTES} bytes"))
    if "id" in item and not is_ulid(item["id"]):
        errors.append(ItemError("invalid", "id", "must be a valid ULID"))
    if not isinstance(item.get("attributes", {}), dict):
        errors.append(ItemError("invalid", "attributes", "must be an object"))


def check_device(device: object, token_field: str, errors: Errors, *, platform: bool = True) -> None:
    """Check a device: `{token, platform}`. v1 calls the token `id`."""
    if not isinstance(device, dict):
        errors.append(ItemError("required", "device", "must be an object"))
        return
    token = device.get(token_field)
    if not isinstance(token, str) or not token:
        _bad(errors, device, token_field, "must be a non-blank text", within="device.")
    if platform and device.get("platform") not in published.PLATFORMS:
        _bad(errors, device, "platform", "must be ios or android", within="device.")


def check_merge(item: Item, errors: Errors) -> None:
    check_identifiers(item.get("primary"), _PERSON, "primary", errors)
    check_identifiers(item.get("secondary"), _PERSON, "secondary", errors)


def _check_identifier(kind: str, value: object, field: str, errors: Errors) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        errors.append(ItemError("invalid", field, "must be a non-blank text"))
    elif isinstance(value, str) and too_long(value, published.MAX_ID_BYTES):
        errors.append(ItemError("invalid", field, f"cannot be longer than {published.MAX_ID_BYTES} bytes"))
    elif kind == "email" and "@" not in str(value):
        errors.append(ItemError("invalid", field, "must be an email address"))
    elif kind == "phone" and not _PHONE.fullmatch(str(value)):
        errors.append(ItemError("invalid", field, "must be an E.164 number"))


def _check_object_identifiers(value: object, field: str, errors: Errors) -> None:
    if not isinstance(value, dict):
        errors.append(ItemError("required", field, "is required"))
    elif "cio_object_id" in value:
        _check_identifier("cio_object_id", value["cio_object_id"], f"{field}.cio_object_id", errors)
    else:
        kind = value.get("object_type_id")
        if not isinstance(kind, str) or not kind.isdecimal():
            _bad(errors, value, "object_type_id", "must be a number written as text", within=f"{field}.")
        _check_identifier("object_id", value.get("object_id"), f"{field}.object_id", errors)


def _relationships(check_end: Callable[[object, str, Errors], None], *, required: bool) -> Check:
    def rule(item: Item, errors: Errors) -> None:
        relationships = item.get("cio_relationships")
        if relationships is None and not required:
            return
        if not isinstance(relationships, list) or (required and not relationships):
            _bad(errors, item, "cio_relationships", "must be a non-empty list")
            return
        for index, relationship in enumerate(relationships):
            field = f"cio_relationships.{index}"
            if isinstance(relationship, dict):
                check_end(relationship.get("identifiers"), f"{field}.identifiers", errors)
            else:
                errors.append(ItemError("invalid", field, "must be an object"))

    return rule


def _check_person_end(value: object, field: str, errors: Errors) -> None:
    check_identifiers(value, _EVENT_PERSON, field, errors)


def _bad(errors: Errors, holder: Item, field: str, message: str, within: str = "") -> None:
    if holder.get(field) is None:
        errors.append(ItemError("required", within + field, "is required"))
    else:
        errors.append(ItemError("invalid", within + field, message))


def _person(item: Item, errors: Errors) -> None:
    check_identifiers(item.get("identifiers"), _PERSON, "identifiers", errors)


def _event_person(item: Item, errors: Errors) -> None:
    check_identifiers(item.get("identifiers"), _EVENT_PERSON, "identifiers", errors)


def _object(item: Item, errors: Errors) -> None:
    _check_object_identifiers(item.get("identifiers"), "identifiers", errors)


def _attributes(item: Item, errors: Errors) -> None:
    check_attributes(item.get("attributes"), errors)


def _add_device(item: Item, errors: Errors) -> None:
    check_device(item.get("device"), "token", errors)


def _delete_device(item: Item, errors: Errors) -> None:
    check_device(item.get("device"), "token", errors, platform=False)


def _no_identifiers(item: Item, errors: Errors) -> None:
    if "identifiers" in item:
        errors.append(ItemError("invalid", "identifiers", "cannot be used with merge"))


def _delivery_event(item: Item, errors: Errors) -> None:
    check_identifiers(item.get("identifiers"), ("id",), "identifiers", errors)
    if item.get("name") not in published.DELIVERY_METRICS:
        _bad(errors, item, "name", "must be opened, converted or delivered")
    attributes = item.get("attributes")
    token = attributes.get("device_token") if isinstance(attributes, dict) else None
    if not isinstance(token, str) or not token:
        errors.append(ItemError("required", "attributes.device_token", "is required"))


def _all(*rules: Check) -> Check:
    def rule(item: Item, errors: Errors) -> None:
        for one in rules:
            one(item, errors)

    return rule


_TO_OBJECTS = _relationships(_check_object_identifiers, required=False)
_TO_PEOPLE = _relationships(_check_person_end, required=False)
_TO_OBJECTS_REQUIRED = _relationships(_check_object_identifiers, required=True)
_TO_PEOPLE_REQUIRED = _relationships(_check_person_end, required=True)
_EVENT = _all(_event_person, check_event)
_OBJECT_IDENTIFY = _all(_object, _attributes, _TO_PEOPLE)

_RULES: dict[tuple[str, str], Check] = {
    ("person", "identify"): _all(_person, _attributes, _TO_OBJECTS),
    ("person", "delete"): _person,
    ("person", "event"): _EVENT,
    ("person", "screen"): _EVENT,
    ("person", "page"): _EVENT,
    ("person", "add_relationships"): _all(_person, _TO_OBJECTS_REQUIRED),
    ("person", "delete_relationships"): _all(_person, _TO_OBJECTS_REQUIRED),
    ("person", "add_device"): _all(_person, _add_device),
    ("person", "delete_device"): _all(_person, _delete_device),
    ("person", "merge"): _all(check_merge, _no_identifiers),
    ("person", "suppress"): _person,
    ("person", "unsuppress"): _person,
    ("object", "identify"): _OBJECT_IDENTIFY,
    ("object", "identify_anonymous"): _OBJECT_IDENTIFY,
    ("object", "delete"): _object,
    ("object", "add_relationships"): _all(_object, _TO_PEOPLE_REQUIRED),
    ("object", "delete_relationships"): _all(_object, _TO_PEOPLE_REQUIRED),
    ("delivery", "event"): _delivery_event,
}
