"""The body of a Pub/Sub push, in each of the forms in which it arrives, read into one ``Delivery``.

Wrapped pushes: https://cloud.google.com/pubsub/docs/push#receive_push. Google's emulator spells the id and the time
twice and leaves ``deliveryAttempt`` out. Eventarc sends the same object as the data of a CloudEvent, in binary mode
as the body itself, in structured mode below ``data``.
"""

import hashlib
from datetime import UTC, datetime

import msgspec

from shared.topology import LaneName

# Set by Pub/Sub on a message that it forwards to a dead-letter topic:
# https://cloud.google.com/pubsub/docs/handling-failures#forwarded
FORWARDED_FROM = "CloudPubSubDeadLetterSourceSubscription"
FORWARDED_PUBLISH_TIME = "CloudPubSubDeadLetterSourceTopicPublishTime"


class NotAnEnvelopeError(ValueError):
    """The request is not a Pub/Sub push. Its text says what was expected and holds nothing of the body."""


class _Message(msgspec.Struct):
    data: bytes = b""
    attributes: dict[str, str] | None = None
    messageId: str = ""  # noqa: N815 - Pub/Sub's spelling
    message_id: str = ""
    publishTime: str = ""  # noqa: N815 - Pub/Sub's spelling
    publish_time: str = ""
    orderingKey: str = ""  # noqa: N815 - Pub/Sub's spelling


class _Push(msgspec.Struct):
    message: _Message | None = None
    subscription: str = ""
    deliveryAttempt: int | None = None  # noqa: N815 - Pub/Sub's spelling
    data: "_Push | None" = None  # a CloudEvent in structured mode


class Delivery(msgspec.Struct, frozen=True):
    """One message as it was pushed.

    Args:
        key: the job's key, the same on every redelivery, in every lane and after a replay.
        data: the message's data, decoded from base64.
        attributes: the message's attributes.
        first_published_at: when the application published it, also after Pub/Sub forwarded it.
        lane: which subscription it came by.
        attempt: which delivery of this subscription this is, from 1; None where Pub/Sub does not say.
        ordering_key: as published, or empty.
    """

    key: str
    data: bytes
    attributes: dict[str, str]
    first_published_at: datetime
    lane: LaneName
    attempt: int | None
    ordering_key: str

    @property
    def has_own_key(self) -> bool:
        """Whether the publisher set ``job_id``: then the same job published twice is one job."""
        return bool(self.attributes.get("job_id"))


_decode = msgspec.json.Decoder(_Push).decode


def read_push(body: bytes) -> Delivery:
    """Read the body of a push.

    Raises:
        NotAnEnvelopeError: it is none.
    """
    try:
        push = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The parser's own text may quote the body.
        msg = 'not a Pub/Sub push: expected {"message": {"data": base64, ...}, "subscription": ...}'
        raise NotAnEnvelopeError(msg) from None
    if push.message is None and push.data is not None:
        push = push.data
    if push.message is None:
        msg = 'not a Pub/Sub push: "message" is missing'
        raise NotAnEnvelopeError(msg)
    return _delivery(push, push.message)


def _delivery(push: _Push, message: _Message) -> Delivery:
    attributes = message.attributes or {}
    published = attributes.get(FORWARDED_PUBLISH_TIME) or message.publishTime or message.publish_time
    first_published_at = _instant(published)
    return Delivery(
        key=attributes.get("job_id") or _derived_key(message, first_published_at),
        data=message.data,
        attributes=attributes,
        first_published_at=first_published_at or datetime.now(UTC),
        lane="retry" if FORWARDED_FROM in attributes else "main",
        attempt=push.deliveryAttempt,
        ordering_key=message.orderingKey,
    )


def _derived_key(message: _Message, first_published_at: datetime | None) -> str:
    """Key of a job whose publisher set none.

    A forwarded message has a new id and keeps its first publish time, so the time is what identifies it.
    Milliseconds, because the push and the attribute write the same instant with different precision.
    """
    instant = (
        str(round(first_published_at.timestamp() * 1000))
        if first_published_at
        else message.messageId or message.message_id
    )
    return hashlib.sha256(b"%b\0%b" % (instant.encode(), message.data)).hexdigest()


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
