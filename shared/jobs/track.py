"""The track topic: events, page and screen views, and delivery metrics.

https://docs.customer.io/integrations/api/track/#operation/entity
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..attributes import JobAttributes
from ..errors import InvalidJob
from . import limits
from .checks import (
    Body,
    check_bytes,
    check_data_size,
    check_form,
    check_id,
    check_identifiers,
    check_item_size,
    check_not_empty,
    check_timestamp,
    read_object,
)
from .fields import ID, PERSON_IDENTIFIERS, CioID, Email, Phone, Seconds
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
    name: Annotated[
        str, Meta(description=f"at most {limits.MAX_EVENT_NAME_BYTES} bytes, not blank; a page's is its URL")
    ]
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
    """The delivery that the metric belongs to."""

    id: Annotated[str, Meta(description="the `delivery_id` that came with the message")]


class DeliveryEvent(msgspec.Struct, kw_only=True):
    """A delivery metric, reported by a device: opened, converted or delivered."""

    type: Literal["delivery"]
    action: Literal["event"] = "event"
    identifiers: DeliveryIdentifiers
    name: Annotated[str, Meta(extra_json_schema={"enum": list(limits.DELIVERY_METRICS)})]
    timestamp: Seconds | None = None
    attributes: Annotated[dict[str, Any], Meta(description="`device_token`, and what else is known")] | None = None


TRACK_FORMS: dict[str, type[msgspec.Struct]] = {"person": PersonEvent, "delivery": DeliveryEvent}


def parse(data: bytes, _: JobAttributes) -> TrackOperation:
    """Check a track job. ``type`` defaults to ``person``, ``action`` to ``event``.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    check_data_size(data, limits.MAX_TRACK_DATA_BYTES)
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
    operation = _event(body) if kind == "person" else _delivery(body)
    check_item_size(operation.body, len(data))
    return operation


def _event(body: Body) -> TrackOperation:
    check_not_empty(body["name"], "name")
    check_bytes(body["name"], limits.MAX_EVENT_NAME_BYTES, "name")
    name, value = check_identifiers(body["identifiers"], _IDENTIFIERS)
    body["identifiers"] = {name: value}
    if given := body.get("id"):
        # Customer.io refuses an id that is not a ULID (customerio-ruby 6d08ff2); others report that it takes any
        # (action-destinations#690). A ULID derived from the given id is right either way, and equal ids stay equal.
        body["id"] = job_ulid(given, None)
    return TrackOperation(person_key(name, value), body, body["action"], ordered=False)


def _delivery(body: Body) -> TrackOperation:
    delivery = body["identifiers"]["id"]
    check_id(delivery, "identifiers.id")
    if body["name"] not in limits.DELIVERY_METRICS:
        raise InvalidJob("name", f"must be one of {', '.join(limits.DELIVERY_METRICS)}")
    return TrackOperation(f"delivery:{delivery}", body, "event", ordered=False)


def _adopt_anonymous_id(body: Body) -> None:
    """Move Track v1's top-level ``anonymous_id`` to the identifiers, where Track v2 has it."""
    if "identifiers" not in body and "anonymous_id" in body:
        body["identifiers"] = {"anonymous_id": body.pop("anonymous_id")}
