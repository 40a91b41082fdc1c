import time
from collections.abc import Iterable
from itertools import count

import grpc

from local.pubsub.errors import Refused
from local.pubsub.wire import Pb, PubsubMessage

MESSAGE_OVERHEAD_BYTES = 768
COPY_OVERHEAD_BYTES = 512
ORDERING_KEY_OVERHEAD_BYTES = 1024
"""What a held message costs beside its own bytes: once, for each subscription that holds it, and there if it has a key.
Measured resident memory, rounded up."""


class Message:
    """One published message, shared by all subscriptions that hold it.

    Fields are copied out of the request: one message kept for a retry must not keep all of its publish request.
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
        pb.publish_time.seconds, pb.publish_time.nanos = divmod(self.published_ns, 1_000_000_000)
        return pb


class PublishTime:
    """When a request was published, in milliseconds as Pub/Sub shows it: formatted once for all of its messages."""

    __slots__ = ("ns", "text")

    def __init__(self, ns: int) -> None:
        milliseconds = ns // 1_000_000
        self.ns = milliseconds * 1_000_000
        whole, rest = divmod(milliseconds, 1000)
        self.text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03d}Z"


class MessageIds:
    """Message ids: decimal, growing, and not repeated by a broker that is started again."""

    def __init__(self, start_ns: int) -> None:
        self._numbers = count(start_ns // 1000)

    def next(self) -> str:
        return str(next(self._numbers))


class Memory:
    """The cap on what all held messages may take together.

    Args:
        limit: bytes; a held message counts its data, attributes and ordering key once, and the overheads above.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def admit(self, messages: Iterable[Message], *, copies: int) -> None:
        """Check that there is room for a publish request that ``copies`` subscriptions may hold.

        Raises:
            Refused: RESOURCE_EXHAUSTED; nothing of the request was kept.
        """
        needed = sum(_shared_cost(message) + copies * _copy_cost(message) for message in messages) if copies else 0
        if self.used + needed > self.limit:
            reason = f"The broker holds {self.used} bytes of unacknowledged messages; its limit is {self.limit} bytes."
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)

    def hold(self, message: Message) -> None:
        self.used += _copy_cost(message)
        if message.holders == 0:
            self.used += _shared_cost(message)
        message.holders += 1

    def release(self, message: Message) -> None:
        self.used -= _copy_cost(message)
        message.holders -= 1
        if message.holders == 0:
            self.used -= _shared_cost(message)


def _shared_cost(message: Message) -> int:
    return message.size + MESSAGE_OVERHEAD_BYTES


def _copy_cost(message: Message) -> int:
    return COPY_OVERHEAD_BYTES + ORDERING_KEY_OVERHEAD_BYTES if message.ordering_key else COPY_OVERHEAD_BYTES
