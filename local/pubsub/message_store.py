"""The messages that one subscription retains."""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count

from local.pubsub.clock import Clock
from local.pubsub.memory import MemoryLimit
from local.pubsub.messages import NANOSECONDS, Message, UnackedMessage


class MessageStore:
    """Messages retained by one subscription, in publish order, with their expiry.

    Unacknowledged messages are kept for ``message_retention_duration``. Acknowledged ones are kept for a seek if the
    subscription has ``retain_acked_messages`` or its topic has a retention.

    Args:
        clock: The broker's clock.
        memory: The limit that every retained message counts against.
        on_expired: Called with unacknowledged messages whose retention has passed.
    """

    def __init__(
        self, *, clock: Clock, memory: MemoryLimit, on_expired: Callable[[list[UnackedMessage]], None]
    ) -> None:
        self._clock = clock
        self._memory = memory
        self._on_expired = on_expired
        self._sequences = count()
        self._unacked: dict[int, UnackedMessage] = {}
        self._acked: deque[tuple[int, Message]] = deque()
        self._retention_ns = 0
        self._acked_retention_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Count the unacknowledged messages."""
        return len(self._unacked)

    def configure(self, *, retention_seconds: float, acked_retention_seconds: float) -> None:
        self._retention_ns = int(retention_seconds * NANOSECONDS)
        self._acked_retention_ns = int(acked_retention_seconds * NANOSECONDS)
        self._set_timer()

    def add(self, message: Message) -> UnackedMessage:
        unacked = UnackedMessage(message, next(self._sequences))
        self._memory.hold(message)
        self._unacked[unacked.sequence] = unacked
        if self._timer is None:
            self._set_timer()
        return unacked

    def ack(self, unacked: UnackedMessage) -> None:
        """Move a message to the acknowledged ones, or forget it if those are not retained."""
        self._remove(unacked)
        if self._acked_retention_ns:
            self._acked.append((unacked.sequence, unacked.message))
        else:
            self._memory.release(unacked.message)

    def discard(self, unacked: UnackedMessage) -> None:
        """Forget an unacknowledged message."""
        self._remove(unacked)
        self._memory.release(unacked.message)

    def is_expired(self, unacked: UnackedMessage) -> bool:
        return unacked.message.published_ns < self._clock.wall_ns() - self._retention_ns

    def oldest_unacked_seconds(self) -> float:
        """Return the age of the oldest unacknowledged message; 0 without one."""
        oldest = next(iter(self._unacked.values()), None)
        return 0.0 if oldest is None else (self._clock.wall_ns() - oldest.message.published_ns) / NANOSECONDS

    def seek(self, to_ns: int) -> list[UnackedMessage]:
        """Make messages published from ``to_ns`` on unacknowledged, and all earlier ones acknowledged.

        Args:
            to_ns: A time, in nanoseconds since 1970.

        Returns:
            New ``UnackedMessage`` objects in publish order. All earlier ones of this subscription are done.
        """
        replayed = [(sequence, message, 0) for sequence, message in self._acked if message.published_ns >= to_ns]
        self._acked = deque(entry for entry in self._acked if entry[1].published_ns < to_ns)
        for unacked in list(self._unacked.values()):
            if unacked.message.published_ns >= to_ns:
                self._remove(unacked)
                replayed.append((unacked.sequence, unacked.message, unacked.failures))
            else:
                self.ack(unacked)
        for sequence, message, failures in sorted(replayed, key=lambda entry: entry[0]):
            renewed = self._unacked[sequence] = UnackedMessage(message, sequence)
            renewed.failures = failures
        return list(self._unacked.values())

    def clear(self) -> None:
        for unacked in list(self._unacked.values()):
            self.discard(unacked)
        for _, message in self._acked:
            self._memory.release(message)
        self._acked.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        now = self._clock.wall_ns()
        while self._acked and self._acked[0][1].published_ns < now - self._acked_retention_ns:
            self._memory.release(self._acked.popleft()[1])
        expired: list[UnackedMessage] = []
        for unacked in self._unacked.values():
            if not self.is_expired(unacked):
                break
            expired.append(unacked)
        if expired:
            self._on_expired(expired)

    def _remove(self, unacked: UnackedMessage) -> None:
        unacked.done = True
        del self._unacked[unacked.sequence]

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        expiries_ns = [
            message.published_ns + retention_ns
            for message, retention_ns in (
                (next((unacked.message for unacked in self._unacked.values()), None), self._retention_ns),
                (self._acked[0][1] if self._acked else None, self._acked_retention_ns),
            )
            if message is not None
        ]
        if expiries_ns:
            # At most once a second: one timer serves all messages that expire within it.
            wait = max(1.0, (min(expiries_ns) - self._clock.wall_ns()) / NANOSECONDS)
            self._timer = asyncio.get_running_loop().call_later(wait, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._expire()
        self._set_timer()
