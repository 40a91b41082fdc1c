"""The order in which a subscription delivers its messages: with ordering keys and without."""

from collections import deque
from typing import Protocol

from local.pubsub.messages import UnackedMessage


class Queue(Protocol):
    """The messages that are ready for delivery, in order."""

    def __len__(self) -> int:
        """Count the entries that are ready. If it is 0, ``take`` returns nothing."""

    def add(self, unacked: UnackedMessage) -> None:
        """Add a new message."""

    def add_delayed(self, unacked: UnackedMessage) -> None:
        """Add a new message that must not be delivered before ``make_ready``."""

    def take(self, limit: int, max_bytes: int, per_key: int) -> list[UnackedMessage]:
        """Take messages for delivery.

        Args:
            limit: Maximum number of messages.
            max_bytes: Maximum size of them together; a single message may be larger.
            per_key: Maximum number of outstanding messages of one ordering key.
        """

    def ack(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        """Acknowledge an outstanding message. Returns the messages that are finished by that."""

    def nack(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        """Give an outstanding message back until ``make_ready``. Returns later ones of its key that come back too."""

    def make_ready(self, unacked: UnackedMessage) -> None:
        """End the wait of a delayed or nacked message."""

    def remove(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        """Remove a message that is done without an ack. Returns the messages that are finished by that."""


class UnorderedQueue:
    """Delivers messages first in, first out; a retry joins at the end."""

    def __init__(self) -> None:
        self._ready: deque[UnackedMessage] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, unacked: UnackedMessage) -> None:
        self._ready.append(unacked)

    def add_delayed(self, unacked: UnackedMessage) -> None:
        """Do nothing: ``make_ready`` adds the message."""

    def take(self, limit: int, max_bytes: int, per_key: int) -> list[UnackedMessage]:  # noqa: ARG002 - no keys here
        batch = _Batch(limit, max_bytes)
        ready = self._ready
        while ready:
            if not ready[0].done:
                if not batch.has_room_for(ready[0]):
                    break
                batch.add(ready[0])
            ready.popleft()
        return batch.messages

    def ack(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        return [unacked]

    def nack(self, unacked: UnackedMessage) -> list[UnackedMessage]:  # noqa: ARG002 - no message depends on another
        return []

    def make_ready(self, unacked: UnackedMessage) -> None:
        if not unacked.done:
            self._ready.append(unacked)

    def remove(self, unacked: UnackedMessage) -> list[UnackedMessage]:  # noqa: ARG002 - ``take`` skips what is done
        return []


class _OrderingKey:
    """The messages of one ordering key.

    Attributes:
        name: The ordering key.
        outstanding: Delivered messages, in order.
        waiting: Messages to be delivered after them, in order.
        delayed: Number of waiting messages whose delay has to end before any is delivered.
        listed: True while the key is among the queue's ready entries.
    """

    __slots__ = ("delayed", "listed", "name", "outstanding", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.outstanding: list[UnackedMessage] = []
        self.waiting: deque[UnackedMessage] = deque()
        self.delayed = 0
        self.listed = False


class OrderedQueue:
    """Delivers the messages of each ordering key in publish order.

    More of a key is delivered only after all outstanding messages of it are acknowledged. A nacked message blocks the
    later ones of its key, and those that were outstanding with it, acknowledged or not, are delivered again after it
    (https://docs.cloud.google.com/pubsub/docs/ordering). Messages without a key are first in, first out.
    """

    def __init__(self) -> None:
        self._ready: deque[UnackedMessage | _OrderingKey] = deque()
        self._keys: dict[str, _OrderingKey] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, unacked: UnackedMessage) -> None:
        if not unacked.message.ordering_key:
            self._ready.append(unacked)
            return
        key = self._key_of(unacked)
        key.waiting.append(unacked)
        self._list(key)

    def add_delayed(self, unacked: UnackedMessage) -> None:
        if unacked.message.ordering_key:
            key = self._key_of(unacked)
            key.waiting.append(unacked)
            key.delayed += 1

    def take(self, limit: int, max_bytes: int, per_key: int) -> list[UnackedMessage]:
        batch = _Batch(limit, max_bytes)
        while self._ready:
            entry = self._ready[0]
            if isinstance(entry, _OrderingKey):
                if not self._take_from_key(entry, batch, per_key):
                    break
            elif not entry.done:
                if not batch.has_room_for(entry):
                    break
                batch.add(entry)
            self._ready.popleft()
        return batch.messages

    def ack(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        if not unacked.message.ordering_key:
            return [unacked]
        unacked.acked = True
        return self._finish(self._key_of(unacked))

    def nack(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        if not unacked.message.ordering_key:
            return []
        key = self._key_of(unacked)
        position = key.outstanding.index(unacked)
        again = key.outstanding[position:]
        del key.outstanding[position:]
        key.waiting.extendleft(reversed(again))
        for later in again:
            later.acked = False
        key.delayed += 1
        return again[1:]

    def make_ready(self, unacked: UnackedMessage) -> None:
        if not unacked.message.ordering_key:
            if not unacked.done:
                self._ready.append(unacked)
            return
        key = self._key_of(unacked)
        key.delayed -= 1
        self._list(key)

    def remove(self, unacked: UnackedMessage) -> list[UnackedMessage]:
        if not unacked.message.ordering_key:
            return []
        key = self._key_of(unacked)
        if unacked in key.outstanding:
            key.outstanding.remove(unacked)
        return self._finish(key)

    def _key_of(self, unacked: UnackedMessage) -> _OrderingKey:
        name = unacked.message.ordering_key
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = _OrderingKey(name)
        return key

    def _take_from_key(self, key: _OrderingKey, batch: "_Batch", per_key: int) -> bool:
        """Move what the key may deliver into ``batch``. Returns False if the batch had no room for any of it."""
        while key.waiting and not key.delayed and len(key.outstanding) < per_key:
            unacked = key.waiting[0]
            if not unacked.done:
                if not batch.has_room_for(unacked):
                    break
                batch.add(unacked)
                key.outstanding.append(unacked)
            key.waiting.popleft()
        if key.waiting and not key.delayed and not key.outstanding:
            return False
        key.listed = False
        self._forget_if_empty(key)
        return True

    def _finish(self, key: _OrderingKey) -> list[UnackedMessage]:
        """Remove, and return, the outstanding messages up to the first unacknowledged one."""
        acked = 0
        while acked < len(key.outstanding) and key.outstanding[acked].acked:
            acked += 1
        finished = key.outstanding[:acked]
        del key.outstanding[:acked]
        self._list(key)
        return finished

    def _list(self, key: _OrderingKey) -> None:
        """Add the key to the ready entries if it has a message and nothing blocks it."""
        if key.waiting and not (key.listed or key.outstanding or key.delayed):
            key.listed = True
            self._ready.append(key)
        self._forget_if_empty(key)

    def _forget_if_empty(self, key: _OrderingKey) -> None:
        if not (key.waiting or key.listed or key.outstanding or key.delayed):
            self._keys.pop(key.name, None)


class _Batch:
    """The messages of one ``take``."""

    __slots__ = ("_limit", "_max_bytes", "_size", "messages")

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.messages: list[UnackedMessage] = []
        self._limit = limit
        self._max_bytes = max_bytes
        self._size = 0

    def has_room_for(self, unacked: UnackedMessage) -> bool:
        if len(self.messages) >= self._limit:
            return False
        return not self.messages or self._size + unacked.message.size <= self._max_bytes

    def add(self, unacked: UnackedMessage) -> None:
        self.messages.append(unacked)
        self._size += unacked.message.size
