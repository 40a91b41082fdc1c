"""The order in which a subscription hands out its messages: with ordering keys and without."""

from collections import deque
from typing import Protocol

from local.pubsub.messages import Message


class Delivery:
    """One message on its way through one subscription.

    Attributes:
        sequence: its place in the subscription, in order of publishing.
        failures: negative acknowledgements and missed deadlines so far.
        ack_id: of the present lease; None while nobody has the message.
        deadline: loop time at which the lease ends, unless it is extended.
        holder: told when the lease is over; None where nobody counts.
        gone: acknowledged, forwarded, expired or skipped by a seek. Whoever still meets it drops it.
        settled: acknowledged, but an earlier message of its ordering key is not.
        repeated: the ``duplicate`` fault has had its turn.
    """

    __slots__ = ("ack_id", "deadline", "failures", "gone", "holder", "message", "repeated", "sequence", "settled")

    def __init__(self, message: Message, sequence: int) -> None:
        self.message = message
        self.sequence = sequence
        self.failures = 0
        self.ack_id: str | None = None
        self.deadline = 0.0
        self.holder: LeaseHolder | None = None
        self.gone = False
        self.settled = False
        self.repeated = False


class LeaseHolder(Protocol):
    """Who was handed a message and counts what is out: a streaming pull under flow control."""

    def returned(self, delivery: Delivery) -> None:
        """The lease is over, however it ended."""


class Queue(Protocol):
    """What is ready to be handed out, and in which order."""

    def __len__(self) -> int:
        """How many entries are ready; 0 means that a ``take`` gets nothing."""

    def add(self, delivery: Delivery) -> None:
        """A new message."""

    def hold(self, delivery: Delivery) -> None:
        """A new message that is not to be handed out before ``rested``."""

    def take(self, limit: int, max_bytes: int, per_key: int) -> list[Delivery]:
        """Up to ``limit`` messages, ``per_key`` of one ordering key; more than one have at most ``max_bytes``."""

    def acked(self, delivery: Delivery) -> list[Delivery]:
        """A message that is out was acknowledged. Returns the ones that are finished by that."""

    def failed(self, delivery: Delivery) -> list[Delivery]:
        """A message that is out has to be sent again, after ``rested``. Returns the later ones that have to, too."""

    def rested(self, delivery: Delivery) -> None:
        """The wait of a held or failed message is over."""

    def dropped(self, delivery: Delivery) -> list[Delivery]:
        """A message is gone without having been acknowledged. Returns the ones that are finished by that."""


class PlainQueue:
    """Without ordering: first come, first served; a retry joins at the end."""

    def __init__(self) -> None:
        self._ready: deque[Delivery] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, delivery: Delivery) -> None:
        self._ready.append(delivery)

    def hold(self, delivery: Delivery) -> None:
        """Nothing to keep: whoever times the wait brings the message back."""

    def take(self, limit: int, max_bytes: int, per_key: int) -> list[Delivery]:  # noqa: ARG002 - no keys here
        lot = _Lot(limit, max_bytes)
        ready = self._ready
        while ready:
            if not ready[0].gone:
                if not lot.has_room_for(ready[0]):
                    break
                lot.add(ready[0])
            ready.popleft()
        return lot.deliveries

    def acked(self, delivery: Delivery) -> list[Delivery]:
        return [delivery]

    def failed(self, delivery: Delivery) -> list[Delivery]:  # noqa: ARG002 - no message depends on another
        return []

    def rested(self, delivery: Delivery) -> None:
        if not delivery.gone:
            self._ready.append(delivery)

    def dropped(self, delivery: Delivery) -> list[Delivery]:  # noqa: ARG002 - ``take`` passes over what is gone
        return []


