"""The messages of one pull subscription, leased while an operator looks at them.

Pub/Sub delivers a pulled message again when its lease ends, and promises neither order nor pages. So every message is
leased until the command ends and identified by its message id; what was not acknowledged is given back at the end.
https://cloud.google.com/pubsub/docs/pull#unary_pull
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ops import clients, deadlines

if TYPE_CHECKING:
    from google.pubsub_v1 import SubscriberClient
    from google.pubsub_v1.types import PubsubMessage, ReceivedMessage

_MAX_PULLED_MESSAGES = 1000
# Pub/Sub allows 512 KB per request, and an ack id has about 200 bytes.
_MAX_ACK_IDS = 1000


class LeasedMessages:
    """The messages of one subscription, leased between ``__enter__`` and ``__exit__``.

    Args:
        puller: A client for pulling. Closing it ends ``collect`` at once.
        settler: Another client, for acknowledging and for giving back.
        subscription: ``projects/P/subscriptions/S``, a pull subscription.
        wait: Seconds without a message after which the subscription counts as read to its end.
        limit: Most messages to lease.
        has_undelivered: Tells whether a pull would find something; None if unknown. Only then ``wait`` decides.
        extend_every: Seconds between two extensions of the leases; for tests.
    """

    def __init__(
        self,
        puller: "SubscriberClient",
        settler: "SubscriberClient",
        subscription: str,
        *,
        wait: float,
        limit: int,
        has_undelivered: Callable[[], bool | None] = lambda: None,
        extend_every: float = deadlines.EXTEND_LEASES_EVERY_SECONDS,
    ) -> None:
        self.subscription = subscription
        self.pulled = 0
        self.acknowledged = 0
        self.released = 0
        self._puller = puller
        self._settler = settler
        self._wait = wait
        self._limit = limit
        self._has_undelivered = has_undelivered
        self._extend_every = extend_every
        self._retry = clients.short_retry()
        # The newest ack id per message: only that one acknowledges a message that was delivered again.
        self._ack_ids: dict[str, str] = {}
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
        self.released = self._modify(0)

    def collect(self) -> "Iterator[PubsubMessage]":
        """Lease everything that waits, each message once.

        Raises:
            GoogleAPICallError: if the subscription is missing or may not be pulled from.
        """
        quiet_since = time.monotonic()
        while not self._closing.is_set() and not self.is_cut_short:
            undelivered = self._has_undelivered()
            if undelivered is False:
                return
            # A pull that is cut off may lease messages that nobody sees. Where some wait, it answers soon.
            patience = max(self._wait, deadlines.QUERY_SECONDS) if undelivered else self._wait
            for received in self._pull(min(_MAX_PULLED_MESSAGES, self._limit - self.pulled), patience):
                with self._lock:
                    is_new = received.message.message_id not in self._ack_ids
                    self._ack_ids[received.message.message_id] = received.ack_id
                if is_new:
                    quiet_since = time.monotonic()
                    self.pulled += 1
                    yield received.message
            # One empty answer proves nothing: Pub/Sub may give it early.
            if time.monotonic() - quiet_since >= patience / 2:
                return

    @property
    def is_cut_short(self) -> bool:
        """Whether ``limit`` was reached: more messages may wait."""
        return self.pulled >= self._limit

    def acknowledge(self, message_ids: Iterable[str]) -> None:
        """Remove messages from the subscription for good.

        Raises:
            GoogleAPIError: if Pub/Sub did not accept it; the messages stay.
        """
        for some in batched(message_ids, _MAX_ACK_IDS, strict=False):
            with self._lock:
                ack_ids = [self._ack_ids[message_id] for message_id in some]
            self._settler.acknowledge(
                request={"subscription": self.subscription, "ack_ids": ack_ids},
                timeout=deadlines.SETTLE_SECONDS,
                retry=self._retry,
            )
            with self._lock:
                for message_id in some:
                    del self._ack_ids[message_id]
            self.acknowledged += len(some)

    def stop(self) -> None:
        """End ``collect`` in another thread before its next pull."""
        self._closing.set()

    def _pull(self, count: int, seconds: float) -> "Sequence[ReceivedMessage]":
        from google.api_core.exceptions import DeadlineExceeded  # noqa: PLC0415

        request = {"subscription": self.subscription, "max_messages": count}
        try:
            received: Sequence[ReceivedMessage] = self._puller.pull(
                request=request, timeout=seconds, retry=self._retry
            ).received_messages
        except DeadlineExceeded:
            return ()
        return received

    def _extend_until_closed(self) -> None:
        while not self._closing.wait(self._extend_every):
            self._modify(deadlines.LEASE_SECONDS)

    def _modify(self, seconds: int) -> int:
        """Set the remaining time of all leases.

        A lease that cannot be extended is extended the next time; one that cannot be given back ends by itself.

        Returns:
            The number of leases.
        """
        from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415

        with self._lock:
            held: Sequence[str] = list(self._ack_ids.values())
        for ack_ids in batched(held, _MAX_ACK_IDS, strict=False):
            try:
                self._settler.modify_ack_deadline(
                    request={
                        "subscription": self.subscription,
                        "ack_ids": ack_ids,
                        "ack_deadline_seconds": seconds,
                    },
                    timeout=deadlines.QUERY_SECONDS,
                    retry=None,
                )
            except GoogleAPICallError:
                break  # the next request would wait for the same service
        return len(held)
