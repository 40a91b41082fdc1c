"""Push delivery: one HTTP request per message, many in flight."""

import asyncio
from base64 import b64encode
from functools import partial

import msgspec

from local.pubsub.backoff import PushSlowDown
from local.pubsub.clock import Clock
from local.pubsub.endpoint import Endpoint
from local.pubsub.queues import Delivery
from local.pubsub.subscription import Subscription

ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
"""Statuses that acknowledge (https://docs.cloud.google.com/pubsub/docs/push#receive_push); any other is a nack."""

PUSH_WINDOW = 1000
"""Pushes in flight per subscription, from the first on. Google starts with a few and doubles them with every round of
successes (https://docs.cloud.google.com/pubsub/docs/push#delivery_rate): a healthy endpoint has them in a second."""

IN_FLIGHT_MAX_BYTES = 32 * 1024 * 1024
"""No further push is started for a subscription whose messages in flight have this size: their bodies are copies."""

_encode = msgspec.json.Encoder().encode


class PushConsumer:
    """Pushes one subscription's messages to its endpoint, as fast as it answers and the slow-down allows.

    A push is timed by the subscription's ack deadline: one that takes longer is cut off and counts as a failure.
    """

    def __init__(self, subscription: Subscription, url: str, clock: Clock) -> None:
        self.url = url
        self.slow_down = PushSlowDown(clock)
        self._subscription = subscription
        self._clock = clock
        self._endpoint = Endpoint(url)
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._stopped = False
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._tail = b'},"subscription":%b' % _encode(subscription.name)

    def wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def stop(self) -> None:
        """Start no more pushes. Those in flight still count."""
        self._stopped = True
        self._cancel_timer()
        self._endpoint.retire()

    async def abort(self) -> None:
        self._stopped = True
        self._cancel_timer()
        await self._endpoint.abort()

    def _pump(self) -> None:
        self._scheduled = False
        now = self._clock.monotonic()
        while not self._stopped and self._in_flight < PUSH_WINDOW and self._in_flight_bytes < IN_FLIGHT_MAX_BYTES:
            if wait := self.slow_down.wait(now):
                self._wake_at(now + wait)
                return
            deliveries = self._subscription.take(
                1 if self.slow_down.pause else PUSH_WINDOW - self._in_flight,
                max_bytes=IN_FLIGHT_MAX_BYTES - self._in_flight_bytes,
                lease_seconds=None,
            )
            if not deliveries:
                return
            for delivery in deliveries:
                self._push(delivery, now)
            self.slow_down.started(now)

    def _push(self, delivery: Delivery, now: float) -> None:
        assert delivery.ack_id is not None
        size = delivery.message.size
        self._in_flight += 1
        self._in_flight_bytes += size
        self._endpoint.post(
            self._body(delivery),
            timeout=self._subscription.ack_deadline,
            answered=partial(self._answered, delivery.ack_id, size, now),
        )

    def _answered(self, ack_id: str, size: int, started_at: float, status: int | None) -> None:
        self._in_flight -= 1
        self._in_flight_bytes -= size
        if status in ACKNOWLEDGING:
            self.slow_down.succeeded(self._clock.monotonic())
            self._subscription.ack(ack_id)
        else:
            self.slow_down.failed(started_at=started_at, now=self._clock.monotonic())
            self._subscription.nack(ack_id, unanswered=status is None)
        self.wake()

    def _body(self, delivery: Delivery) -> bytes:
        """The wrapped body. Like Google's, it leaves out what is empty and has the id and time in both spellings."""
        message = delivery.message
        parts = [b'{"message":{']
        if message.data:
            parts += (b'"data":"', b64encode(message.data), b'",')
        if message.attributes:
            parts += (b'"attributes":', _encode(message.attributes), b",")
        if message.ordering_key:
            parts += (b'"orderingKey":', _encode(message.ordering_key), b",")
        message_id, published = message.id, message.published_text
        parts.append(
            f'"messageId":"{message_id}","message_id":"{message_id}",'
            f'"publishTime":"{published}","publish_time":"{published}"'.encode()
        )
        parts.append(self._tail)
        if attempt := self._subscription.attempt(delivery):
            parts.append(b',"deliveryAttempt":%d' % attempt)
        parts.append(b"}")
        return b"".join(parts)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._pump()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Pushes:
    """The push consumers of all subscriptions, kept in step with their configuration."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._consumers: dict[str, PushConsumer] = {}

    def refresh(self, subscription: Subscription) -> None:
        """Start, stop or redirect pushing after the subscription was created, changed or deleted."""
        url = "" if subscription.closed else subscription.config.push_config.push_endpoint
        current = self._consumers.get(subscription.name)
        if current is not None:
            if current.url == url:
                return
            current.stop()
            subscription.consumers.remove(current)
            del self._consumers[subscription.name]
        if url:
            consumer = self._consumers[subscription.name] = PushConsumer(subscription, url, self._clock)
            subscription.consumers.append(consumer)
            consumer.wake()

    def pause_seconds(self, subscription: Subscription) -> float:
        """How long the subscription waits between pushes at present; 0 when it is not slowed down."""
        consumer = self._consumers.get(subscription.name)
        return consumer.slow_down.pause if consumer is not None else 0.0

    async def close(self) -> None:
        for consumer in self._consumers.values():
            await consumer.abort()
