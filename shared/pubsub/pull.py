"""Pulls messages of one subscription with Google's client, and acknowledges them or gives them back.

Google's modules are imported in the thread that calls: functions that pull nothing do without them.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import deadlines
from .message import PushMessage, read_pulled

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import SubscriberClient

# One pull, one round of acknowledgements, and one to spare for a drain that follows.
_MAX_THREADS = 3


class PullError(Exception):
    """Pub/Sub refused or did not answer. The text names the subscription and holds nothing of a message."""


class Received(NamedTuple):
    """One message, and the id by which it is acknowledged or given back."""

    ack_id: str
    message: PushMessage


class Puller(Protocol):
    """Where a lane's messages come from."""

    async def pull(self, count: int, *, deadline: float) -> list[Received]:
        """Pull up to ``count`` messages; none if none came within ``EMPTY_PULL_SECONDS``.

        Args:
            count: Largest number of messages, 1 to 1000.
            deadline: ``time.monotonic()`` by which they are to be acknowledged or given back.

        Raises:
            PullError: if Pub/Sub refused or did not answer.
        """

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Have Pub/Sub forget messages.

        Raises:
            PullError: if Pub/Sub did not confirm; the messages come again at their ack deadline.
        """

    async def give_back(self, ack_ids: Sequence[str]) -> None:
        """Have Pub/Sub deliver messages again, each after its own backoff.

        Raises:
            PullError: if Pub/Sub did not confirm; the messages come again at their ack deadline.
        """

    async def forget_rings(self) -> None:
        """Have Pub/Sub forget the rings that it has not pushed yet, except the youngest.

        Raises:
            PullError: if Pub/Sub did not confirm; it pushes them.
        """


class SubscriptionPuller:
    """Pulls from a subscription of Pub/Sub.

    Args:
        path: ``projects/P/subscriptions/S``.
        bell_path: ``projects/P/subscriptions/S`` of the subscription that rings for it.
        client: Makes the client; given by tests.
    """

    def __init__(self, path: str, bell_path: str, *, client: "Callable[[], SubscriberClient] | None" = None) -> None:
        self._path = path
        self._bell_path = bell_path
        self._new_client = client or _new_client
        self._client: SubscriberClient | None = None
        # The client blocks. Threads of its own, because a pull that waits would take one from the ledger.
        self._threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="pull")

    async def pull(self, count: int, *, deadline: float) -> list[Received]:
        return await self._in_thread(lambda: self._pull(count, deadline))

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        await self._in_thread(lambda: self._call("acknowledge", {"ack_ids": ack_ids}))

    async def give_back(self, ack_ids: Sequence[str]) -> None:
        request = {"ack_ids": ack_ids, "ack_deadline_seconds": 0}
        await self._in_thread(lambda: self._call("modify_ack_deadline", request))

    async def forget_rings(self) -> None:
        before = datetime.now(UTC) - timedelta(seconds=deadlines.RING_KEPT_SECONDS)
        await self._in_thread(lambda: self._call("seek", {"subscription": self._bell_path, "time": before}))

    async def _in_thread[Result](self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _pull(self, count: int, deadline: float) -> list[Received]:
        from google.api_core.exceptions import DeadlineExceeded, GoogleAPIError  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        try:
            # Without a repetition: the next pull is one.
            response = self._request("pull", {"max_messages": count}, timeout=deadlines.EMPTY_PULL_SECONDS, retry=None)
        except DeadlineExceeded:
            return []
        except (GoogleAPIError, GoogleAuthError) as error:
            raise PullError(f"pull {self._path}: {type(error).__name__}") from None
        return [
            Received(each.ack_id, read_pulled(each, self._path, deadline=deadline))
            for each in response.received_messages
        ]

    def _call(self, method: str, request: dict[str, object]) -> None:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
        from google.api_core.retry import Retry  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        retry = Retry(
            initial=deadlines.PUBLISH_RETRY_MIN_SECONDS,
            maximum=deadlines.PUBLISH_RETRY_MAX_SECONDS,
            timeout=deadlines.ACK_SECONDS,
        )
        try:
            self._request(method, request, timeout=deadlines.ACK_SECONDS, retry=retry)
        except (GoogleAPIError, GoogleAuthError) as error:
            path = request.get("subscription", self._path)
            raise PullError(f"{method} {path}: {type(error).__name__}") from None

    def _request(self, method: str, request: dict[str, object], **options: object) -> Any:
        if self._client is None:
            self._client = self._new_client()
        return getattr(self._client, method)(request={"subscription": self._path, **request}, **options)


def _new_client() -> "SubscriberClient":
    from google.cloud.pubsub_v1 import SubscriberClient  # noqa: PLC0415

    return SubscriberClient()
