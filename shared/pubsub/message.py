"""A message of Pub/Sub, pushed in each of the forms in which it arrives or pulled, read into one ``PushMessage``.

Wrapped pushes: https://cloud.google.com/pubsub/docs/push#receive_push. Google's emulator spells the id and the time
twice and leaves ``deliveryAttempt`` out. Eventarc sends the same object as the data of a CloudEvent: in binary mode it
is the body, in structured mode it is below ``data``.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from ..attributes import Origin, parse_instant
from ..topology import BULK_SUFFIX, RETRY_SUFFIX, UNORDERED_LANES, LaneName

if TYPE_CHECKING:
    from google.cloud.pubsub_v1.types import ReceivedMessage


class NotAPushError(ValueError):
    """The request is not a Pub/Sub push. The text says what was expected and holds nothing of the body."""


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


class PushMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it was pushed, or pulled for a push of the bell.

    Args:
        key: Key of the job, the same on every redelivery, in every lane and after a replay.
        is_named: Whether the publisher chose the key: then two messages with it are one job.
        data: Data of the message, decoded from base64.
        attributes: Attributes of the message.
        first_published_at: When the application published the job, also after it moved to another topic.
        message_id: Pub/Sub's id of the message; another one after the job moved to another topic.
        subscription: Short name of the subscription that delivered it.
        lane: Its lane.
        attempt: Number of the delivery on this subscription, from 1; None where Pub/Sub does not say.
        ordering_key: Ordering key as published, or empty.
        deadline: ``time.monotonic()`` by which the delivery is answered. What cannot finish by then is not started.
    """

    key: str
    is_named: bool
    data: bytes
    attributes: dict[str, str]
    first_published_at: datetime
    message_id: str = ""
    subscription: str = ""
    lane: LaneName = "main"
    attempt: int | None = None
    ordering_key: str = ""
    deadline: float = float("inf")

    @property
    def origin(self) -> Origin:
        """Key and time of the job, for publishing it to another topic."""
        return Origin(job_id=self.key, is_named=self.is_named, first_published_at=self.first_published_at)


_decode = msgspec.json.Decoder(_Push).decode


def read_push(
    body: bytes, lanes: Sequence[LaneName] = UNORDERED_LANES, *, deadline: float = float("inf")
) -> PushMessage:
    """Read the body of a push.

    Args:
        body: Body of the request.
        lanes: Lanes of the topic, in the order in which a job passes them.
        deadline: ``time.monotonic()`` by which the push is to be answered.

    Raises:
        NotAPushError: if it is not one.
    """
    try:
        push = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The parser's own text may quote the body.
        problem = 'not a Pub/Sub push: expected {"message": {"data": base64, ...}, "subscription": ...}'
        raise NotAPushError(problem) from None
    if push.message is None and push.data is not None:
        push = push.data
    if push.message is None:
        raise NotAPushError('not a Pub/Sub push: "message" is missing')
    return _push_message(push, push.message, lanes, deadline)


def read_pulled(received: "ReceivedMessage", subscription: str, *, deadline: float = float("inf")) -> PushMessage:
    """Read a message that was pulled.

    Args:
        received: The message as Google's client gives it.
        subscription: ``projects/P/subscriptions/S``, of lane ``bulk``.
        deadline: ``time.monotonic()`` by which it is to be acknowledged or given back.
    """
    message = received.message
    pushed = _Message(
        data=message.data,
        attributes=dict(message.attributes),
        messageId=message.message_id,
        publishTime=message.publish_time.isoformat(),
        orderingKey=message.ordering_key,
    )
    push = _Push(subscription=subscription, deliveryAttempt=received.delivery_attempt or None)
    return _push_message(push, pushed, UNORDERED_LANES, deadline)


def _push_message(push: _Push, message: _Message, lanes: Sequence[LaneName], deadline: float) -> PushMessage:
    attributes = message.attributes or {}
    origin = Origin.decode(attributes)
    published_at = origin.first_published_at or parse_instant(message.publishTime or message.publish_time)
    # A message that Pub/Sub forwards gets a new id; its data and first publish time stay.
    message_id = message.messageId or message.message_id
    key = origin.job_id or ("" if origin.forwarded else message_id)
    return PushMessage(
        key=key or _hashed(message.data, published_at),
        is_named=origin.is_named,
        data=message.data,
        attributes=attributes,
        first_published_at=published_at or datetime.now(UTC),
        message_id=message_id,
        subscription=push.subscription.rpartition("/")[2],
        lane=_lane(push.subscription, lanes, forwarded=origin.forwarded),
        attempt=push.deliveryAttempt,
        ordering_key=message.orderingKey,
        deadline=deadline,
    )


def _lane(subscription: str, lanes: Sequence[LaneName], *, forwarded: bool) -> LaneName:
    if forwarded or subscription.endswith(RETRY_SUFFIX):
        return lanes[-1]
    return "bulk" if "bulk" in lanes and subscription.endswith(BULK_SUFFIX) else lanes[0]


def _hashed(data: bytes, published_at: datetime | None) -> str:
    """Key of a job whose message id is lost.

    The push and Pub/Sub's attributes write the same instant with different precision; all have milliseconds.
    """
    when = "" if published_at is None else str(int(published_at.timestamp() * 1000))
    return hashlib.sha256(b"%b\0%b" % (when.encode(), data)).hexdigest()
