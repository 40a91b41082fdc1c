"""One subscription: its messages from publish to ack, dead letter or expiry."""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from local.deadlines import MAX_REORDER_SECONDS
from local.pubsub.backoff import IMMEDIATE_RETRY, RetryPolicy
from local.pubsub.clock import Clock, DueQueue
from local.pubsub.errors import ApiError
from local.pubsub.faults import FaultKind, Faults
from local.pubsub.filters import Predicate, parse_filter
from local.pubsub.leases import Leases
from local.pubsub.memory import MemoryLimit
from local.pubsub.message_store import MessageStore
from local.pubsub.messages import LeaseHolder, Message, UnackedMessage
from local.pubsub.queues import OrderedQueue, Queue, UnorderedQueue
from local.pubsub.wire import Pb, seconds

# Google pushes one message of an ordering key at a time; a pull gets as many as it asks for.
_MAX_PUSHED_PER_KEY = 1
_MAX_PULLED_PER_KEY = 1000


class Consumer(Protocol):
    """A receiver of a subscription's messages: a push consumer, a pull or a streaming pull."""

    def wake(self) -> None:
        """Called when there may be messages to take, and when the subscription was changed or deleted."""


class Counters(msgspec.Struct):
    """Message counts of one subscription since it was created.

    Attributes:
        delivered: Deliveries, redeliveries included.
        acked: Acknowledgements.
        nacked: Negative acknowledgements, and pushes answered with anything but an ack.
        unanswered: Missed ack deadlines, and pushes without an answer in time or without a connection.
        forwarded: Messages moved to the dead-letter topic.
        expired: Messages discarded because their retention had passed.
    """

    delivered: int = 0
    acked: int = 0
    nacked: int = 0
    unanswered: int = 0
    forwarded: int = 0
    expired: int = 0


