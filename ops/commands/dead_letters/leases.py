"""What waits in a pull subscription, held while an operator looks at it.

Pub/Sub hands a pulled message out again when its lease ends, and promises no order and no page number. So everything
that is pulled is leased until the command ends, seen once by its message id, and what was not acknowledged is given
back then. https://cloud.google.com/pubsub/docs/pull#unary_pull
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import batched
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from google.pubsub_v1 import SubscriberClient
    from google.pubsub_v1.types import PubsubMessage, ReceivedMessage

_PULLED_AT_ONCE = 1000
# Pub/Sub takes 512 KB a request, and an ack id has about 200 bytes.
_ACK_IDS = 1000
_LEASE_SECONDS = 90
_EXTENDED_EVERY_SECONDS = 20.0
_CALL_SECONDS = 30.0


class Backlog:
    """Messages of one subscription, leased between ``__enter__`` and ``__exit__``.

    Args:
        subscriber: the client.
        subscription: ``projects/P/subscriptions/S``, of pull type.
        wait: seconds that a pull waits for a message; when it gets none, ``collect`` ends.
        limit: how many messages are looked at, at the most.
        extended_every: seconds between two extensions of the leases.
    """

    def __init__(
        self,
        subscriber: "SubscriberClient",
        subscription: str,
        *,
        wait: float,
        limit: int,
        extended_every: float = _EXTENDED_EVERY_SECONDS,
    ) -> None:
        self.subscription = subscription
        self.pulled = 0
        self.acknowledged = 0
        self.released = 0
        self._subscriber = subscriber
        self._wait = wait
        self._limit = limit
        self._extended_every = extended_every
        # The newest ack id of each message that is held: one that was delivered again is acknowledged by that one.
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._extender = threading.Thread(target=self._extend_until_closed, name=f"leases of {subscription}")

    def __enter__(self) -> Self:
        self._extender.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._extender.join()
        self._release()

    def collect(self) -> "Iterator[PubsubMessage]":
        """Everything that waits, each message once.

        Raises:
            GoogleAPICallError: the subscription is missing, or may not be pulled from.
        """
        quiet_since = time.monotonic()
        while not self._closing.is_set() and not self.is_cut_short:
            for received in self._pull(min(_PULLED_AT_ONCE, self._limit - self.pulled)):
                with self._lock:
                    is_new = received.message.message_id not in self._held
                    self._held[received.message.message_id] = received.ack_id
                if is_new:
                    quiet_since = time.monotonic()
                    self.pulled += 1
                    yield received.message
            # Not after the first empty answer: Pub/Sub may give one early.
            if time.monotonic() - quiet_since >= self._wait / 2:
                return

    @property
    def is_cut_short(self) -> bool:
        """Whether ``limit`` was reached: more may wait."""
        return self.pulled >= self._limit

    def acknowledge(self, message_ids: Iterable[str]) -> None:
        """Take messages off the subscription for good.

        Raises:
            GoogleAPICallError: Pub/Sub did not take it; the messages stay.
        """
        for some in batched(message_ids, _ACK_IDS, strict=False):
            with self._lock:
                ack_ids = [self._held[message_id] for message_id in some]
            self._subscriber.acknowledge(
                request={"subscription": self.subscription, "ack_ids": ack_ids}, timeout=_CALL_SECONDS
            )
            with self._lock:
                for message_id in some:
                    del self._held[message_id]
            self.acknowledged += len(some)

    def stop(self) -> None:
        """End ``collect`` in another thread at its next pull."""
        self._closing.set()

    def _pull(self, count: int) -> "Sequence[ReceivedMessage]":
        from google.api_core.exceptions import DeadlineExceeded  # noqa: PLC0415

        with suppress(DeadlineExceeded):
            request = {"subscription": self.subscription, "max_messages": count}
            received: Sequence[ReceivedMessage] = self._subscriber.pull(
                request=request, timeout=self._wait
            ).received_messages
            return received
        return ()

    def _extend_until_closed(self) -> None:
        while not self._closing.wait(self._extended_every):
            self._modify(_LEASE_SECONDS)

    def _release(self) -> None:
        self.released = self._modify(0)

    def _modify(self, seconds: int) -> int:
        """Set the leases' remaining time and return how many there were.

        What cannot be extended or released now is extended the next time, or runs out by itself.
        """
        from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415

        with self._lock:
            held: Sequence[str] = list(self._held.values())
        for ack_ids in batched(held, _ACK_IDS, strict=False):
            with suppress(GoogleAPICallError):
                self._subscriber.modify_ack_deadline(
                    request={
                        "subscription": self.subscription,
                        "ack_ids": ack_ids,
                        "ack_deadline_seconds": seconds,
                    },
                    timeout=_CALL_SECONDS,
                )
        return len(held)
