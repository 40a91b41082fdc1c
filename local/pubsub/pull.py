"""Pull delivery: unary pulls and streaming pulls."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import grpc

from local.pubsub import validation
from local.pubsub.errors import Refused, invalid
from local.pubsub.queues import Delivery, LeaseHolder
from local.pubsub.subscription import Subscription
from local.pubsub.wire import Pb, ReceivedMessage, StreamingPullResponse

PULL_WAIT_SECONDS = 10.0
"""How long an empty pull waits for a message, if its client's deadline leaves as much."""

_RESPONSE_MESSAGES = 1000
_RESPONSE_BYTES = 3 * 1024 * 1024
"""Below what a gRPC client takes by default, 4 MiB: Google's clients lift that limit, except for an emulator's host."""


class _Bell:
    """A consumer that waits for its turn."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def wake(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung.clear()


async def pull(subscription: Subscription, *, max_messages: int, wait_seconds: float) -> list[Pb]:
    """Up to ``max_messages`` received messages; none if there are none for ``wait_seconds``.

    Raises:
        Refused: the subscription is, or becomes, a push subscription, or is deleted.
    """
    if max_messages <= 0:
        reason = "max_messages must be above 0."
        raise invalid(reason)
    bell = _Bell()
    with _listening(subscription, bell):
        try:
            async with asyncio.timeout(wait_seconds):
                while not (deliveries := _take_for_pull(subscription, max_messages)):
                    await bell.wait()
        except TimeoutError:
            return []
    return [_received(subscription, delivery) for delivery in deliveries]


def _take_for_pull(subscription: Subscription, max_messages: int) -> list[Delivery]:
    return _take(subscription, max_messages, max_bytes=_RESPONSE_BYTES, lease_seconds=subscription.ack_deadline)


def _received(subscription: Subscription, delivery: Delivery) -> Pb:
    return ReceivedMessage(
        ack_id=delivery.ack_id,
        message=delivery.message.to_pb(),
        delivery_attempt=subscription.attempt(delivery),
    )


class PullStream:
    """One streaming pull, with its flow control.

    Args:
        first: the opening request: stream deadline and limits. Limits of 0 or less are none.
    """

    def __init__(self, subscription: Subscription, first: Pb) -> None:
        validation.check_stream_lease(first.stream_ack_deadline_seconds)
        self._subscription = subscription
        self._lease_seconds: int = first.stream_ack_deadline_seconds
        self._max_messages: int = first.max_outstanding_messages
        self._max_bytes: int = first.max_outstanding_bytes
        self._messages = 0
        self._bytes = 0
        self._bell = _Bell()

    def returned(self, delivery: Delivery) -> None:
        self._messages -= 1
        self._bytes -= delivery.message.size
        self._bell.wake()

    async def responses(self, requests: AsyncIterator[Pb]) -> AsyncIterator[Pb]:
        """The messages, until the client ends its side.

        Args:
            requests: the client's further requests: acks, deadlines, a new stream deadline.

        Raises:
            Refused: a request was, or the subscription is no longer one to pull from.
        """
        reader = asyncio.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._bell.wake())
        try:
            with _listening(self._subscription, self._bell):
                while not reader.done():
                    if deliveries := self._take():
                        yield StreamingPullResponse(
                            received_messages=[_received(self._subscription, delivery) for delivery in deliveries]
                        )
                    else:
                        await self._bell.wait()
            reader.result()
        finally:
            reader.cancel()

    async def _read(self, requests: AsyncIterator[Pb]) -> None:
        async for request in requests:
            self._act(request)

    def _act(self, request: Pb) -> None:
        subscription = self._subscription
        if request.stream_ack_deadline_seconds:
            validation.check_stream_lease(request.stream_ack_deadline_seconds)
            self._lease_seconds = request.stream_ack_deadline_seconds
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            reason = "modify_deadline_seconds and modify_deadline_ack_ids must have the same length."
            raise invalid(reason)
        acknowledge(subscription, request.ack_ids)
        for ack_id, lease_seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True):
            modify_deadline(subscription, [ack_id], lease_seconds)

    def _take(self) -> list[Delivery]:
        messages = self._max_messages - self._messages if self._max_messages > 0 else _RESPONSE_MESSAGES
        size = self._max_bytes - self._bytes if self._max_bytes > 0 else _RESPONSE_BYTES
        if size <= 0:
            return []
        deliveries = _take(
            self._subscription,
            messages,
            max_bytes=size,
            lease_seconds=self._lease_seconds,
            holder=self,
        )
        self._messages += len(deliveries)
        self._bytes += sum(delivery.message.size for delivery in deliveries)
        return deliveries


def acknowledge(subscription: Subscription, ack_ids: Sequence[str]) -> None:
    """Ack ids of leases that are over change nothing.

    Raises:
        Refused: INVALID_ARGUMENT, and nothing was acknowledged: one is not an ack id of this subscription.
    """
    _check_ack_ids(subscription, ack_ids)
    for ack_id in ack_ids:
        subscription.ack(ack_id)


def modify_deadline(subscription: Subscription, ack_ids: Sequence[str], lease_seconds: int) -> None:
    """Extend or shorten leases; 0 seconds is a negative acknowledgement.

    Raises:
        Refused: INVALID_ARGUMENT, and nothing was changed.
    """
    validation.check_lease(lease_seconds)
    _check_ack_ids(subscription, ack_ids)
    for ack_id in ack_ids:
        if lease_seconds:
            subscription.leases.extend(ack_id, lease_seconds)
        else:
            subscription.nack(ack_id)


def _check_ack_ids(subscription: Subscription, ack_ids: Sequence[str]) -> None:
    for ack_id in ack_ids:
        if not subscription.leases.is_ack_id(ack_id):
            reason = "Invalid ack id: it was not given out by this subscription."
            raise invalid(reason)


def _take(
    subscription: Subscription, limit: int, *, max_bytes: int, lease_seconds: float, holder: LeaseHolder | None = None
) -> list[Delivery]:
    if subscription.closed is not None:
        raise subscription.closed
    if subscription.config.push_config.push_endpoint:
        reason = "The subscription pushes its messages: it cannot be pulled from."
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, reason)
    return subscription.take(
        min(limit, _RESPONSE_MESSAGES),
        max_bytes=min(max_bytes, _RESPONSE_BYTES),
        lease_seconds=lease_seconds,
        holder=holder,
    )


@contextmanager
def _listening(subscription: Subscription, bell: _Bell) -> Iterator[None]:
    subscription.consumers.append(bell)
    try:
        yield
    finally:
        subscription.consumers.remove(bell)
