"""Pull delivery: unary pulls and streaming pulls."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import grpc

from local.pubsub import validation
from local.pubsub.errors import ApiError, invalid
from local.pubsub.messages import LeaseHolder, UnackedMessage
from local.pubsub.subscription import Subscription
from local.pubsub.wire import Pb, ReceivedMessage, StreamingPullResponse

_MAX_RESPONSE_MESSAGES = 1000
# gRPC clients accept 4 MiB by default. Google's clients lift that limit, except for an emulator.
_MAX_RESPONSE_BYTES = 3 * 1024 * 1024


class _Waiter:
    """A pull that waits until its subscription wakes it."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def wait(self) -> None:
        await self._woken.wait()
        self._woken.clear()


async def pull(subscription: Subscription, *, max_messages: int, wait_seconds: float) -> list[Pb]:
    """Return up to ``max_messages`` received messages; none if there are none for ``wait_seconds``.

    Raises:
        ApiError: if the subscription is, or becomes, a push subscription, or is deleted.
    """
    if max_messages <= 0:
        raise invalid("max_messages must be above 0.")
    waiter = _Waiter()
    with _waiting(subscription, waiter):
        try:
            async with asyncio.timeout(wait_seconds):
                while not (messages := _take_for_pull(subscription, max_messages)):
                    await waiter.wait()
        except TimeoutError:
            return []
    return [_received(subscription, unacked) for unacked in messages]


def _take_for_pull(subscription: Subscription, max_messages: int) -> list[UnackedMessage]:
    return _take(subscription, max_messages, max_bytes=_MAX_RESPONSE_BYTES, lease_seconds=subscription.ack_deadline)


def _received(subscription: Subscription, unacked: UnackedMessage) -> Pb:
    return ReceivedMessage(
        ack_id=unacked.ack_id,
        message=unacked.message.to_pb(),
        delivery_attempt=subscription.delivery_attempt(unacked),
    )


class PullStream:
    """One streaming pull with its flow control.

    Args:
        subscription: The subscription to pull from.
        first: The opening request, with ack deadline and flow-control limits. A limit of 0 or less means none.

    Raises:
        ApiError: if the ack deadline is out of range.
    """

    def __init__(self, subscription: Subscription, first: Pb) -> None:
        validation.check_stream_ack_deadline(first.stream_ack_deadline_seconds)
        self._subscription = subscription
        self._lease_seconds: int = first.stream_ack_deadline_seconds
        self._max_messages: int = first.max_outstanding_messages
        self._max_bytes: int = first.max_outstanding_bytes
        self._messages = 0
        self._bytes = 0
        self._waiter = _Waiter()

    def lease_ended(self, unacked: UnackedMessage) -> None:
        self._messages -= 1
        self._bytes -= unacked.message.size
        self._waiter.wake()

    async def responses(self, requests: AsyncIterator[Pb]) -> AsyncIterator[Pb]:
        """Yield responses with messages until the client ends its side.

        Args:
            requests: The client's further requests: acks, ack deadlines, a new stream ack deadline.

        Raises:
            ApiError: if a request is invalid, or the subscription is deleted or becomes a push subscription.
        """
        reader = asyncio.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._waiter.wake())
        try:
            with _waiting(self._subscription, self._waiter):
                while not reader.done():
                    if messages := self._take():
                        yield StreamingPullResponse(
                            received_messages=[_received(self._subscription, unacked) for unacked in messages]
                        )
                    else:
                        await self._waiter.wait()
            reader.result()
        finally:
            reader.cancel()

    async def _read(self, requests: AsyncIterator[Pb]) -> None:
        async for request in requests:
            self._apply(request)

    def _apply(self, request: Pb) -> None:
        subscription = self._subscription
        if request.stream_ack_deadline_seconds:
            validation.check_stream_ack_deadline(request.stream_ack_deadline_seconds)
            self._lease_seconds = request.stream_ack_deadline_seconds
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            raise invalid("modify_deadline_seconds and modify_deadline_ack_ids must have the same length.")
        acknowledge(subscription, request.ack_ids)
        for ack_id, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True):
            modify_ack_deadline(subscription, [ack_id], seconds)

    def _take(self) -> list[UnackedMessage]:
        room = self._max_messages - self._messages if self._max_messages > 0 else _MAX_RESPONSE_MESSAGES
        room_bytes = self._max_bytes - self._bytes if self._max_bytes > 0 else _MAX_RESPONSE_BYTES
        if room_bytes <= 0:
            return []
        messages = _take(
            self._subscription,
            room,
            max_bytes=room_bytes,
            lease_seconds=self._lease_seconds,
            holder=self,
        )
        self._messages += len(messages)
        self._bytes += sum(unacked.message.size for unacked in messages)
        return messages


def acknowledge(subscription: Subscription, ack_ids: Sequence[str]) -> None:
    """Acknowledge messages. Ack ids whose lease is over have no effect.

    Raises:
        ApiError: INVALID_ARGUMENT, if one is not an ack id of this subscription; then nothing is acknowledged.
    """
    _check_ack_ids(subscription, ack_ids)
    for ack_id in ack_ids:
        subscription.ack(ack_id)


def modify_ack_deadline(subscription: Subscription, ack_ids: Sequence[str], seconds: int) -> None:
    """Move ack deadlines to ``seconds`` from now; 0 is a negative acknowledgement.

    Raises:
        ApiError: INVALID_ARGUMENT, if the seconds are out of range or an ack id is not one of this subscription; then
            nothing is changed.
    """
    validation.check_modified_ack_deadline(seconds)
    _check_ack_ids(subscription, ack_ids)
    for ack_id in ack_ids:
        if seconds:
            subscription.leases.extend(ack_id, seconds)
        else:
            subscription.nack(ack_id)


def _check_ack_ids(subscription: Subscription, ack_ids: Sequence[str]) -> None:
    for ack_id in ack_ids:
        if not subscription.leases.is_ack_id(ack_id):
            raise invalid("Invalid ack id: it was not issued by this subscription.")


def _take(
    subscription: Subscription, limit: int, *, max_bytes: int, lease_seconds: float, holder: LeaseHolder | None = None
) -> list[UnackedMessage]:
    if subscription.closed is not None:
        raise subscription.closed
    if subscription.config.push_config.push_endpoint:
        raise ApiError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "The subscription pushes its messages. To pull them, clear its push config first.",
        )
    return subscription.take(
        min(limit, _MAX_RESPONSE_MESSAGES),
        max_bytes=min(max_bytes, _MAX_RESPONSE_BYTES),
        lease_seconds=lease_seconds,
        holder=holder,
    )


@contextmanager
def _waiting(subscription: Subscription, waiter: _Waiter) -> Iterator[None]:
    subscription.consumers.append(waiter)
    try:
        yield
    finally:
        subscription.consumers.remove(waiter)
