"""sync: the application's own users, brought to Customer.io as they are, the newest record of each.

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
import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import msgspec

from .. import deadlines
from ..attributes import JobAttributes
from ..customerio.errors import CredentialsUnavailableError
from ..customerio.track import TrackAPI
from ..errors import InvalidJob
from ..jobs import TrackOperation, UserDeleted, UserRecord, parse
from ..jobs import limits as job_limits
from ..ledger import LedgerError, ProfileState, ProfileStates, open_ledger
from ..lifetime import Lifetime
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..secrets import Secret, SecretUnavailableError, open_secret
from ..settings import Settings
from .operations import apply
from .outcomes import ledger_unavailable, outcome_of
from .profile import DELETED, SUPPRESSED, Apply, Record, Settled, Version, Wanted, decide
from .wiring import push_endpoint, track_api

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A wrong `updated_at` far ahead would supersede all that follows. Clocks differ by less than this.
_MAX_AHEAD = timedelta(days=1)
# Names of attributes in one operation that only clears: at 150 bytes each they fit into its 32 KB.
_MAX_CLEARED = 100

_decode = msgspec.json.Decoder(Record).decode

Workspace = Callable[[], Awaitable[str]]


class Sync:
    """Settles sync jobs.

    Args:
        track: The Track API.
        states: Where the users' records are kept.
        workspace: Returns a name of the workspace that ``track`` writes to; another workspace has records of its own.
        now: Clock, in unix seconds.
    """

    def __init__(
        self, track: TrackAPI, states: ProfileStates, workspace: Workspace, *, now: Callable[[], float] = time.time
    ) -> None:
        self._track = track
        self._states = states
        self._workspace = workspace
        self._now = now

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        user = parse("sync", message.data, attributes)
        wanted = _wanted(user, message)
        if expired := attributes.expired(datetime.now(UTC)):
            return msgspec.structs.replace(expired, subject=user.subject)
        try:
            key = f"{await self._workspace()}\0{user.subject}"
            return await self._settle(_Job(user, wanted, key, message, attributes))
        except SecretUnavailableError as error:
            unavailable = CredentialsUnavailableError(str(error))
            return outcome_of(unavailable, subject=user.subject, data=message.data)
        except LedgerError as error:
            return ledger_unavailable(error, user.subject)

    async def _settle(self, job: "_Job") -> Outcome:
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

    async def _remember(self, job: "_Job", record: Record, previous: ProfileState | None) -> ProfileState | None:
        return await self._states.remember(job.key, msgspec.json.encode(record).decode(), previous)

    async def _apply(self, job: "_Job", plan: Apply, found: Record, begun: ProfileState) -> Outcome | None:
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

    async def _call(self, job: "_Job", plan: Apply) -> tuple[Outcome, bool]:
        """Apply the operations in turn; also returned is whether any of them may have been applied."""
        may_have_begun = False
        try:
            async with asyncio.timeout(deadlines.PROFILE_CALLS_SECONDS):
                for operation in _operations(job.user, plan):
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


class _Job(msgspec.Struct, frozen=True):
    user: UserRecord | UserDeleted
    wanted: Wanted
    key: str
    message: PushMessage
    attributes: JobAttributes


def _wanted(user: UserRecord | UserDeleted, message: PushMessage) -> Wanted:
    published = (message.first_published_at - _EPOCH) // _MICROSECOND
    instant = published if user.updated_at is None else user.updated_at
    if instant > published + _MAX_AHEAD // _MICROSECOND:
        raise InvalidJob("updated_at", "must not be more than a day after the job was published")
    digest, rank, names = DELETED, 2, tuple[str, ...]()
    if isinstance(user, UserRecord):
        digest, rank = SUPPRESSED, 1
        if not user.wants_nothing:
            digest, rank, names = _digest(user.attributes), 0, tuple(sorted(user.attributes))
    job = hashlib.sha256(b"%b\0%b" % (message.key.encode(errors="surrogatepass"), message.data)).hexdigest()
    return Wanted(
        job=job,
        version=Version(instant, rank, published),
        digest=digest,
        names=names,
        force=user.force,
        restore=isinstance(user, UserRecord) and user.restore,
    )


def _digest(attributes: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(attributes, order="deterministic")).hexdigest()


def _settled(settled: Settled, job: "_Job", *, accepted: bool) -> Outcome:
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


def _operations(user: UserRecord | UserDeleted, plan: Apply) -> list[TrackOperation]:
    match user:
        case UserDeleted():
            # In this order: suppressing keeps a late identify from bringing back whom deleting removes.
            return [_operation(user, "suppress"), _operation(user, "delete")]
        case UserRecord(wants_nothing=True):
            return [_operation(user, "suppress")]
        case UserRecord():
            unsuppress = [_operation(user, "unsuppress")] if plan.unsuppress else []
            return unsuppress + [_operation(user, "identify", attributes=each) for each in _identified(user, plan)]


def _identified(user: UserRecord, plan: Apply) -> list[dict[str, Any]]:
    """The record's attributes with what is to be cleared as null; in several steps if it is too much for one."""
    # What the application knows to be empty may have been set elsewhere.
    cleared = sorted({*plan.vanished, *(user.empty if user.force else ())})
    whole = user.attributes | dict.fromkeys(cleared)
    body = {"type": "person", "action": "identify", "identifiers": {"id": user.id}, "attributes": whole}
    if len(whole) <= job_limits.MAX_ATTRIBUTES and len(msgspec.json.encode(body)) <= job_limits.MAX_ITEM_BYTES:
        return [whole]
    return [dict.fromkeys(names) for names in batched(cleared, _MAX_CLEARED, strict=False)] + [user.attributes]


def _operation(user: UserRecord | UserDeleted, action: str, **fields: Any) -> TrackOperation:
    body = {"type": "person", "action": action, "identifiers": {"id": user.id}, **fields}
    return TrackOperation(user.subject, body, action, ordered=True)


def workspace_of(track_url: str, site_id: Secret) -> Workspace:
    """The name of the workspace that a site id belongs to, which tells regions and simulators apart, too."""

    async def name() -> str:
        newest = (await site_id.values())[0]
        return hashlib.sha256(f"{track_url}\0{newest}".encode()).hexdigest()

    return name


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    workspace = workspace_of(settings.customerio.track_url, open_secret(settings.secrets["site-id"]))
    sync = Sync(track_api(settings, lifetime), open_ledger(settings.ledger), workspace)
    return push_endpoint(sync, settings, lifetime)
