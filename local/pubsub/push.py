"""Push delivery: one HTTP request per message, many in flight."""

import asyncio
from base64 import b64encode
from functools import partial
from weakref import WeakSet

import msgspec

from local.pubsub.backoff import PushBackoff
from local.pubsub.clock import Clock
from local.pubsub.messages import UnackedMessage
from local.pubsub.push_client import PushClient
from local.pubsub.subscription import Subscription

# https://docs.cloud.google.com/pubsub/docs/push#receive_push: any other status is a nack.
_ACK_STATUSES = frozenset({102, 200, 201, 202, 204})

# Maximum number of pushes in flight per subscription, from the first on. Google starts with a few and doubles them with
# every round of successes (https://docs.cloud.google.com/pubsub/docs/push#delivery_rate): a healthy endpoint gets there
# within a second.
MAX_IN_FLIGHT = 1000

# Maximum size of a subscription's messages in flight. Their request bodies are copies, so this bounds memory.
MAX_IN_FLIGHT_BYTES = 32 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class PushConsumer:
    """Pushes one subscription's messages to its endpoint, as fast as it answers and push backoff allows.

    The subscription's ack deadline is the timeout of each push. A push that takes longer is cut off and counts as
    unanswered.
    """

    def __init__(self, subscription: Subscription, url: str, clock: Clock) -> None:
        self.url = url
        self.backoff = PushBackoff(clock)
        self._subscription = subscription
        self._clock = clock
        self._client = PushClient(url)
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._stopped = False
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._body_end = b'},"subscription":%b' % _encode(subscription.name)

    def wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._push_ready)

    def stop(self) -> None:
        """Start no more pushes. Those in flight end as acks or nacks, each counted once."""
        self._stopped = True
        self._cancel_timer()
        self._client.retire()

    async def abort(self) -> None:
        """Stop and cut off the pushes in flight."""
        self._stopped = True
        self._cancel_timer()
        await self._client.abort()

    def _push_ready(self) -> None:
        self._scheduled = False
        now = self._clock.monotonic()
        while not self._stopped and self._in_flight < MAX_IN_FLIGHT and self._in_flight_bytes < MAX_IN_FLIGHT_BYTES:
            if wait := self.backoff.wait(now):
                self._wake_at(now + wait)
                return
            messages = self._subscription.take(
                1 if self.backoff.delay else MAX_IN_FLIGHT - self._in_flight,
                max_bytes=MAX_IN_FLIGHT_BYTES - self._in_flight_bytes,
                lease_seconds=None,
            )
            if not messages:
                return
            for unacked in messages:
                self._push(unacked, now)
            self.backoff.started(now)

    def _push(self, unacked: UnackedMessage, now: float) -> None:
        assert unacked.ack_id is not None
        size = unacked.message.size
        self._in_flight += 1
        self._in_flight_bytes += size
        self._client.post(
            self._body(unacked),
            timeout=self._subscription.ack_deadline,
            on_answer=partial(self._on_answer, unacked.ack_id, size, now),
        )

    def _on_answer(self, ack_id: str, size: int, started_at: float, status: int | None) -> None:
        self._in_flight -= 1
        self._in_flight_bytes -= size
        if status in _ACK_STATUSES:
            self.backoff.succeeded(self._clock.monotonic())
            self._subscription.ack(ack_id)
        else:
            self.backoff.failed(started_at=started_at, now=self._clock.monotonic())
            self._subscription.nack(ack_id, unanswered=status is None)
        self.wake()

    def _body(self, unacked: UnackedMessage) -> bytes:
        """Encode the wrapped body. Like Google's, it omits empty fields and spells id and time in both cases."""
        message = unacked.message
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
        parts.append(self._body_end)
        if attempt := self._subscription.delivery_attempt(unacked):
            parts.append(b',"deliveryAttempt":%d' % attempt)
        parts.append(b"}")
        return b"".join(parts)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._push_ready()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PushConsumers:
    """The push consumers of all subscriptions, kept in step with their push configs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._consumers: dict[str, PushConsumer] = {}
        # Stopped consumers that may have pushes in flight. Nothing else needs them once those have ended.
        self._stopped: WeakSet[PushConsumer] = WeakSet()

    def refresh(self, subscription: Subscription) -> None:
        """Start, stop or redirect pushing after a subscription was created, changed or deleted.

        An empty push endpoint pauses pushing: messages accumulate, and no delivery attempts are spent.
        """
        url = "" if subscription.closed else subscription.config.push_config.push_endpoint
        current = self._consumers.get(subscription.name)
        if current is not None:
            if current.url == url:
                return
            current.stop()
            self._stopped.add(current)
            subscription.consumers.remove(current)
            del self._consumers[subscription.name]
        if url:
            consumer = self._consumers[subscription.name] = PushConsumer(subscription, url, self._clock)
            subscription.consumers.append(consumer)
            consumer.wake()

    def backoff_seconds(self, subscription: Subscription) -> float:
        """Return the current push backoff; 0 if there is none."""
        consumer = self._consumers.get(subscription.name)
        return consumer.backoff.delay if consumer is not None else 0.0

    async def close(self) -> None:
        for consumer in [*self._consumers.values(), *self._stopped]:
            await consumer.abort()
