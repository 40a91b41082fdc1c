"""Drains lane ``bulk`` when its bell rings: pulls what can be sent soon, settles it, and rings again if more waits.

Push has no flow control: Pub/Sub pushes thousands of jobs at once, and a function can only refuse most of them. Who
pulls takes as many as it can use. A function has CPU only while it answers a push, so a push of the bell is the drain.

bell ── a drain is pulling ─────> 204; that drain pulls once more
  v
pull ── empty ──────────────────> what is in hand is settled, then 204
  │ ─── time is up ─────────────> the bell is rung again, what is in hand is settled, then 204
  │ ─── nothing gets through ───> what is in hand is given back or settled, then 503: push backoff paces the bell
  v
each job is settled as a pushed one is, then acknowledged or given back
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, NamedTuple

from .. import deadlines
from ..lifetime import Lifetime
from ..outcome import Outcome, Retry
from ..telemetry import Telemetry
from ..topology import BELL_ATTRIBUTES
from .message import PushMessage
from .pull import Puller, PullError, Received
from .topic import PublishError, TopicPublisher

# Jobs in hand at least, however little gets through: enough to notice when more does.
_MIN_IN_HAND = 16
# Nothing is pulled while the jobs in hand hold more bytes. A pull adds 10 MB at most, Pub/Sub's limit of a response.
_MAX_BYTES_IN_HAND = 8_000_000
# Rings during a drain after which those that still come are forgotten: ten thousand jobs ring ten thousand times, and
# their pushes would stand before those of urgent jobs.
_MANY_RINGS = 50
# So many jobs given back in a row, and something stands in the way of all of them.
_MAX_GIVEN_BACK_IN_A_ROW = 10


class Settled(NamedTuple):
    """A job that was settled.

    Args:
        outcome: What became of it; None after a fault of ours.
        unconfirmed: Publishing of the outcome that still goes on; None if it has ended.
    """

    outcome: Outcome | None
    unconfirmed: asyncio.Task[None] | None = None

    @property
    def answer_status(self) -> int:
        """HTTP status that answers a push of the job: 204 acknowledges it."""
        return 500 if self.outcome is None else self.outcome.answer_status


Settle = Callable[[PushMessage], Awaitable[Settled]]


class Rung(NamedTuple):
    """Answer to a push of the bell.

    Args:
        status: HTTP status: 204, or 503 to be rung again after the push backoff.
        unconfirmed: Publishing of outcomes that still goes on.
    """

    status: Literal[204, 503]
    unconfirmed: Iterable[asyncio.Task[None]] = ()


class Drain:
    """Drains one lane, by one push of the bell at a time.

    Args:
        puller: The lane's subscription.
        bell: Topic whose messages of ``BELL_ATTRIBUTES`` ring the bell.
        telemetry: Gets a line when Pub/Sub does not answer.
        lifetime: Life of the instance; after its end nothing is pulled.
        max_in_hand: Jobs that may be in hand at once, at least 1.
    """

    def __init__(
        self, puller: Puller, bell: TopicPublisher, telemetry: Telemetry, lifetime: Lifetime, *, max_in_hand: int
    ) -> None:
        self._puller = puller
        self._bell = bell
        self._telemetry = telemetry
        self._lifetime = lifetime
        self._hand = _Hand(max_in_hand)
        self._rings = 0
        self._rings_noted = 0
        self._forgets_rings = True
        self._times_forgotten = 0
        self._is_pulling = False

    async def ring(self, settle: Settle) -> Rung:
        """Answer one push of the bell: by a drain, unless one is pulling.

        Args:
            settle: Settles one job, as that of a push.
        """
        self._rings += 1
        if self._is_pulling:
            return Rung(204)
        round_ = _Round(self._puller, settle, self._hand, self._telemetry, self._lifetime)
        self._is_pulling = True
        forgotten = self._times_forgotten
        try:
            end = await self._pull(round_)
        finally:
            self._is_pulling = False
        # Rung before the jobs in hand are settled, so that the next push pulls meanwhile, and before this one is
        # acknowledged. The ring of a push that is refused comes again, unless it is among those that were forgotten.
        is_lost = end == "stopped" and self._times_forgotten > forgotten
        if (end == "time is up" or is_lost) and not await self._rang():
            end = "stopped"
        unconfirmed = await round_.finish()
        return Rung(503 if end == "stopped" or round_.is_stopped else 204, unconfirmed)

    async def _pull(self, round_: "_Round") -> Literal["empty", "time is up", "stopped"]:
        latest = asyncio.get_running_loop().time() + deadlines.DRAIN_PULL_SECONDS
        while not round_.is_stopped:
            if asyncio.get_running_loop().time() >= latest:
                return "time is up"
            if not (room := self._hand.room):
                await self._hand.changed(until=latest)
                continue
            if self._rings - self._rings_noted >= _MANY_RINGS:
                await self._forget_rings()
            rings = self._rings
            try:
                received = await self._puller.pull(room, deadline=round_.deadline)
            except PullError as error:
                self._telemetry.event("ERROR", "not_pulled", str(error), reason="pubsub_unavailable")
                return "stopped"
            if not received and self._rings == rings:
                return "empty"
            round_.take(received)
        return "stopped"

    async def _forget_rings(self) -> None:
        """Forget the rings that are still to come. What they stand for is pulled now, or found by the ring a minute."""
        self._rings_noted = self._rings = self._rings + 1
        if not self._forgets_rings:
            return
        self._times_forgotten += 1
        try:
            await self._puller.forget_rings()
        except PullError as error:
            self._forgets_rings = False  # they are pushed, which costs time and nothing else
            self._telemetry.event("WARNING", "rings_not_forgotten", str(error), reason="pubsub_unavailable")

    async def _rang(self) -> bool:
        try:
            await self._bell.publish(b"", BELL_ATTRIBUTES)
        except PublishError as error:
            self._telemetry.event("ERROR", "bell_not_rung", str(error), reason="publish_failed")
            return False
        return True


class _Hand:
    """The jobs in hand: pulled and not settled.

    Args:
        max_jobs: Largest number of them.
    """

    def __init__(self, max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._jobs = 0
        self._bytes = 0
        self._through: deque[float] = deque()
        self._change = asyncio.Event()

    @property
    def room(self) -> int:
        """Jobs that may be pulled now; 0 until half of the hand is free, so that pulls stay few.

        The hand holds twice what got through lately. While urgent jobs use the rate it shrinks, so that few bulk jobs
        wait in vain and spend an attempt.
        """
        earliest = asyncio.get_running_loop().time() - deadlines.BULK_IN_HAND_SECONDS
        while self._through and self._through[0] < earliest:
            self._through.popleft()
        limit = min(self._max_jobs, max(_MIN_IN_HAND, 2 * len(self._through)))
        return limit - self._jobs if self._jobs <= limit // 2 and self._bytes <= _MAX_BYTES_IN_HAND else 0

    def take(self, message: PushMessage) -> None:
        self._jobs += 1
        self._bytes += len(message.data)

    def put_down(self, message: PushMessage, *, got_through: bool) -> None:
        self._jobs -= 1
        self._bytes -= len(message.data)
        if got_through:
            self._through.append(asyncio.get_running_loop().time())
        self._change.set()

    async def changed(self, *, until: float) -> None:
        """Wait until a job is put down, or until a moment of the event loop's clock."""
        self._change.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._change.wait()
        except TimeoutError:
            return


