"""Published messages, and the copy of one that each subscription holds until it is acknowledged."""

import time
from itertools import count
from typing import Protocol

from local.pubsub.wire import Pb, PubsubMessage

NANOSECONDS = 1_000_000_000


class Message:
    """One published message, shared by all subscriptions that hold it.

    Its fields are copied out of the request: one message kept for a retry must not keep its whole publish request.
    """

    __slots__ = ("attributes", "data", "holders", "id", "ordering_key", "published_ns", "published_text", "size")

    def __init__(
        self, *, message_id: str, data: bytes, attributes: dict[str, str], ordering_key: str, published: "PublishTime"
    ) -> None:
        self.id = message_id
        self.data = data
        self.attributes = attributes
        self.ordering_key = ordering_key
        self.published_ns = published.ns
        self.published_text = published.text
        self.size = len(data) + len(ordering_key) + sum(len(key) + len(value) for key, value in attributes.items())
        self.holders = 0

    def to_pb(self) -> Pb:
        pb = PubsubMessage(
            data=self.data, attributes=self.attributes, message_id=self.id, ordering_key=self.ordering_key
        )
        pb.publish_time.seconds, pb.publish_time.nanos = divmod(self.published_ns, NANOSECONDS)
        return pb


class PublishTime:
    """The time of a publish request, in milliseconds as Pub/Sub shows it. Formatted once for all of its messages."""

    __slots__ = ("ns", "text")

    def __init__(self, ns: int) -> None:
        milliseconds = ns // 1_000_000
        self.ns = milliseconds * 1_000_000
        seconds, rest = divmod(milliseconds, 1000)
        self.text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"


class MessageIds:
    """Message ids: decimal numbers that grow, and that a restarted broker does not repeat.

    Args:
        start_ns: The present time, in nanoseconds since 1970.
    """

    def __init__(self, start_ns: int) -> None:
        self._numbers = count(start_ns // 1000)

    def next(self) -> str:
        return str(next(self._numbers))


class UnackedMessage:
    """A message that one subscription holds until it is acknowledged.

    Attributes:
        message: The published message.
        sequence: Position in the subscription, in publish order.
        failures: Number of nacks and missed ack deadlines so far.
        ack_id: The ack id of the current lease; None while no consumer has the message.
        deadline: Loop time at which the current lease ends, unless it is extended.
        holder: Told when the current lease ends; None if nobody counts outstanding messages.
        done: True once it is acknowledged, forwarded, expired or skipped by a seek. Queues drop it when they meet it.
        acked: True if it is acknowledged but waits for an earlier message of its ordering key.
        duplicated: True once the ``duplicate`` fault has delivered it again.
    """

    __slots__ = ("ack_id", "acked", "deadline", "done", "duplicated", "failures", "holder", "message", "sequence")

    def __init__(self, message: Message, sequence: int) -> None:
        self.message = message
        self.sequence = sequence
        self.failures = 0
        self.ack_id: str | None = None
        self.deadline = 0.0
        self.holder: LeaseHolder | None = None
        self.done = False
        self.acked = False
        self.duplicated = False


class LeaseHolder(Protocol):
    """A consumer that counts its outstanding messages, as a streaming pull does for flow control."""

    def lease_ended(self, unacked: UnackedMessage) -> None:
        """Called when a lease ends, whether by ack, nack or deadline."""
