"""Attributes of messages: a job's, a dead letter's, and Pub/Sub's limits on both. Encoded and decoded only here.

Limits: https://cloud.google.com/pubsub/quotas#resource_limits. What Pub/Sub sets on a message that it forwards:
https://cloud.google.com/pubsub/docs/handling-failures#forwarded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Literal, Self, get_args

import msgspec

from .errors import InvalidJob
from .outcome import Failed

MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024

# Named arguments of PublisherClient.publish: an attribute of such a name cannot be passed to it.
RESERVED = frozenset({"self", "topic", "data", "ordering_key", "retry", "timeout"})
# Put in front of an attribute of the publisher's whose name we or the client need.
ORIGINAL_PREFIX = "original-"
# Pub/Sub keeps names that begin with this for itself.
GOOGLE_PREFIX = "goog"

DeliveryGuarantee = Literal["at_least_once", "at_most_once"]
DELIVERY_GUARANTEES: tuple[DeliveryGuarantee, ...] = get_args(DeliveryGuarantee)
_GUARANTEES: dict[str, DeliveryGuarantee] = {name: name for name in DELIVERY_GUARANTEES}
# Everything that can be said of a job beside its body.
JOB_ATTRIBUTES = frozenset({"job_id", "channel", "audience", "expires_at", "delivery_guarantee", "priority"})

# W3C trace context of the publisher. Google's client sets the first itself where tracing is enabled in it, and Pub/Sub
# allows no other name that begins with ``goog``; it is lost when a job moves to another topic, and the second is not.
TRACEPARENTS = ("googclient_traceparent", "traceparent")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_FORWARDING_PREFIX = "CloudPubSubDeadLetter"
_FORWARDED_FROM = f"{_FORWARDING_PREFIX}SourceSubscription"
_FORWARDED_PUBLISH_TIME = f"{_FORWARDING_PREFIX}SourceTopicPublishTime"
_FORWARDED_COUNT = f"{_FORWARDING_PREFIX}SourceDeliveryCount"
# Set by us wherever a job is published again, so that it keeps its key and an event its time.
_FIRST_PUBLISH_TIME = "first_publish_time"
# Beside a ``job_id`` that the publisher did not choose: the id of the message was taken.
_JOB_ID_FROM = "job_id_from"
_ORIGIN = frozenset({"job_id", _JOB_ID_FROM, _FIRST_PUBLISH_TIME})
_RECEIVED_AT = "received_at"


class JobAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a job, beside its body.

    Args:
        job_id: The publisher's own key of the job, or None.
        channel: Channel of a send.
        audience: ``as_configured`` where a broadcast goes to the audience set up in Customer.io, or None.
        expires_at: Instant after which the job is not done any more, or None.
        delivery_guarantee: What happens to a send whose outcome is unknown.
        is_bulk: Whether the job yields to all others: attribute ``priority`` is ``bulk``.
    """

    job_id: str | None = None
    channel: str = "email"
    audience: str | None = None
    expires_at: datetime | None = None
    delivery_guarantee: DeliveryGuarantee = "at_least_once"
    is_bulk: bool = False

    @classmethod
    def decode(cls, attributes: Mapping[str, str]) -> Self:
        """Read the attributes of a message.

        Raises:
            InvalidJob: if ``expires_at``, ``delivery_guarantee`` or ``priority`` is not one of the documented forms.
        """
        guarantee = _GUARANTEES.get(attributes.get("delivery_guarantee", DELIVERY_GUARANTEES[0]))
        if guarantee is None:
            problem = f"the attribute must be one of {', '.join(DELIVERY_GUARANTEES)}"
            raise InvalidJob("delivery_guarantee", problem)
        return cls(
            job_id=attributes.get("job_id") or None,
            channel=attributes.get("channel", "email"),
            audience=attributes.get("audience"),
            expires_at=_expiry(attributes.get("expires_at")),
            delivery_guarantee=guarantee,
            is_bulk=_is_bulk(attributes.get("priority")),
        )

    @property
    def is_at_most_once(self) -> bool:
        """Whether a send whose outcome is unknown is left to a person."""
        return self.delivery_guarantee == "at_most_once"

    def expired(self, now: datetime) -> Failed | None:
        """The failure of a job whose ``expires_at`` has passed, otherwise None."""
        if self.expires_at is None or self.expires_at > now:
            return None
        passed = f"{self.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return Failed(error_class="expired", reason="expired", field="expires_at", message=f"expired at {passed}")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Origin of a message, as far as its attributes tell.

    Args:
        job_id: Key of the job, or "" where no attribute holds it.
        is_named: Whether the publisher chose that key itself: then two messages with it are one job.
        first_published_at: When the application published the job, or None if this is its first publish.
        forwarded: Whether Pub/Sub itself forwarded the message from another subscription.
    """

    job_id: str
    is_named: bool
    first_published_at: datetime | None
    forwarded: bool = False

    @classmethod
    def decode(cls, attributes: Mapping[str, str]) -> Self:
        """Read the attributes of a message; what cannot be read counts as absent."""
        job_id = attributes.get("job_id", "")
        first = parse_instant(attributes.get(_FIRST_PUBLISH_TIME, ""))
        return cls(
            job_id=job_id,
            is_named=bool(job_id) and _JOB_ID_FROM not in attributes,
            first_published_at=first or parse_instant(attributes.get(_FORWARDED_PUBLISH_TIME, "")),
            forwarded=_FORWARDED_FROM in attributes,
        )

    def encode(self) -> dict[str, str]:
        """Attributes that keep a job's key and time when it is published again: in another lane, or by a replay."""
        attributes = {"job_id": self.job_id}
        if not self.is_named:
            attributes[_JOB_ID_FROM] = "message"
        if self.first_published_at is not None:
            attributes[_FIRST_PUBLISH_TIME] = self.first_published_at.isoformat()
        return attributes


