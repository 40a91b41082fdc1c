"""Brings users to Customer.io, the newest record of each, whatever comes late, twice or at once.

read ─── older than what was applied ─────────────────────────────> done: superseded
  │ ──── as it was applied, without force ── keep the version ────> done: unchanged
  │ ──── another job's call may be on its way ── read again ──────> retry: in_progress
  │ ──── older than what may have been applied ───────────────────> done: superseded
  │ ──── of a deleted user, without restore ──────────────────────> failed: forgotten
  v
write the intent (written by another since: read again)
  v
call ─── accepted ── write what is applied (as above) ────────────> done: applied
  │ ──── refused, or nothing was sent ── write back what was read > failed, or retry
  │ ──── answered, outcome unknown ── end the lease ──────────────> retry
  │ ──── no answer ── the lease runs out by itself ───────────────> retry

A crash leaves the intent and its lease. The job's own next delivery goes on at once: its calls can be repeated. Other
jobs of the user wait for the end of the lease, which is later than any call of the crashed delivery can arrive.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from .. import deadlines
from ..attributes import JobAttributes
from ..customerio.track import TrackAPI
from ..jobs import UserDeleted, UserRecord
from ..ledger import LedgerError, ProfileState, ProfileStates
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from .operations import apply
from .profile import Apply, Record, Settled, Wanted, decide
from .user_operations import operations

_decode = msgspec.json.Decoder(Record).decode


class UserJob(msgspec.Struct, frozen=True):
    """One sync job.

    Args:
        user: The record.
        wanted: The state that it asks for.
        key: Key of the user's stored record.
        message: Message that brought the job.
        attributes: Attributes of the message.
    """

    user: UserRecord | UserDeleted
    wanted: Wanted
    key: str
    message: PushMessage
    attributes: JobAttributes


class UserSync:
    """Applies one user's records in the order of their versions.

    Args:
        track: The Track API.
        states: The users' stored records.
        now: Clock, in unix seconds.
    """

    def __init__(self, track: TrackAPI, states: ProfileStates, *, now: Callable[[], float] = time.time) -> None:
        self._track = track
        self._states = states
        self._now = now

    async def settle(self, job: UserJob) -> Outcome:
        """Read, decide and act; again while another delivery is in the way, for as long as a push may wait."""
        give_up = min(time.monotonic() + deadlines.PROFILE_WAIT_SECONDS, job.message.deadline)
        pause = deadlines.PROFILE_MIN_PAUSE_SECONDS
        accepted = False
        while True:
            state = await self._states.state(job.key)
            record = Record() if state is None else _decode(state.text)
            match decide(record, job.wanted, self._now(), deadlines.PROFILE_LEASE_SECONDS):
                case Settled() as settled:
                    if settled.record is None or await self._remember(job, settled.record, state):
                        return _settled(settled, job, accepted=accepted)
                case Apply() as plan if accepted:
                    # Another delivery of the same job began while our calls were accepted. It may still call.
                    if await self._remember(job, plan.done, state):
                        return Done(subject=job.user.subject)
                case Apply() as plan:
                    if begun := await self._remember(job, plan.begun, state):
                        outcome = await self._apply(job, plan, record, begun)
                        if outcome is not None:
                            return outcome
                        accepted = True
            if time.monotonic() + pause > give_up:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, deadlines.PROFILE_MAX_PAUSE_SECONDS)
        message = "another delivery about the same user is being applied"
        return Retry(status=503, reason="in_progress", message=message, subject=job.user.subject)

    async def _remember(self, job: UserJob, record: Record, previous: ProfileState | None) -> ProfileState | None:
        return await self._states.remember(job.key, msgspec.json.encode(record).decode(), previous)

    async def _apply(self, job: UserJob, plan: Apply, found: Record, begun: ProfileState) -> Outcome | None:
        """Call Customer.io and remember what came of it. None if it accepted, but another delivery wrote meanwhile."""
        outcome, may_have_begun = await self._call(job, plan)
        if isinstance(outcome, Done):
            return outcome if await self._remember(job, plan.done, begun) else None
        if not may_have_begun:
            left = found
        elif isinstance(outcome, Retry) and outcome.is_unknown and outcome.upstream_status is None:
            return outcome  # a call may be on its way
        else:
            left = msgspec.structs.replace(plan.begun, busy_until=found.busy_until)
        # If this fails, the lease runs out by itself.
        with suppress(LedgerError):
            await self._remember(job, left, begun)
        return outcome

    async def _call(self, job: UserJob, plan: Apply) -> tuple[Outcome, bool]:
        """Apply the operations in turn; also returned is whether any of them may have been applied."""
        may_have_begun = False
        try:
            async with asyncio.timeout(deadlines.PROFILE_CALLS_SECONDS):
                for operation in operations(job.user, plan):
                    outcome = await apply(self._track, operation, job.message, job.attributes)
                    if not isinstance(outcome, Done):
                        is_unknown = isinstance(outcome, Retry) and outcome.is_unknown
                        return outcome, may_have_begun or is_unknown
                    may_have_begun = True
        except TimeoutError:
            message = f"not done within {deadlines.PROFILE_CALLS_SECONDS:g} s"
            late = Retry(status=503, reason="timeout", message=message, is_unknown=True, subject=job.user.subject)
            return late, True
        return Done(subject=job.user.subject), True


def _settled(settled: Settled, job: UserJob, *, accepted: bool) -> Outcome:
    if accepted:
        return Done(subject=job.user.subject)  # another delivery of the same job recorded it first
    if settled.how != "forgotten":
        return Done(how=settled.how, subject=job.user.subject)
    return Failed(
        error_class="forgotten",
        reason="forgotten",
        field="id",
        message="this user was deleted: publish the record with `restore: true` if the id is to come back",
        subject=job.user.subject,
    )
