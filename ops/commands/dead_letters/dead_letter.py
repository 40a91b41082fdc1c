"""A dead letter as an operator sees it: the job as it was published, and why it is here."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from shared.attributes import DeadLetterAttributes, republished
from shared.pubsub.message import read_push

if TYPE_CHECKING:
    from google.pubsub_v1.types import PubsubMessage

_DETAILS = ("status", "field", "message", "function", "lane", "attempt")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of a dead-letter subscription.

    Args:
        kind: of job.
        message_id: Pub/Sub's, the same when the message is delivered again.
        job_id: the job's key, under which it was tried and will be tried again.
        data: the job's data as it was published.
        attributes: the job's attributes as they were published, and always ``job_id``.
        ordering_key: as published, or empty.
        first_published_at: when the application published it.
        arrived_at: when it became a dead letter.
        reason: the function's word; ``forwarded`` where Pub/Sub itself gave up; empty where nobody said.
        error_class: one of ``shared.outcome.ErrorClass``, or empty.
        details: what else was said, of status, field, message, function, lane and attempt.
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
    """Tell the job's own attributes from those that say why it is here."""
    attributes = dict(message.attributes)
    # The key and the time that the functions give it, by their own code.
    pushed = read_push(_as_push(message, attributes))
    told, own = DeadLetterAttributes.decode(attributes)
    return DeadLetter(
        kind=kind,
        message_id=message.message_id,
        job_id=pushed.key,
        data=message.data,
        attributes=republished(own, pushed.origin),
        ordering_key=told.ordering_key or message.ordering_key,
        first_published_at=pushed.first_published_at,
        arrived_at=_utc(message.publish_time),
        reason=told.reason,
        error_class=told.error_class,
        details={name: value for name in _DETAILS if (value := getattr(told, name))},
    )


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
