"""The limit on the memory that all held messages take together."""

from collections.abc import Iterable

import grpc

from local.pubsub.errors import ApiError
from local.pubsub.messages import Message

DEFAULT_MEMORY_LIMIT_BYTES = 512 * 1024 * 1024

# The memory that a held message costs beside its own bytes, from measurements of resident memory, rounded up.
_MESSAGE_OVERHEAD_BYTES = 768
_SUBSCRIPTION_OVERHEAD_BYTES = 512
_ORDERING_KEY_OVERHEAD_BYTES = 1024


class MemoryLimit:
    """Counts what held messages cost, and refuses a publish request that does not fit.

    Args:
        limit_bytes: The limit. A message counts its data, attributes and ordering key once, plus the overheads above.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def check_room(self, messages: Iterable[Message], *, subscriptions: int) -> None:
        """Check that there is room for a publish request.

        Args:
            messages: The messages of the request.
            subscriptions: The number of subscriptions that may hold each of them.

        Raises:
            ApiError: RESOURCE_EXHAUSTED, if there is no room.
        """
        if not subscriptions:
            return
        needed = sum(_shared_cost(message) + subscriptions * _subscription_cost(message) for message in messages)
        if self.used_bytes + needed > self.limit_bytes:
            raise ApiError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The broker holds {self.used_bytes} bytes of unacknowledged messages and this request needs {needed} "
                f"more; the limit is {self.limit_bytes}. Acknowledge messages, or raise --memory-limit-mib.",
            )

    def hold(self, message: Message) -> None:
        """Count one more subscription that holds ``message``."""
        self.used_bytes += _subscription_cost(message)
        if message.holders == 0:
            self.used_bytes += _shared_cost(message)
        message.holders += 1

    def release(self, message: Message) -> None:
        """Count one subscription less that holds ``message``."""
        self.used_bytes -= _subscription_cost(message)
        message.holders -= 1
        if message.holders == 0:
            self.used_bytes -= _shared_cost(message)


def _shared_cost(message: Message) -> int:
    return message.size + _MESSAGE_OVERHEAD_BYTES


def _subscription_cost(message: Message) -> int:
    ordering = _ORDERING_KEY_OVERHEAD_BYTES if message.ordering_key else 0
    return _SUBSCRIPTION_OVERHEAD_BYTES + ordering
