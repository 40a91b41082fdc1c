"""A token bucket: the account's rate of requests, urgent takers first."""

import asyncio
from collections.abc import Callable

from ..deadlines import RATE_BURST_SECONDS
from .errors import RateLimitedError, ShuttingDownError

_Line = dict[asyncio.Future[None], None]


class Places:
    """Requests that may be in flight at once. Bulk ones hold at most half of them.

    Args:
        allowed: Returns the number of places at the moment; at least 1.
    """

    def __init__(self, allowed: Callable[[], int]) -> None:
        self._allowed = allowed
        self._taken = 0
        self._taken_by_bulk = 0

    def take(self, *, bulk: bool) -> bool:
        """Take a place if one is free, and return whether it was."""
        allowed = self._allowed()
        if self._taken >= allowed or (bulk and self._taken_by_bulk >= max(1, allowed // 2)):
            return False
        self._taken += 1
        self._taken_by_bulk += bulk
        return True

    def free(self, *, bulk: bool) -> None:
        """Free a place that was taken."""
        self._taken -= 1
        self._taken_by_bulk -= bulk


class TokenBucket:
    """Hands out tokens at a rate. Urgent takers are served before bulk ones, in order of arrival within a class.

    Args:
        per_second: Tokens per second; None hands them out without a limit.
        places: Places of the requests in flight. A token is handed out together with a place, and ``free_place``
            returns the place. None bounds nothing.
    """

    def __init__(self, per_second: float | None, *, places: Places | None = None) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._burst_seconds = max(0.0, RATE_BURST_SECONDS - self._interval)
        self._places = places
        self._next_due = 0.0
        self._quiet_until = 0.0
        # Dicts serve as queues, because a taker that goes away leaves from the middle.
        self._urgent: _Line = {}
        self._bulk: _Line = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False

    @property
    def waiting(self) -> int:
        """Number of takers that wait, bulk ones included."""
        return len(self._urgent) + len(self._bulk)

    @property
    def waiting_bulk(self) -> int:
        """Number of bulk takers that wait."""
        return len(self._bulk)

    async def take(self, *, deadline: float | None = None, bulk: bool = False) -> None:
        """Wait for a token, and for a place if places are bounded.

        Args:
            deadline: Latest moment to wait until, in seconds of ``time.monotonic()``; None waits as long as it takes.
            bulk: Whether to yield to every urgent taker.

        Raises:
            RateLimitedError: if no token is due by the deadline; at once if that is known.
            ShuttingDownError: after ``stop``.
        """
        if self._is_stopped:
            raise _shutting_down()
        now = self._refill()
        ahead = self.waiting if bulk else len(self._urgent)
        if not ahead and self._next_due <= now and self._take_place(bulk=bulk):
            self._next_due += self._interval
            return
        if deadline is not None and max(now, self._next_due + ahead * self._interval) > deadline:
            raise RateLimitedError("no request is due in time: the rate of Customer.io's API is used up")
        await self._wait_in_line(deadline, bulk=bulk)

    def stop(self) -> None:
        """Refuse everybody who waits, and everybody who comes, because the instance ends."""
        self._is_stopped = True
        for line in (self._urgent, self._bulk):
            for token in line:
                token.set_exception(_shutting_down())
            line.clear()

    def give_back(self) -> None:
        """Return a token that was taken and not used."""
        self._next_due = max(self._next_due - self._interval, self._quiet_until)
        self._serve()

    def free_place(self, *, bulk: bool) -> None:
        """Free the place that came with a token."""
        if self._places is not None:
            self._places.free(bulk=bulk)
            self._serve()

    def pause(self, seconds: float) -> None:
        """Hand out nothing for so many seconds."""
        self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + seconds)
        self._next_due = max(self._next_due, self._quiet_until)

    async def _wait_in_line(self, deadline: float | None, *, bulk: bool) -> None:
        line = self._bulk if bulk else self._urgent
        token = asyncio.get_running_loop().create_future()
        line[token] = None
        self._serve()
        try:
            async with asyncio.timeout_at(deadline):
                await token
        except BaseException as error:
            if (
                token.done() and not token.cancelled() and not token.exception()
            ):  # handed out in the moment in which its taker went away
                self.give_back()
                self.free_place(bulk=bulk)
            if isinstance(error, TimeoutError):
                raise RateLimitedError("no request was due in time: the rate of Customer.io's API is used up") from None
            raise
        finally:
            line.pop(token, None)

    def _serve(self) -> None:
        """Hand out what is due now, and set a timer for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._refill()
        while self.waiting:
            if self._next_due > now:
                self._timer = asyncio.get_running_loop().call_at(self._next_due, self._serve)
                return
            bulk = not self._urgent
            if not self._take_place(bulk=bulk):
                return  # the request that ends next frees a place
            line = self._bulk if bulk else self._urgent
            token = next(iter(line))
            del line[token]
            token.set_result(None)
            self._next_due += self._interval

    def _take_place(self, *, bulk: bool) -> bool:
        return self._places is None or self._places.take(bulk=bulk)

    def _refill(self) -> float:
        now = asyncio.get_running_loop().time()
        self._next_due = max(self._next_due, now - self._burst_seconds)
        return now


def _shutting_down() -> ShuttingDownError:
    return ShuttingDownError("the instance is shutting down")
