from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from local.pubsub.backoff import IMMEDIATELY, RetryPolicy
from local.pubsub.clock import Clock, DueQueue
from local.pubsub.errors import Refused
from local.pubsub.faults import FaultKind, Faults
from local.pubsub.filters import Predicate, parse_filter
from local.pubsub.holdings import Holdings
from local.pubsub.leases import Leases
from local.pubsub.messages import Memory, Message
from local.pubsub.queues import Delivery, LeaseHolder, OrderedQueue, PlainQueue, Queue
from local.pubsub.wire import Pb, seconds

_OVERTAKEN_AFTER_SECONDS = 1.0
_KEY_BATCH = 1000


class Consumer(Protocol):
    """Whoever takes messages from a subscription."""

    def wake(self) -> None:
        """There may be something to take, or the subscription has changed or is gone. Takes nothing by itself."""


class Counters(msgspec.Struct):
    """What has happened on a subscription since it was created, in messages.

    Attributes:
        delivered: handed out, each time.
        acked: acknowledged.
        nacked: given back, or pushed and answered with anything but an ack.
        unanswered: deadline passed; pushed without an answer in time or at all.
        forwarded: moved to the dead-letter topic.
        outlived: given up after their retention.
    """

    delivered: int = 0
    acked: int = 0
    nacked: int = 0
    unanswered: int = 0
    forwarded: int = 0
    outlived: int = 0


