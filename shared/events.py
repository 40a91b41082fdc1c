"""Customer.io's reporting webhooks: one JSON object per event, read tolerantly, and its row in BigQuery.

Format: https://docs.customer.io/integrations/api/webhooks/. Its published schema and real payloads differ (fields it
requires are missing, timestamps and ids come as text, object types and metrics are added), so only what identifies an
event is demanded. What has no column of its own (``content``, ``headers``, whatever is new) is in the row's ``raw``.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

# The legacy shape joins object type and metric, e.g. ``email_sent``; ``in_app`` has an underscore of its own.
_LEGACY_EVENT_TYPE = re.compile(r"(in_app|[a-z]+)_(\w+)")
_ATTRIBUTE_BYTES = 1024
_INT64 = range(-(2**63), 2**63)

# Fields that become Pub/Sub attributes beside event_id, object_type and metric, so that subscriptions can filter.
_ROUTED = ("campaign_id", "newsletter_id", "broadcast_id", "transactional_message_id")


class NotAnEventError(ValueError):
    """The body is not an event. The text says what was expected and quotes nothing."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event as Customer.io reported it.

    Args:
        event_id: Unique id. It is not always a ULID: published samples have 27 characters.
        metric: What happened, e.g. ``sent``; any text.
        object_type: What it happened to, e.g. ``email`` or ``customer``; any text, empty if Customer.io left it out.
        time: When it happened; None if missing or not a time.
        data: Everything else, as it came.
    """

    event_id: str
    metric: str
    object_type: str
    time: datetime | None
    data: dict[str, Any]

    @property
    def person(self) -> str:
        """The person's key, e.g. ``id:42``; empty if the event names nobody."""
        identifiers = _object(self.data.get("identifiers"))
        for name in ("id", "cio_id", "email"):
            if value := _text(identifiers.get(name)):
                return f"{name}:{value}"
        customer_id = _text(self.data.get("customer_id"))
        return f"id:{customer_id}" if customer_id else ""


def read_event(body: bytes) -> Event:
    """Read the body of a webhook whose signature was verified.

    An event is a JSON object with a non-empty ``event_id`` and a non-empty ``metric``, or ``event_type`` in its place
    (the legacy shape). ``object_type`` may be missing or be called ``object_type_type``, as in Customer.io's schema of
    ``cio_subscription_preferences_changed``.

    Raises:
        NotAnEventError: if the body is not an event.
    """
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # The parser's own text may quote the body.
        msg = "the body is not JSON"
        raise NotAnEventError(msg) from None
    if not isinstance(fields, dict):
        msg = "the body is not a JSON object"
        raise NotAnEventError(msg)
    event_id = _text(fields.get("event_id"))
    if not event_id:
        msg = "event_id is missing"
        raise NotAnEventError(msg)
    object_type, metric = _what_happened(fields)
    if not metric:
        msg = "metric is missing"
        raise NotAnEventError(msg)
    return Event(
        event_id=event_id,
        metric=metric,
        object_type=object_type,
        time=_time(fields.get("timestamp")),
        data=_object(fields.get("data")),
    )


def event_attributes(event: Event) -> dict[str, str]:
    """Make the Pub/Sub attributes by which subscriptions filter.

    They are ``event_id``, ``object_type``, ``metric`` and the message's origin, whichever is known: ``campaign_id``,
    ``newsletter_id``, ``broadcast_id``, ``transactional_message_id``. A value that is longer than 1024 bytes (Pub/Sub's
    limit) or not printable ASCII is left out: the message's data holds it.
    """
    candidates = {"event_id": event.event_id, "object_type": event.object_type, "metric": event.metric}
    candidates |= {name: _text(event.data.get(name)) or "" for name in _ROUTED}
    return {
        name: value
        for name, value in candidates.items()
        if value and len(value) <= _ATTRIBUTE_BYTES and value.isascii() and value.isprintable()
    }


def to_row(raw: bytes, received_at: datetime) -> dict[str, Any]:
    """Make the row of table ``events`` (``terraform/schemas/events.json``) from a body, in BigQuery's JSON form.

    Columns without a value are left out, as is a value that does not fit its column's type; ``raw`` holds it.

    Args:
        raw: The body, as received.
        received_at: When the webhook came in, with a timezone.

    Raises:
        NotAnEventError: if the body is not an event.
    """
    return event_row(read_event(raw), raw, received_at)


def event_row(event: Event, raw: bytes, received_at: datetime) -> dict[str, Any]:
    """Make the row as ``to_row`` does, from an event that was read already."""
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "received_at": received_at.astimezone(UTC).isoformat(),
        "event_time": event.time.isoformat() if event.time else None,
        "object_type": event.object_type or None,
        "metric": event.metric,
    }
    for source, column, convert in _COLUMNS:
        row[column] = convert(event.data.get(source))
    identifiers = _object(event.data.get("identifiers"))
    row |= {f"person_{name}": _text(identifiers.get(name)) for name in ("id", "email", "cio_id")}
    row["recipients"] = _recipients(event.data.get("recipients")) or None
    row["raw"] = raw.decode()  # read_event took it, so it is UTF-8
    return {column: value for column, value in row.items() if value is not None}


def row_id(raw: bytes) -> str:
    """Make the key by which BigQuery drops a row that it took within the last minute: 64 characters of 128 allowed.

    https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery#dataconsistency. It is a hash of
    the whole body, not ``event_id``: a repeated delivery has the same bytes, and two bodies with one id are both kept
    for the view ``events_deduplicated`` to judge.
    """
    return hashlib.sha256(raw).hexdigest()


def _what_happened(fields: Mapping[str, Any]) -> tuple[str, str]:
    object_type = _text(fields.get("object_type")) or _text(fields.get("object_type_type")) or ""
    if metric := _text(fields.get("metric")):
        return object_type, metric
    event_type = _text(fields.get("event_type")) or ""
    legacy = _LEGACY_EVENT_TYPE.fullmatch(event_type)
    return (object_type or legacy[1], legacy[2]) if legacy else (object_type, event_type)


def _time(value: Any) -> datetime | None:
    """Read Unix seconds, given as a number or as text."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    """Return text as it is, empty included, and a number in its JSON form: ids come as either."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if number in _INT64 and (isinstance(value, str) or number == value) else None


def _flag(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value)
    return value if isinstance(value, bool) else None


def _recipients(value: Any) -> list[dict[str, str]]:
    """Read the devices of a push message."""
    items = value if isinstance(value, list) else []
    devices = [
        {name: text for name in ("device_id", "device_platform", "failure_message") if (text := _text(item.get(name)))}
        for item in items
        if isinstance(item, dict)
    ]
    return [device for device in devices if device]


def _same(convert: Callable[[Any], Any], *names: str) -> list[tuple[str, str, Callable[[Any], Any]]]:
    return [(name, name, convert) for name in names]


# Each entry: field of ``data``, column, conversion.
_COLUMNS = [
    *_same(_text, "delivery_id", "customer_id", "email_address", "recipient", "subject", "failure_message", "href"),
    *_same(_text, "tracked_response", "inbound_event_id", "journey_id", "trigger_event_id", "transactional_message_id"),
    *_same(_integer, "campaign_id", "broadcast_id", "newsletter_id", "action_id", "parent_action_id", "trigger_id"),
    *_same(_integer, "content_id", "link_id"),
    *_same(_flag, "machine", "proxied", "prefetched", "synthetic"),
    ("to", "replied_to", _text),  # TO is a reserved word in GoogleSQL
]