class Subscription:
    """Keeps every message of one subscription: ready, outstanding (leased), or delayed by a backoff or a fault.

    Args:
        config: The validated ``google.pubsub.v1.Subscription``.
        clock: The broker's clock.
        memory: The limit that retained messages count against.
        faults: The faults to inject.
        forward: Publishes a message to the dead-letter topic. Returns False if that topic does not exist; the message
            is then retried.
    """

    def __init__(
        self,
        config: Pb,
        *,
        clock: Clock,
        memory: MemoryLimit,
        faults: Faults,
        forward: Callable[["Subscription", UnackedMessage], bool],
    ) -> None:
        self.name: str = config.name
        self.counters = Counters()
        self.consumers: list[Consumer] = []
        self.closed: ApiError | None = None
        self._clock = clock
        self._faults = faults
        self._forward = forward
        self._ordered: bool = config.enable_message_ordering
        self._filter: Predicate | None = parse_filter(config.filter) if config.filter else None
        self._store = MessageStore(clock=clock, memory=memory, on_expired=self._discard_expired)
        self.leases = Leases(self.name, clock=clock, on_expired=self._deadline_missed)
        self._queue = self._new_queue()
        self._delayed: DueQueue[UnackedMessage] = DueQueue(self._make_ready)
        self._reordered: dict[int, UnackedMessage] = {}
        self._reorder_deadlines: DueQueue[int] = DueQueue(self._end_reorder)
        self.configure(config)

    def configure(self, config: Pb) -> None:
        """Apply a new or updated configuration. Outstanding messages keep their ack deadlines."""
        self.config = config
        self.ack_deadline: int = config.ack_deadline_seconds
        self._retry = IMMEDIATE_RETRY
        if config.HasField("retry_policy"):
            policy = config.retry_policy
            self._retry = RetryPolicy(seconds(policy.minimum_backoff), seconds(policy.maximum_backoff))
        self._max_attempts: int = config.dead_letter_policy.max_delivery_attempts
        self._max_per_key = _MAX_PUSHED_PER_KEY if config.push_config.push_endpoint else _MAX_PULLED_PER_KEY
        retention = seconds(config.message_retention_duration)
        topic_retention = seconds(config.topic_message_retention_duration)
        self._store.configure(
            retention_seconds=retention,
            acked_retention_seconds=max(retention, topic_retention)
            if config.retain_acked_messages
            else topic_retention,
        )
        self._wake()

    def close(self, error: ApiError) -> None:
        """Discard all messages. Consumers that still wait are answered with ``error``."""
        self.closed = error
        self._reset_progress()
        self._store.clear()
        self._wake()

    def offer(self, messages: Iterable[Message]) -> None:
        """Keep the published messages that match the filter."""
        for message in messages:
            if self._filter is None or self._filter(message.attributes):
                self._keep(self._store.add(message))
        if len(self._queue):
            self._wake()

    def take(
        self, limit: int, *, max_bytes: int, lease_seconds: float | None, holder: LeaseHolder | None = None
    ) -> list[UnackedMessage]:
        """Lease ready messages to a consumer.

        Args:
            limit: Maximum number of messages.
            max_bytes: Maximum size of them together; a single message may be larger.
            lease_seconds: The ack deadline; None for a push, which ends its own lease when its request ends.
            holder: Told when each lease ends, if given.
        """
        taken: list[UnackedMessage] = []
        for unacked in self._queue.take(limit, max_bytes, self._max_per_key):
            if self._store.is_expired(unacked):
                self._discard_expired([unacked])
            else:
                self.leases.grant(unacked, seconds=lease_seconds, holder=holder)
                taken.append(unacked)
        self.counters.delivered += len(taken)
        return taken

    def delivery_attempt(self, unacked: UnackedMessage) -> int:
        """Return the delivery attempt to tell the consumer: from 1 with a dead-letter policy, 0 without one."""
        return unacked.failures + 1 if self._max_attempts else 0

    def ack(self, ack_id: str) -> None:
        unacked = self.leases.end(ack_id)
        if unacked is None:
            return
        if self._faults.active and self._inject_ack_fault(unacked):
            return
        self.counters.acked += 1
        self._finish(self._queue.ack(unacked))

    def nack(self, ack_id: str, *, unanswered: bool = False) -> None:
        unacked = self.leases.end(ack_id)
        if unacked is None:
            return
        if unanswered:
            self.counters.unanswered += 1
        else:
            self.counters.nacked += 1
        self._retry_or_forward(unacked)

    def seek(self, to_ns: int) -> None:
        """Make messages published from ``to_ns`` on unacknowledged, and all earlier ones acknowledged.

        Outstanding messages are delivered again: at-least-once delivery allows it, and it keeps ordering keys simple.

        Args:
            to_ns: A time, in nanoseconds since 1970.
        """
        self._reset_progress()
        for unacked in self._store.seek(to_ns):
            self._queue.add(unacked)
        self._wake()

    def stats(self) -> dict[str, object]:
        return {
            "topic": self.config.topic,
            "backlog": len(self._store),
            "oldest_unacked_seconds": round(self._store.oldest_unacked_seconds(), 3),
            "in_flight": len(self.leases),
            **msgspec.structs.asdict(self.counters),
        }

    def _keep(self, unacked: UnackedMessage) -> None:
        if self._faults.active and self._inject_publish_fault(unacked):
            return
        self._queue.add(unacked)
        if self._reordered:
            self._end_reorder(list(self._reordered))

    def _inject_publish_fault(self, unacked: UnackedMessage) -> bool:
        now = self._clock.monotonic()
        if fault := self._faults.draw("delay", topic=self.config.topic, subscription=self.name):
            self._queue.add_delayed(unacked)
            self._delayed.add(unacked, now + fault.seconds)
            return True
        if not (self._ordered and unacked.message.ordering_key) and self._draw("reorder"):
            self._reordered[unacked.sequence] = unacked
            self._reorder_deadlines.add(unacked.sequence, now + MAX_REORDER_SECONDS)
            return True
        return False

    def _end_reorder(self, sequences: list[int]) -> None:
        for sequence in sequences:
            if (unacked := self._reordered.pop(sequence, None)) is not None:
                self._queue.add(unacked)
        self._wake()

    def _inject_ack_fault(self, unacked: UnackedMessage) -> bool:
        if self._draw("drop_ack"):
            self.counters.unanswered += 1
            self._retry_or_forward(unacked)
            return True
        if not unacked.duplicated and self._draw("duplicate"):
            self.counters.acked += 1
            unacked.duplicated = True
            self._redeliver(unacked, after=0)
            return True
        return False

    def _draw(self, kind: FaultKind) -> bool:
        return self._faults.draw(kind, topic=self.config.topic, subscription=self.name) is not None

    def _retry_or_forward(self, unacked: UnackedMessage) -> None:
        unacked.failures += 1
        if self._max_attempts and unacked.failures >= self._max_attempts and self._forward(self, unacked):
            self.counters.forwarded += 1
            self._discard(unacked)
        else:
            self._redeliver(unacked, after=self._clock.scaled(self._retry.delay(unacked.failures)))

    def _redeliver(self, unacked: UnackedMessage, *, after: float) -> None:
        for later in self._queue.nack(unacked):
            if later.ack_id is not None:
                self.leases.end(later.ack_id)
        if after > 0:
            self._delayed.add(unacked, self._clock.monotonic() + after)
        else:
            self._make_ready([unacked])

    def _make_ready(self, messages: list[UnackedMessage]) -> None:
        for unacked in messages:
            self._queue.make_ready(unacked)
        self._wake()

    def _deadline_missed(self, ack_id: str) -> None:
        self.nack(ack_id, unanswered=True)

    def _finish(self, messages: list[UnackedMessage]) -> None:
        for unacked in messages:
            self._store.ack(unacked)
        if self._ordered:
            self._wake()

    def _discard(self, unacked: UnackedMessage) -> None:
        self._store.discard(unacked)
        self._finish(self._queue.remove(unacked))

    def _discard_expired(self, messages: list[UnackedMessage]) -> None:
        for unacked in messages:
            if unacked.done:  # finished together with an earlier message of its ordering key
                continue
            if unacked.ack_id is not None:
                self.leases.end(unacked.ack_id)
            self.counters.expired += 1
            self._discard(unacked)

    def _reset_progress(self) -> None:
        self.leases.end_all()
        self._delayed.clear()
        self._reorder_deadlines.clear()
        self._reordered.clear()
        self._queue = self._new_queue()

    def _new_queue(self) -> Queue:
        return OrderedQueue() if self._ordered else UnorderedQueue()

    def _wake(self) -> None:
        for consumer in self.consumers:
            consumer.wake()
