"""A dead letter as an operator sees it: the job as it was published, and why it failed."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from ops.jobs import persons
from shared.attributes import DeadLetterAttributes, republished
from shared.pubsub.message import read_push
from shared.topology import topology

if TYPE_CHECKING:
    from google.pubsub_v1.types import PubsubMessage

_DETAILS = ("status", "field", "message", "function", "lane", "attempt")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of a dead-letter subscription.

    Args:
        kind: Kind of job.
        message_id: Pub/Sub's message id, the same when the message is delivered again.
        job_id: The job's key, for earlier attempts and for a replay.
        data: The job's data as it was published.
        attributes: The job's attributes for publishing it again, its key and first publish time included.
        ordering_key: Ordering key for publishing it again, or empty.
        first_published_at: Time at which the application published it.
        arrived_at: Time at which it became a dead letter.
        reason: Reason that the function gave; ``forwarded`` if Pub/Sub itself gave up; empty if unknown.
        error_class: One of ``shared.outcome.ErrorClass``, or empty.
        details: What else is known: status, field, message, function, lane and attempt.
    """

    kind: str
    message_id: str
    job_id: str
    data: bytes = field(repr=False)
    attributes: dict[str, str] = field(repr=False)
    ordering_key: str = field(repr=False)
    first_published_at: datetime
    arrived_at: datetime
    reason: str
    error_class: str
    details: dict[str, str]


def read_dead_letter(kind: str, message: "PubsubMessage") -> DeadLetter:
    """Separate the job's own attributes from those that explain the failure."""
    attributes = dict(message.attributes)
    # The functions' own code gives the key and the time that they use.
    pushed = read_push(_as_push(message, attributes))
    told, own = DeadLetterAttributes.decode(attributes)
    return DeadLetter(
        kind=kind,
        message_id=message.message_id,
        job_id=pushed.key,
        data=message.data,
        attributes=republished(own, pushed.origin),
        ordering_key=_ordering_key(kind, message.data, own) or told.ordering_key or message.ordering_key,
        first_published_at=pushed.first_published_at,
        arrived_at=_utc(message.publish_time),
        reason=told.reason,
        error_class=told.error_class,
        details={name: value for name in _DETAILS if (value := getattr(told, name))},
    )


def _ordering_key(kind: str, data: bytes, attributes: dict[str, str]) -> str:
    # The dead letter has a hash of the key. A replayed job must be in order with newer jobs, which have the key itself.
    about = persons(kind, data, attributes) if topology().topics[kind].ordered else ()
    return about[0] if about else ""


def _as_push(message: "PubsubMessage", attributes: dict[str, str]) -> bytes:
    return msgspec.json.encode(
        {
            "message": {
                "data": base64.b64encode(message.data).decode(),
                "attributes": attributes,
                "messageId": message.message_id,
                "publishTime": _utc(message.publish_time).isoformat(),
            }
        }
    )


def _utc(instant: datetime) -> datetime:
    return datetime.fromtimestamp(instant.timestamp(), UTC)
