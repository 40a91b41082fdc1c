"""The App API: transactional messages and API-triggered broadcasts.

Neither has an idempotency key, so nothing here tries twice.

https://docs.customer.io/integrations/api/app/
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import quote

import msgspec

from ..deadlines import BREAKER_MIN_PAUSE_SECONDS, CALL_WINDOW_SECONDS
from .breaker import CircuitBreaker
from .errors import RateLimitedError
from .http import Connection
from .rate_limit import Places, TokenBucket
from .responses import Answer

# Fewer than the pool's connections: a request that ran out of time while it waited for one would look like one that
# was sent and never answered.
_MAX_IN_FLIGHT = 150

# Errors of a trigger come a hundred a page at most; of ten thousand the first thousand tell enough.
_ERRORS_PER_PAGE = 100
_MAX_ERROR_PAGES = 10

# Requests that may wait for the rate, beside those in flight. At 100 requests a second, the last of them waits 10 s.
_MAX_WAITING = 1_000


class _Accepted(msgspec.Struct):
    delivery_id: str = ""
    id: int | str = ""


class _Progress(msgspec.Struct):
    processed_at: int | None = None


class _Errors(msgspec.Struct):
    errors: list[str] = []
    next: str | int | None = None


class Permit:
    """The right to send one request: a token of the rate and one of the requests that may be in flight."""

    def __init__(self) -> None:
        self._is_used = False

    @property
    def is_used(self) -> bool:
        """Whether a request went out under this permit."""
        return self._is_used

    def use(self) -> None:
        """Spend the permit.

        Raises:
            RuntimeError: if it was spent before.
        """
        if self._is_used:
            raise RuntimeError("a permit is good for one request")
        self._is_used = True


class AppAPI:
    """Sends messages and triggers broadcasts.

    Args:
        connection: Connection to the App host.
        requests_per_second: This instance's share of the account's rate; None sets no limit.
    """

    def __init__(self, connection: Connection, *, requests_per_second: float | None = None) -> None:
        self._connection = connection
        self._breaker = CircuitBreaker()
        self._bucket = TokenBucket(
            requests_per_second, places=Places(partial(self._breaker.max_in_flight, _MAX_IN_FLIGHT))
        )

    def stop(self) -> None:
        """Begin nothing new, because the instance ends. Requests in flight go on."""
        self._breaker.stop()
        self._bucket.stop()

    @asynccontextmanager
    async def permit(self, *, deadline: float | None = None, bulk: bool = False) -> AsyncIterator[Permit]:
        """Wait for the right to send one request, and hold it inside the ``async with`` block.

        Take it before anything is written down about the request: a refusal then costs nothing. A permit that is not
        used returns its token.

        Args:
            deadline: Latest moment to wait until, in seconds of ``time.monotonic()``; None waits as long as a push may.
            bulk: Whether to yield to every request that is not bulk.

        Raises:
            NothingSentError: if no request may go out by the deadline.
        """
        self._breaker.check()
        if self._bucket.waiting >= _MAX_WAITING or (bulk and self._bucket.waiting_bulk >= _MAX_WAITING // 2):
            raise RateLimitedError("too many requests wait for Customer.io")
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + CALL_WINDOW_SECONDS
        await self._bucket.take(deadline=deadline, bulk=bulk)
        permit = Permit()
        try:
            self._breaker.check()  # it may have opened during the wait
            yield permit
        finally:
            if not permit.is_used:
                self._bucket.give_back()
            self._bucket.free_place(bulk=bulk)

    async def send(
        self,
        channel: str,
        body: bytes,
        *,
        permit: Permit | None = None,
        deadline: float | None = None,
        bulk: bool = False,
    ) -> str:
        """Send one transactional message.

        Args:
            channel: Last part of the path, e.g. ``email``.
            body: Request body, JSON.
            permit: The right to send; taken here if None.
            deadline: Latest moment for the answer, in seconds of ``time.monotonic()``. No request is started that
                cannot end by it.
            bulk: Whether to yield to every request that is not bulk; unused with ``permit``.

        Returns:
            The ``delivery_id``, to be joined with webhooks; empty if Customer.io named none.

        Raises:
            CustomerIOError: if it was not accepted; the class says whether it can have been sent.
        """
        path = f"/v1/send/{channel}"
        return (await self._post(path, body, permit=permit, deadline=deadline, bulk=bulk)).delivery_id

    async def trigger(
        self,
        broadcast_id: int,
        body: bytes,
        *,
        permit: Permit | None = None,
        deadline: float | None = None,
        bulk: bool = False,
    ) -> str:
        """Trigger one broadcast; the other arguments are those of ``send``.

        Returns:
            The trigger's id, by which its progress can be read; empty if Customer.io named none.

        Raises:
            CustomerIOError: if it was not accepted; the class says whether it can have been triggered.
        """
        path = f"/v1/campaigns/{broadcast_id}/triggers"
        return str((await self._post(path, body, permit=permit, deadline=deadline, bulk=bulk)).id)

    async def is_processed(self, broadcast_id: int, trigger_id: str, *, deadline: float) -> bool:
        """Read whether Customer.io has processed a trigger. Its messages may still be on their way then.

        Args:
            broadcast_id: The broadcast.
            trigger_id: What ``trigger`` returned.
            deadline: Latest moment for the answer, in seconds of ``time.monotonic()``.

        Raises:
            CustomerIOError: if it cannot be read.
        """
        answer = await self._connection.get(_trigger_path(broadcast_id, trigger_id), deadline=deadline)
        return bool(_decoded(answer, _Progress).processed_at)

    async def trigger_errors(self, broadcast_id: int, trigger_id: str, *, deadline: float) -> list[str]:
        """Read the errors of a processed trigger, the first thousand: one text per line of the audience at fault.

        The arguments and errors are those of ``is_processed``.
        """
        path = f"{_trigger_path(broadcast_id, trigger_id)}/errors?limit={_ERRORS_PER_PAGE}"
        errors: list[str] = []
        start = ""
        for _ in range(_MAX_ERROR_PAGES):
            page = _decoded(await self._connection.get(path + start, deadline=deadline), _Errors)
            errors += page.errors
            if not page.next or not page.errors:
                break
            start = f"&start={quote(str(page.next), safe='')}"
        return errors

    async def _post(
        self, path: str, body: bytes, *, permit: Permit | None, deadline: float | None, bulk: bool
    ) -> _Accepted:
        if permit is None:
            async with self.permit(deadline=deadline, bulk=bulk) as own:
                return await self._post(path, body, permit=own, deadline=deadline, bulk=bulk)
        try:
            with self._breaker.request():
                permit.use()
                answer = await self._connection.post(path, body, deadline=deadline)
        except RateLimitedError as error:
            if error.status == 429:
                self._bucket.pause(error.retry_after or BREAKER_MIN_PAUSE_SECONDS)
            raise
        return _decoded(answer, _Accepted)


def _trigger_path(broadcast_id: int, trigger_id: str) -> str:
    return f"/v1/campaigns/{broadcast_id}/triggers/{quote(trigger_id, safe='')}"


def _decoded[Form](answer: Answer, form: type[Form]) -> Form:
    """Read an answer of 2xx. One that cannot be read is empty: a send was accepted all the same."""
    try:
        return msgspec.json.decode(answer.body, type=form, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return form()