def republished(attributes: Mapping[str, str], origin: Origin) -> dict[str, str]:
    """A job's own attributes for publishing it again, so that it stays the job that it was."""
    own = {
        name: value for name, value in attributes.items() if not name.startswith((_FORWARDING_PREFIX, GOOGLE_PREFIX))
    }
    return origin.encode() | {name: value for name, value in own.items() if name not in _ORIGIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterAttributes:
    """Why a job is in its dead-letter topic, and how it got there. A field is empty where it is not known.

    Args:
        reason: Customer.io's own reason where it gave one, otherwise a word of ours.
        error_class: One of ``outcome.ErrorClass``; the attribute is called ``class``.
        status: HTTP status that decided it, as text.
        field: Dotted path of the field at fault.
        message: A sentence for the operator; never a value out of the body.
        function: Name of the function that gave up.
        attempt: Delivery attempt in its lane, as text.
        lane: Lane that it was in.
        ordering_key: Ordering key of the message.
    """

    reason: str = ""
    error_class: str = ""
    status: str = ""
    field: str = ""
    message: str = ""
    function: str = ""
    attempt: str = ""
    lane: str = ""
    ordering_key: str = ""

    def encode(self, original: Mapping[str, str], origin: Origin) -> dict[str, str]:
        """Attributes of the dead letter: the job's key and time, this, then the job's own, as ``original`` has them.

        Ours come first, so that they survive where the publisher's are too many. The publisher's of the same name get
        the prefix ``original-``. What a forward by Pub/Sub left is dropped: it would mislead a second forward.
        """
        ours = {_NAMES.get(name, name): truncate(str(getattr(self, name))) for name in _DEAD_LETTER_FIELDS}
        theirs = {
            f"{ORIGINAL_PREFIX}{name}" if name in ours else name: value
            for name, value in original.items()
            if name not in _ORIGIN and not name.startswith(_FORWARDING_PREFIX)
        }
        return origin.encode() | {name: value for name, value in ours.items() if value} | theirs

    @classmethod
    def decode(cls, attributes: Mapping[str, str]) -> tuple[Self, dict[str, str]]:
        """Tell why a message is a dead letter from the job's own attributes, which come second.

        Three kinds of messages wait in a dead-letter topic: those that a function published, with its reason; those
        that Pub/Sub forwarded, without one; and whatever anybody else put there. Only of the first are attributes
        taken off, because a job may have a ``reason`` of its own.
        """
        if _FORWARDED_FROM in attributes:
            forwarded = cls(
                reason="forwarded",
                error_class="attempts_spent",
                message="Pub/Sub gave up: the function did not answer, or answered with an error",
                attempt=attributes.get(_FORWARDED_COUNT, ""),
            )
            return forwarded, dict(attributes)
        if not attributes.keys() >= {"job_id", "class", "function", _FIRST_PUBLISH_TIME}:
            return cls(), dict(attributes)
        told = {name: attributes.get(_PUBLISHED_NAMES[name], "") for name in _DEAD_LETTER_FIELDS}
        own = {_restored(name): value for name, value in attributes.items() if name not in _PUBLISHED_NAMES.values()}
        return cls(**told), own


_DEAD_LETTER_FIELDS = tuple(field.name for field in fields(DeadLetterAttributes))
# ``class`` is a keyword in Python.
_NAMES = {"error_class": "class"}
# As Google's client lets them be published.
_PUBLISHED_NAMES = {
    name: f"{ORIGINAL_PREFIX}{name}" if name in RESERVED else _NAMES.get(name, name) for name in _DEAD_LETTER_FIELDS
}
_RENAMED = frozenset(f"{ORIGINAL_PREFIX}{name}" for name in {*_PUBLISHED_NAMES.values(), *RESERVED} - {"ordering_key"})


def _restored(name: str) -> str:
    return name.removeprefix(ORIGINAL_PREFIX) if name in _RENAMED else name


def encode_received_at(instant: datetime) -> dict[str, str]:
    """The attribute that says when a webhook came in."""
    return {_RECEIVED_AT: instant.isoformat()}


def decode_received_at(attributes: Mapping[str, str]) -> datetime | None:
    """When a webhook came in; None where the attribute is missing or is no instant with an offset."""
    text = attributes.get(_RECEIVED_AT, "")
    instant = parse_instant(text)
    return instant if instant and datetime.fromisoformat(text).tzinfo else None


def trace_of(traceparent: str) -> str:
    """The trace id of a W3C ``traceparent``: 32 hex digits, or "" where the text is none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""


def parse_instant(text: str) -> datetime | None:
    """An ISO 8601 instant; without an offset it is UTC, as Pub/Sub writes it. None if it is not an instant."""
    if not text:  # most jobs lack most of the attributes that are read so, and an exception costs a microsecond
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def sanitize(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes truncated and renamed until Pub/Sub accepts them; the first ones win when there are too many.

    A name that the client reserves gets the prefix ``original-``. Names that Pub/Sub keeps for itself, and empty or
    oversized ones, are left out.
    """
    kept = {
        f"{ORIGINAL_PREFIX}{name}" if name in RESERVED else name: truncate(value)
        for name, value in attributes.items()
        if name and not name.startswith(GOOGLE_PREFIX) and len(name.encode()) <= MAX_KEY_BYTES
    }
    return dict(list(kept.items())[:MAX_ATTRIBUTES])


def truncate(value: str) -> str:
    """The longest beginning of ``value`` that fits into an attribute, never half a character."""
    encoded = value.encode(errors="replace")
    return value if len(encoded) <= MAX_VALUE_BYTES else encoded[:MAX_VALUE_BYTES].decode(errors="ignore")


def _is_bulk(priority: str | None) -> bool:
    if priority not in {None, "bulk"}:
        raise InvalidJob("priority", "the attribute must be bulk, or be left out")
    return priority == "bulk"


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InvalidJob("expires_at", "the attribute must be unix seconds, or ISO 8601 with an offset")
    return instant
