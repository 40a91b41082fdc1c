"""A dead letter as an operator sees it: the job as it was published, and why it is here."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from shared.pubsub.attributes import RENAMED, TAKEN
from shared.pubsub.message import FIRST_PUBLISH_TIME, FORWARDED_FROM, read_push

if TYPE_CHECKING:
    from google.pubsub_v1.types import PubsubMessage

_FORWARDING = "CloudPubSubDeadLetter"
_ORDERING_KEY = f"{RENAMED}ordering_key"
# What a function adds when it gives a job up (shared.pubsub.dead_letters), beside job_id.
_ALWAYS_SAID = frozenset({"job_id", "class", "function", FIRST_PUBLISH_TIME})
_DETAILS = ("status", "field", "message", "function", "lane", "attempt")
_SAID = frozenset({"reason", "class", FIRST_PUBLISH_TIME, _ORDERING_KEY, *_DETAILS})
# The job's own attributes that have the name of one of those, or of an argument of Google's publisher.
_RENAMED_NAMES = frozenset(f"{RENAMED}{name}" for name in (_SAID | TAKEN) - {"ordering_key"})


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
    """Tell the job's own attributes from those that say why it is here.

    Three kinds of messages wait in a dead-letter topic: those that a function published, with its reason; those that
    Pub/Sub forwarded, without one; and whatever anybody else put there. Only of the first are attributes taken off,
    because a job may have a ``reason`` of its own.
    """
    attributes = dict(message.attributes)
    # The key that the functions give it, by their own code.
    delivery = read_push(_as_push(message, attributes))
    if FORWARDED_FROM in attributes:
        said = {
            "reason": "forwarded",
            "class": "attempts_spent",
            "message": "Pub/Sub gave up: the function did not answer, or answered with an error",
            "attempt": attributes.get(f"{_FORWARDING}SourceDeliveryCount", ""),
        }
        own = attributes
    elif attributes.keys() >= _ALWAYS_SAID:
        said = {name: attributes[name] for name in _SAID & attributes.keys()}
        own = {_restored(name): value for name, value in attributes.items() if name not in _SAID}
    else:
        said, own = {}, attributes
    return DeadLetter(
        kind=kind,
        message_id=message.message_id,
        job_id=delivery.key,
        data=message.data,
        # Names that begin with goog are Pub/Sub's own and cannot be published.
        attributes={name: value for name, value in own.items() if not name.startswith((_FORWARDING, "goog"))}
        | {"job_id": delivery.key},
        ordering_key=said.get(_ORDERING_KEY, message.ordering_key),
        first_published_at=_instant(said.get(FIRST_PUBLISH_TIME, "")) or delivery.first_published_at,
        arrived_at=_utc(message.publish_time),
        reason=said.get("reason", ""),
        error_class=said.get("class", ""),
        details={name: said[name] for name in _DETAILS if said.get(name)},
    )


def _restored(name: str) -> str:
    return name.removeprefix(RENAMED) if name in _RENAMED_NAMES else name


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


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
