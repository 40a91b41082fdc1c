"""Jobs of the track topic: events, pages, screens, and what became of a delivery.

https://docs.customer.io/integrations/api/track/#operation/entity
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from . import limits
from .checks import (
    Body,
    check_bytes,
    check_form,
    check_id,
    check_identifiers,
    check_size,
    check_timestamp,
    read_object,
)
from .errors import InvalidJob
from .identify_forms import ID, PERSON_IDENTIFIERS, CioID, Email, Phone, Seconds
from .operation import TrackOperation, person_key
from .ulid import job_ulid

_IDENTIFIERS = (*PERSON_IDENTIFIERS, "anonymous_id")
TRACK_ACTIONS = ("event", "page", "screen")


class EventIdentifiers(msgspec.Struct):
    """Exactly one of these. `anonymous_id` is for people who are not known yet."""

    id: ID | None = None
    email: Email | None = None
    phone: Phone | None = None
    cio_id: CioID | None = None
    anonymous_id: ID | None = None


class PersonEvent(msgspec.Struct, kw_only=True):
    """Something that a person did: an event, a page view or a screen view."""

    type: Literal["person"] = "person"
    action: Literal["event", "page", "screen"] = "event"
    identifiers: EventIdentifiers
    name: Annotated[str, Meta(description=f"at most {limits.EVENT_NAME_BYTES} bytes, not blank; a page's is its URL")]
    id: (
        Annotated[
            str, Meta(description="a ULID by which Customer.io drops a repetition; made from the job's key if absent")
        ]
        | None
    ) = None
    timestamp: Annotated[int, Meta(description="unix seconds; the time of publishing if absent")] | None = None
    attributes: Annotated[dict[str, Any], Meta(description="the event's data (called `data` in Track v1)")] | None = (
        None
    )


class DeliveryIdentifiers(msgspec.Struct):
    """The delivery that was reported on."""

    id: Annotated[str, Meta(description="the `delivery_id` that came with the message")]


class DeliveryEvent(msgspec.Struct, kw_only=True):
    """What became of a message on a device: opened, converted or delivered."""

    type: Literal["delivery"]
    action: Literal["event"] = "event"
    identifiers: DeliveryIdentifiers
    name: Annotated[str, Meta(extra_json_schema={"enum": list(limits.DELIVERY_METRICS)})]
    timestamp: Seconds | None = None
    attributes: Annotated[dict[str, Any], Meta(description="`device_token`, and what else is known")] | None = None


TRACK_FORMS: dict[str, type[msgspec.Struct]] = {"person": PersonEvent, "delivery": DeliveryEvent}


def parse_track(data: bytes, *, event_id: str | None = None, occurred_at: int | None = None) -> TrackOperation:
    """Check a job of the track topic. ``type`` defaults to ``person``, ``action`` to ``event``.

    Args:
        data: the message's data.
        event_id: ULID for an event whose body names none.
        occurred_at: unix seconds for one that names no time: receipt at Customer.io can be hours later.

    Raises:
        InvalidJob: it can never succeed.
    """
    body = {"type": "person", "action": "event", **read_object(data)}
    kind = body["type"]
    if not isinstance(kind, str) or kind not in TRACK_FORMS:
        raise InvalidJob(
            "type", f"must be one of {', '.join(TRACK_FORMS)}; people and objects go to the identify topic"
        )
    if kind == "person":
        _adopt_anonymous_id(body)
        if body["action"] not in TRACK_ACTIONS:
            raise InvalidJob(
                "action", f"must be one of {', '.join(TRACK_ACTIONS)}; other actions go to the identify topic"
            )
        if "data" in body and "attributes" not in body:
            raise InvalidJob("data", "is Track v1's name; Track v2 calls it attributes")
    check_form(body, TRACK_FORMS[kind])
    check_timestamp(body.get("timestamp"))
    if body.get("timestamp") is None and occurred_at is not None:
        body["timestamp"] = occurred_at
    operation = _event(body, event_id) if kind == "person" else _delivery(body)
    check_size(data, operation.body)
    return operation


def _event(body: Body, event_id: str | None) -> TrackOperation:
    _check_name(body["name"])
    name, value = check_identifiers(body["identifiers"], _IDENTIFIERS)
    body["identifiers"] = {name: value}
    given = body.get("id")
    # Customer.io refuses an id that is no ULID (customerio-ruby 6d08ff2), others report that it takes any
    # (action-destinations#690): derived from the one given, it is right either way and repeats where that one does.
    if chosen := job_ulid(given, None) if given else event_id:
        body["id"] = chosen
    return TrackOperation(person_key(name, value), body, body["action"], ordered=False)


def _delivery(body: Body) -> TrackOperation:
    delivery = body["identifiers"]["id"]
    check_id(delivery, "identifiers.id")
    if body["name"] not in limits.DELIVERY_METRICS:
        raise InvalidJob("name", f"must be one of {', '.join(limits.DELIVERY_METRICS)}")
    return TrackOperation(f"delivery:{delivery}", body, "event", ordered=False)


def _check_name(name: str) -> None:
    if not name.strip():
        raise InvalidJob("name", "must not be empty")
    check_bytes(name, limits.EVENT_NAME_BYTES, "name")


def _adopt_anonymous_id(body: Body) -> None:
    """Track v1 has it beside the name, v2 among the identifiers."""
    if "identifiers" not in body and "anonymous_id" in body:
        body["identifiers"] = {"anonymous_id": body.pop("anonymous_id")}
