from collections.abc import Callable
from itertools import count

from local.pubsub.clock import Clock, DueQueue
from local.pubsub.queues import Delivery, LeaseHolder

_SPARE_DEADLINES = 1000


class Leases:
    """Who has which message, and until when. An ack id is good for one lease.

    Args:
        subscription: full name; part of every ack id.
        missed: called with the ack id of a lease whose deadline has passed; the lease is still there.
    """

    def __init__(self, subscription: str, *, clock: Clock, missed: Callable[[str], None]) -> None:
        self._clock = clock
        self._missed = missed
        self._prefix = f"{subscription}:"
        # A recreated subscription must not take an ack id of the one before it for its own.
        self._numbers = count(clock.wall_ns() // 1000)
        self._by_ack_id: dict[str, Delivery] = {}
        # Ack ids, not messages: an acknowledged message must not stay in memory until its deadline would have passed.
        self._deadlines: DueQueue[str] = DueQueue(self._check)

    def __len__(self) -> int:
        return len(self._by_ack_id)

    def grant(self, delivery: Delivery, *, seconds: float | None, holder: LeaseHolder | None) -> None:
        """Start a lease. Without ``seconds`` it lasts until it is ended: a push is timed by its request."""
        ack_id = f"{self._prefix}{next(self._numbers)}"
        delivery.ack_id = ack_id
        delivery.holder = holder
        self._by_ack_id[ack_id] = delivery
        if seconds is not None:
            self._set_deadline(delivery, ack_id, seconds)

    def end(self, ack_id: str) -> Delivery | None:
        """Take the message back. None when the lease is over already."""
        delivery = self._by_ack_id.pop(ack_id, None)
        if delivery is None:
            return None
        delivery.ack_id = None
        if delivery.holder is not None:
            delivery.holder.returned(delivery)
            delivery.holder = None
        return delivery

    def end_all(self) -> None:
        for ack_id in list(self._by_ack_id):
            self.end(ack_id)
        self._deadlines.clear()

    def extend(self, ack_id: str, seconds: float) -> None:
        """Let the lease end ``seconds`` from now, sooner or later than it would have; nothing if it is over already."""
        delivery = self._by_ack_id.get(ack_id)
        if delivery is None:
            return
        deadline = self._clock.monotonic() + seconds
        if deadline >= delivery.deadline:
            delivery.deadline = deadline
        else:
            self._set_deadline(delivery, ack_id, seconds)

    def is_ack_id(self, ack_id: str) -> bool:
        """Whether it can have been given out here. A late one is accepted and changes nothing, as at Google."""
        return ack_id.startswith(self._prefix) and ack_id[len(self._prefix) :].isdecimal()

    def _set_deadline(self, delivery: Delivery, ack_id: str, seconds: float) -> None:
        delivery.deadline = self._clock.monotonic() + seconds
        self._deadlines.add(ack_id, delivery.deadline)
        # Most leases end long before their deadline. Looking at all as often as they have doubled is cheap for each.
        if len(self._deadlines) > 2 * len(self._by_ack_id) + _SPARE_DEADLINES:
            self._deadlines.keep(self._by_ack_id.__contains__)

    def _check(self, ack_ids: list[str]) -> None:
        now = self._clock.monotonic()
        for ack_id in ack_ids:
            delivery = self._by_ack_id.get(ack_id)
            if delivery is None:
                continue
            if delivery.deadline > now:
                self._deadlines.add(ack_id, delivery.deadline)
            else:
                self._missed(ack_id)
