import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count

from local.pubsub.clock import Clock
from local.pubsub.messages import Memory, Message
from local.pubsub.queues import Delivery

_NANOSECONDS = 1_000_000_000


class Holdings:
    """Every message a subscription keeps, in order of publishing, and when it stops keeping it.

    Unacknowledged messages are kept for ``message_retention_duration``. Acknowledged ones are kept for a seek if the
    subscription has ``retain_acked_messages`` or its topic a retention of its own.

    Args:
        outlived: called with the unacknowledged messages that are past their retention.
    """

    def __init__(self, *, clock: Clock, memory: Memory, outlived: Callable[[list[Delivery]], None]) -> None:
        self._clock = clock
        self._memory = memory
        self._outlived = outlived
        self._sequences = count()
        self._unacked: dict[int, Delivery] = {}
        self._acked: deque[tuple[int, Message]] = deque()
        self._retention_ns = 0
        self._keep_acked_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._unacked)

    def configure(self, *, retention_seconds: float, keep_acked_seconds: float) -> None:
        self._retention_ns = int(retention_seconds * _NANOSECONDS)
        self._keep_acked_ns = int(keep_acked_seconds * _NANOSECONDS)
        self._set_timer()

    def add(self, message: Message) -> Delivery:
        delivery = Delivery(message, next(self._sequences))
        self._memory.hold(message)
        self._unacked[delivery.sequence] = delivery
        if self._timer is None:
            self._set_timer()
        return delivery

    def acked(self, delivery: Delivery) -> None:
        self._remove(delivery)
        if self._keep_acked_ns:
            self._acked.append((delivery.sequence, delivery.message))
        else:
            self._memory.release(delivery.message)

    def discard(self, delivery: Delivery) -> None:
        """Forget an unacknowledged message."""
        self._remove(delivery)
        self._memory.release(delivery.message)

    def is_outlived(self, delivery: Delivery) -> bool:
        return delivery.message.published_ns < self._clock.wall_ns() - self._retention_ns

    def oldest_unacked_seconds(self) -> float:
        """Age of the oldest unacknowledged message; 0 without one."""
        oldest = next(iter(self._unacked.values()), None)
        return 0.0 if oldest is None else (self._clock.wall_ns() - oldest.message.published_ns) / _NANOSECONDS

    def rewind(self, to_ns: int) -> list[Delivery]:
        """Seek: what was published from ``to_ns`` on is unacknowledged, all before it acknowledged.

        Returns:
            Fresh deliveries in order of publishing. Earlier deliveries of this subscription are gone.
        """
        replayed = [(sequence, message, 0) for sequence, message in self._acked if message.published_ns >= to_ns]
        self._acked = deque(entry for entry in self._acked if entry[1].published_ns < to_ns)
        for delivery in list(self._unacked.values()):
            if delivery.message.published_ns >= to_ns:
                self._remove(delivery)
                replayed.append((delivery.sequence, delivery.message, delivery.failures))
            else:
                self.acked(delivery)
        for sequence, message, failures in sorted(replayed, key=lambda entry: entry[0]):
            fresh = self._unacked[sequence] = Delivery(message, sequence)
            fresh.failures = failures
        return list(self._unacked.values())

    def clear(self) -> None:
        for delivery in list(self._unacked.values()):
            self.discard(delivery)
        for _, message in self._acked:
            self._memory.release(message)
        self._acked.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget_outlived(self) -> None:
        now = self._clock.wall_ns()
        while self._acked and self._acked[0][1].published_ns < now - self._keep_acked_ns:
            self._memory.release(self._acked.popleft()[1])
        outlived: list[Delivery] = []
        for delivery in self._unacked.values():
            if not self.is_outlived(delivery):
                break
            outlived.append(delivery)
        if outlived:
            self._outlived(outlived)

    def _remove(self, delivery: Delivery) -> None:
        delivery.gone = True
        del self._unacked[delivery.sequence]

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ends = [
            message.published_ns + kept_ns
            for message, kept_ns in (
                (next((delivery.message for delivery in self._unacked.values()), None), self._retention_ns),
                (self._acked[0][1] if self._acked else None, self._keep_acked_ns),
            )
            if message is not None
        ]
        if ends:
            wait = max(1.0, (min(ends) - self._clock.wall_ns()) / _NANOSECONDS)
            self._timer = asyncio.get_running_loop().call_later(wait, self._timer_due)

    def _timer_due(self) -> None:
        self._timer = None
        self._forget_outlived()
        self._set_timer()