class _OrderingKey:
    """The messages of one key: some out, in order, then the waiting ones.

    ``resting`` counts the messages whose wait has to end before the key may go on.
    """

    __slots__ = ("listed", "name", "out", "resting", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.out: list[Delivery] = []
        self.waiting: deque[Delivery] = deque()
        self.resting = 0
        self.listed = False


class OrderedQueue:
    """With ordering: a key hands out its messages in the order of publishing.

    What was taken of a key has to be acknowledged before more of it is handed out. A message that fails blocks the
    later ones of its key, and those that were out with it, acknowledged or not, are sent again after it
    (https://docs.cloud.google.com/pubsub/docs/ordering). Messages without a key are first come, first served.
    """

    def __init__(self) -> None:
        self._ready: deque[Delivery | _OrderingKey] = deque()
        self._keys: dict[str, _OrderingKey] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, delivery: Delivery) -> None:
        if not delivery.message.ordering_key:
            self._ready.append(delivery)
            return
        key = self._key_of(delivery)
        key.waiting.append(delivery)
        self._list(key)

    def hold(self, delivery: Delivery) -> None:
        if delivery.message.ordering_key:
            key = self._key_of(delivery)
            key.waiting.append(delivery)
            key.resting += 1

    def take(self, limit: int, max_bytes: int, per_key: int) -> list[Delivery]:
        lot = _Lot(limit, max_bytes)
        while self._ready:
            entry = self._ready[0]
            if isinstance(entry, _OrderingKey):
                if not self._take_of(entry, lot, per_key):
                    break
            elif not entry.gone:
                if not lot.has_room_for(entry):
                    break
                lot.add(entry)
            self._ready.popleft()
        return lot.deliveries

    def acked(self, delivery: Delivery) -> list[Delivery]:
        if not delivery.message.ordering_key:
            return [delivery]
        key = self._key_of(delivery)
        delivery.settled = True
        return self._finish(key)

    def failed(self, delivery: Delivery) -> list[Delivery]:
        if not delivery.message.ordering_key:
            return []
        key = self._key_of(delivery)
        place = key.out.index(delivery)
        again = key.out[place:]
        del key.out[place:]
        key.waiting.extendleft(reversed(again))
        for later in again:
            later.settled = False
        key.resting += 1
        return again[1:]

    def rested(self, delivery: Delivery) -> None:
        if not delivery.message.ordering_key:
            if not delivery.gone:
                self._ready.append(delivery)
            return
        key = self._key_of(delivery)
        key.resting -= 1
        self._list(key)

    def dropped(self, delivery: Delivery) -> list[Delivery]:
        if not delivery.message.ordering_key:
            return []
        key = self._key_of(delivery)
        if delivery in key.out:
            key.out.remove(delivery)
        return self._finish(key)

    def _key_of(self, delivery: Delivery) -> _OrderingKey:
        name = delivery.message.ordering_key
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = _OrderingKey(name)
        return key

    def _take_of(self, key: _OrderingKey, lot: "_Lot", per_key: int) -> bool:
        """Take what the key may give. False if that is something, and there is no room for it."""
        while key.waiting and not key.resting and len(key.out) < per_key:
            delivery = key.waiting[0]
            if not delivery.gone:
                if not lot.has_room_for(delivery):
                    break
                lot.add(delivery)
                key.out.append(delivery)
            key.waiting.popleft()
        if key.waiting and not key.resting and not key.out:
            return False
        key.listed = False
        self._forget_if_empty(key)
        return True

    def _finish(self, key: _OrderingKey) -> list[Delivery]:
        settled = 0
        while settled < len(key.out) and key.out[settled].settled:
            settled += 1
        finished = key.out[:settled]
        del key.out[:settled]
        self._list(key)
        return finished

    def _list(self, key: _OrderingKey) -> None:
        """Make the key ready if it has something and nothing stands in its way."""
        if key.waiting and not (key.listed or key.out or key.resting):
            key.listed = True
            self._ready.append(key)
        self._forget_if_empty(key)

    def _forget_if_empty(self, key: _OrderingKey) -> None:
        if not (key.waiting or key.listed or key.out or key.resting):
            self._keys.pop(key.name, None)


class _Lot:
    """What one ``take`` hands out."""

    __slots__ = ("_limit", "_max_bytes", "_size", "deliveries")

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.deliveries: list[Delivery] = []
        self._limit = limit
        self._max_bytes = max_bytes
        self._size = 0

    def has_room_for(self, delivery: Delivery) -> bool:
        if len(self.deliveries) >= self._limit:
            return False
        return not self.deliveries or self._size + delivery.message.size <= self._max_bytes

    def add(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self._size += delivery.message.size