class Subscription:
    """The state of every message of one subscription: ready, out (leased), resting (backoff, fault), or finished.

    Args:
        config: the validated ``google.pubsub.v1.Subscription``.
        forward: publishes a spent message to the dead-letter topic; false when there is none: it is retried on then.
    """

    def __init__(
        self,
        config: Pb,
        *,
        clock: Clock,
        memory: Memory,
        faults: Faults,
        forward: Callable[["Subscription", Delivery], bool],
    ) -> None:
        self.name: str = config.name
        self.counters = Counters()
        self.consumers: list[Consumer] = []
        self.closed: Refused | None = None
        self._clock = clock
        self._faults = faults
        self._forward = forward
        self._ordered: bool = config.enable_message_ordering
        self._filter: Predicate | None = parse_filter(config.filter) if config.filter else None
        self._holdings = Holdings(clock=clock, memory=memory, outlived=self._outlived)
        self.leases = Leases(self.name, clock=clock, missed=self._missed)
        self._queue = self._new_queue()
        self._resting: DueQueue[Delivery] = DueQueue(self._rested)
        self._overtaken: dict[int, Delivery] = {}
        self._overtaken_until: DueQueue[int] = DueQueue(self._not_overtaken)
        self.configure(config)

    def configure(self, config: Pb) -> None:
        """Take over a new or updated configuration. A message that is out keeps the deadline it was given."""
        self.config = config
        self.ack_deadline: int = config.ack_deadline_seconds
        self._retry = IMMEDIATELY
        if config.HasField("retry_policy"):
            policy = config.retry_policy
            self._retry = RetryPolicy(seconds(policy.minimum_backoff), seconds(policy.maximum_backoff))
        self._max_attempts: int = config.dead_letter_policy.max_delivery_attempts
        # Google pushes one message of a key at a time; a pull gets as many as it asks for.
        self._per_key = 1 if config.push_config.push_endpoint else _KEY_BATCH
        retention = seconds(config.message_retention_duration)
        kept = seconds(config.topic_message_retention_duration)
        self._holdings.configure(
            retention_seconds=retention,
            keep_acked_seconds=max(retention, kept) if config.retain_acked_messages else kept,
        )
        self._wake()

    def close(self, why: Refused) -> None:
        """Give up everything it holds, and tell whoever still pulls why."""
        self.closed = why
        self._forget_progress()
        self._holdings.clear()
        self._wake()

    def offer(self, messages: Iterable[Message]) -> None:
        """Keep the published messages that pass the filter."""
        for message in messages:
            if self._filter is None or self._filter(message.attributes):
                self._keep(self._holdings.add(message))
        if len(self._queue):
            self._wake()

    def take(
        self, limit: int, *, max_bytes: int, lease_seconds: float | None, holder: LeaseHolder | None = None
    ) -> list[Delivery]:
        """Hand out ready messages.

        Args:
            limit: how many at most.
            max_bytes: what they may have together; one message may have more.
            lease_seconds: how long they may stay unacknowledged; None when the caller times them itself, as push does.
            holder: told when each lease is over.
        """
        taken: list[Delivery] = []
        for delivery in self._queue.take(limit, max_bytes, self._per_key):
            if self._holdings.is_outlived(delivery):
                self._outlived([delivery])
            else:
                self.leases.grant(delivery, seconds=lease_seconds, holder=holder)
                taken.append(delivery)
        self.counters.delivered += len(taken)
        return taken

    def attempt(self, delivery: Delivery) -> int:
        """What a receiver is told as delivery attempt: 0, which means none, without a dead-letter policy."""
        return delivery.failures + 1 if self._max_attempts else 0

    def ack(self, ack_id: str) -> None:
        delivery = self.leases.end(ack_id)
        if delivery is None:
            return
        if self._faults.active and self._ack_goes_wrong(delivery):
            return
        self.counters.acked += 1
        self._finish(self._queue.acked(delivery))

    def nack(self, ack_id: str, *, unanswered: bool = False) -> None:
        delivery = self.leases.end(ack_id)
        if delivery is None:
            return
        if unanswered:
            self.counters.unanswered += 1
        else:
            self.counters.nacked += 1
        self._failed(delivery)

    def seek(self, to_ns: int) -> None:
        """Make what was published from ``to_ns`` on (since 1970) unacknowledged and all before it acknowledged.

        Messages that are out are sent again: at-least-once delivery allows it, and keeps the order of a key simple.
        """
        self._forget_progress()
        for delivery in self._holdings.rewind(to_ns):
            self._queue.add(delivery)
        self._wake()

    def stats(self) -> dict[str, object]:
        return {
            "topic": self.config.topic,
            "backlog": len(self._holdings),
            "oldest_unacked_seconds": round(self._holdings.oldest_unacked_seconds(), 3),
            "in_flight": len(self.leases),
            **msgspec.structs.asdict(self.counters),
        }

    def _keep(self, delivery: Delivery) -> None:
        if self._faults.active and self._held_back(delivery):
            return
        self._queue.add(delivery)
        if self._overtaken:
            self._not_overtaken(list(self._overtaken))

    def _held_back(self, delivery: Delivery) -> bool:
        now = self._clock.monotonic()
        if fault := self._faults.strike("delay", topic=self.config.topic, subscription=self.name):
            self._queue.hold(delivery)
            self._resting.add(delivery, now + fault.seconds)
            return True
        if not (self._ordered and delivery.message.ordering_key) and self._strikes("reorder"):
            self._overtaken[delivery.sequence] = delivery
            self._overtaken_until.add(delivery.sequence, now + _OVERTAKEN_AFTER_SECONDS)
            return True
        return False

    def _not_overtaken(self, sequences: list[int]) -> None:
        for sequence in sequences:
            if (delivery := self._overtaken.pop(sequence, None)) is not None:
                self._queue.add(delivery)
        self._wake()

    def _ack_goes_wrong(self, delivery: Delivery) -> bool:
        if self._strikes("drop_ack"):
            self.counters.unanswered += 1
            self._failed(delivery)
            return True
        if not delivery.repeated and self._strikes("duplicate"):
            self.counters.acked += 1
            delivery.repeated = True
            self._send_again(delivery, after=0)
            return True
        return False

    def _strikes(self, kind: FaultKind) -> bool:
        return self._faults.strike(kind, topic=self.config.topic, subscription=self.name) is not None

    def _failed(self, delivery: Delivery) -> None:
        delivery.failures += 1
        if self._max_attempts and delivery.failures >= self._max_attempts and self._forward(self, delivery):
            self.counters.forwarded += 1
            self._drop(delivery)
        else:
            self._send_again(delivery, after=self._clock.scaled(self._retry.delay(delivery.failures)))

    def _send_again(self, delivery: Delivery, *, after: float) -> None:
        for later in self._queue.failed(delivery):
            if later.ack_id is not None:
                self.leases.end(later.ack_id)
        if after > 0:
            self._resting.add(delivery, self._clock.monotonic() + after)
        else:
            self._rested([delivery])

    def _rested(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._queue.rested(delivery)
        self._wake()

    def _missed(self, ack_id: str) -> None:
        self.nack(ack_id, unanswered=True)

    def _finish(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._holdings.acked(delivery)
        if self._ordered:
            self._wake()

    def _drop(self, delivery: Delivery) -> None:
        self._holdings.discard(delivery)
        self._finish(self._queue.dropped(delivery))

    def _outlived(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.gone:  # finished with an earlier message of its key
                continue
            if delivery.ack_id is not None:
                self.leases.end(delivery.ack_id)
            self.counters.outlived += 1
            self._drop(delivery)

    def _forget_progress(self) -> None:
        self.leases.end_all()
        self._resting.clear()
        self._overtaken_until.clear()
        self._overtaken.clear()
        self._queue = self._new_queue()

    def _new_queue(self) -> Queue:
        return OrderedQueue() if self._ordered else PlainQueue()

    def _wake(self) -> None:
        for consumer in self.consumers:
            consumer.wake()