class _Round:
    """One drain: the jobs that it pulled, and what it answers for each."""

    def __init__(self, puller: Puller, settle: Settle, hand: _Hand, telemetry: Telemetry, lifetime: Lifetime) -> None:
        self.deadline = asyncio.get_running_loop().time() + deadlines.PUSH_SECONDS
        self._puller = puller
        self._settle = settle
        self._hand = hand
        self._telemetry = telemetry
        self._lifetime = lifetime
        self._jobs: set[asyncio.Task[None]] = set()
        self._unconfirmed: set[asyncio.Task[None]] = set()
        self._given_back_in_a_row = 0
        self._is_blocked = False
        self._acks: list[str] = []
        self._nacks: list[str] = []
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is pulled: the instance ends, or nothing gets through."""
        return self._lifetime.is_ending or self._is_blocked

    def take(self, received: Iterable[Received]) -> None:
        """Begin to settle jobs. After the end of the instance they are given back at once."""
        for each in received:
            if self._lifetime.is_ending:
                self._answer(each.ack_id, 503)
                continue
            self._hand.take(each.message)
            task = asyncio.create_task(self._settle_one(each))
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)

    async def finish(self) -> set[asyncio.Task[None]]:
        """Wait until every job is settled and its answer sent; return the publishing of outcomes that still goes on."""
        while self._jobs:
            await asyncio.wait(self._jobs)
        if self._sending is not None:
            await self._sending
        return {task for task in self._unconfirmed if not task.done()}

    async def _settle_one(self, received: Received) -> None:
        settled = Settled(None)
        try:
            settled = await self._settle(received.message)
        finally:
            self._note(settled.outcome)
            self._hand.put_down(received.message, got_through=settled.answer_status == 204)
            self._answer(received.ack_id, settled.answer_status)
        if settled.unconfirmed is not None:
            self._unconfirmed.add(settled.unconfirmed)

    def _note(self, outcome: Outcome | None) -> None:
        """Stop the pulling when something stands in the way of every job, and not of this one alone."""
        if outcome is not None and not isinstance(outcome, Retry):
            self._given_back_in_a_row = 0
            return
        self._given_back_in_a_row += 1
        is_held_back = outcome is not None and outcome.is_outage and not outcome.requested
        needs_operator = outcome is not None and outcome.needs_operator
        if is_held_back or needs_operator or self._given_back_in_a_row >= _MAX_GIVEN_BACK_IN_A_ROW:
            self._is_blocked = True

    def _answer(self, ack_id: str, status: int) -> None:
        (self._acks if status == 204 else self._nacks).append(ack_id)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_answers())

    async def _send_answers(self) -> None:
        while self._acks or self._nacks:
            await asyncio.sleep(deadlines.ACK_LINGER_SECONDS)
            acks, self._acks = self._acks, []
            nacks, self._nacks = self._nacks, []
            try:
                async with asyncio.TaskGroup() as both:
                    if acks:
                        both.create_task(self._puller.acknowledge(acks))
                    if nacks:
                        both.create_task(self._puller.give_back(nacks))
            except* PullError as errors:
                message = f"{errors.exceptions[0]}; these messages come again, and what was done is not repeated"
                self._telemetry.event("WARNING", "not_acknowledged", message, reason="pubsub_unavailable")
