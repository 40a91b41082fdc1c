"""The body of a Pub/Sub push, in each of the forms in which it arrives, read into one ``PushMessage``.

Wrapped pushes: https://cloud.google.com/pubsub/docs/push#receive_push. Google's emulator spells the id and the time
twice and leaves ``deliveryAttempt`` out. Eventarc sends the same object as the data of a CloudEvent, in binary mode
as the body itself, in structured mode below ``data``.
"""

import hashlib
from datetime import UTC, datetime

import msgspec

from ..topology import LaneName

# Set by Pub/Sub on a message that it forwards to a dead-letter topic:
# https://cloud.google.com/pubsub/docs/handling-failures#forwarded
FORWARDED_FROM = "CloudPubSubDeadLetterSourceSubscription"
FORWARDED_PUBLISH_TIME = "CloudPubSubDeadLetterSourceTopicPublishTime"
# Set by us on a dead letter and kept by its replay, so that the job keeps its key and an event its time.
FIRST_PUBLISH_TIME = "first_publish_time"


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


class PushMessage(msgspec.Struct, frozen=True):
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
        """Whether the publisher named the job: then published twice it is one job.

        A replayed job has a ``job_id`` in any case; one that we made up for it equals the key that it would get again.
        """
        when = _milliseconds(self.first_published_at)
        return self.key != _derived_key(self.data, when, self.attributes.get("channel", ""))


_decode = msgspec.json.Decoder(_Push).decode


def read_push(body: bytes) -> PushMessage:
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


def _delivery(push: _Push, message: _Message) -> PushMessage:
    attributes = message.attributes or {}
    first_published_at = (
        _instant(attributes.get(FIRST_PUBLISH_TIME, ""))
        or _instant(attributes.get(FORWARDED_PUBLISH_TIME, ""))
        or _instant(message.publishTime or message.publish_time)
    )
    when = _milliseconds(first_published_at) if first_published_at else message.messageId or message.message_id
    return PushMessage(
        key=attributes.get("job_id") or _derived_key(message.data, when, attributes.get("channel", "")),
        data=message.data,
        attributes=attributes,
        first_published_at=first_published_at or datetime.now(UTC),
        lane="retry" if FORWARDED_FROM in attributes else "main",
        attempt=push.deliveryAttempt,
        ordering_key=message.orderingKey,
    )


def _derived_key(data: bytes, when: str, channel: str) -> str:
    """Key of a job whose publisher set none: what it says, by which channel, and when it was published.

    A forwarded message has a new id and keeps its first publish time, so the time is what identifies it.
    """
    suffix = b"\0" + channel.encode() if channel else b""
    return hashlib.sha256(b"%b\0%b%b" % (when.encode(), data, suffix)).hexdigest()


def _milliseconds(instant: datetime) -> str:
    """The push and the attributes write the same instant with different precision; all have milliseconds."""
    return str(round(instant.timestamp() * 1000))


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
