"""The leases of one subscription's outstanding messages."""

from collections.abc import Callable
from itertools import count

from local.pubsub.clock import Clock, DueQueue
from local.pubsub.messages import LeaseHolder, UnackedMessage

_SPARE_DEADLINES = 1000


class Leases:
    """The outstanding messages of one subscription, with their ack deadlines. Each lease has an ack id of its own.

    Args:
        subscription: The subscription's full name, which begins every ack id.
        clock: The broker's clock.
        on_expired: Called with the ack id of a lease whose deadline has passed. It has to end the lease.
    """

    def __init__(self, subscription: str, *, clock: Clock, on_expired: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_expired = on_expired
        self._prefix = f"{subscription}:"
        # Numbers start at the time of day: a recreated subscription must not accept ack ids of the one before it.
        self._numbers = count(clock.wall_ns() // 1000)
        self._by_ack_id: dict[str, UnackedMessage] = {}
        # Ack ids, not messages: an acknowledged message must not stay in memory until its deadline would have passed.
        self._deadlines: DueQueue[str] = DueQueue(self._check)

    def __len__(self) -> int:
        return len(self._by_ack_id)

    def grant(self, unacked: UnackedMessage, *, seconds: float | None, holder: LeaseHolder | None) -> None:
        """Start a lease.

        Args:
            unacked: The message to deliver.
            seconds: The ack deadline; None for a push, which ends its own lease when its request ends.
            holder: Told when the lease ends, if given.
        """
        ack_id = f"{self._prefix}{next(self._numbers)}"
        unacked.ack_id = ack_id
        unacked.holder = holder
        self._by_ack_id[ack_id] = unacked
        if seconds is not None:
            self._set_deadline(unacked, ack_id, seconds)

    def end(self, ack_id: str) -> UnackedMessage | None:
        """End a lease and return its message; None if the lease is over already."""
        unacked = self._by_ack_id.pop(ack_id, None)
        if unacked is None:
            return None
        unacked.ack_id = None
        if unacked.holder is not None:
            unacked.holder.lease_ended(unacked)
            unacked.holder = None
        return unacked

    def end_all(self) -> None:
        for ack_id in list(self._by_ack_id):
            self.end(ack_id)
        self._deadlines.clear()

    def extend(self, ack_id: str, seconds: float) -> None:
        """Move the deadline to ``seconds`` from now, earlier or later. Does nothing if the lease is over already."""
        unacked = self._by_ack_id.get(ack_id)
        if unacked is None:
            return
        deadline = self._clock.monotonic() + seconds
        if deadline >= unacked.deadline:
            unacked.deadline = deadline
        else:
            self._set_deadline(unacked, ack_id, seconds)

    def is_ack_id(self, ack_id: str) -> bool:
        """Tell whether this subscription may have issued the ack id. Google too accepts a late one, without effect."""
        return ack_id.startswith(self._prefix) and ack_id[len(self._prefix) :].isdecimal()

    def _set_deadline(self, unacked: UnackedMessage, ack_id: str, seconds: float) -> None:
        unacked.deadline = self._clock.monotonic() + seconds
        self._deadlines.add(ack_id, unacked.deadline)
        # Most leases end long before their deadline. Cleaning up whenever the queue has doubled costs little per lease.
        if len(self._deadlines) > 2 * len(self._by_ack_id) + _SPARE_DEADLINES:
            self._deadlines.keep(self._by_ack_id.__contains__)

    def _check(self, ack_ids: list[str]) -> None:
        now = self._clock.monotonic()
        for ack_id in ack_ids:
            unacked = self._by_ack_id.get(ack_id)
            if unacked is None:
                continue
            if unacked.deadline > now:
                self._deadlines.add(ack_id, unacked.deadline)
            else:
                self._on_expired(ack_id)
