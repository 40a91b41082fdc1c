"""Does once what Customer.io cannot tell from a repetition: the ledger before and after a call to the App API.

permit ─ no rate, breaker open ──────────────────────> retry; nothing was written down
  v
claim ── already done ───────────────────────────────> done
  │ ──── held by another delivery ───────────────────> retry
  │ ──── another body under this key ────────────────> failed
  │ ──── an earlier attempt's outcome unknown, and at_most_once or expired > failed, for a person to decide
  │ ──── expired ─── release ────────────────────────> failed
  v
call ─── accepted ── finish ─────────────────────────> done
  │ ──── nothing sent, or refused ── release ────────> retry, or failed
  │ ──── outcome unknown ── kept as unknown ─────────> retry, or failed under at_most_once or at the fifth of its own
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from .. import deadlines
from ..attributes import JobAttributes
from ..customerio.app import AppAPI, Permit
from ..customerio.errors import CustomerIOError, UnknownOutcomeError
from ..ledger import AlreadyDone, Busy, Claimed, Conflict, Ledger, LedgerError
from ..lifetime import Lifetime
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from .outcomes import ledger_unavailable, outcome_of

# Unknown outcomes of one job, while others succeed, after which a person decides.
MAX_UNKNOWN_OUTCOMES = 5


class Call(Protocol):
    """One call to the App API, such as ``app.send`` with its channel and body."""

    def __call__(self, *, permit: Permit, deadline: float) -> Awaitable[str]: ...


class Idempotency:
    """Runs calls under the ledger.

    Args:
        app: The API that calls go to; asked for a permit before anything is written down.
        ledger: Where claims are kept.
        scope: First part of the ledger's keys, so that functions do not share them.
        lifetime: Life of the instance, which bounds a call.
    """

    def __init__(self, app: AppAPI, ledger: Ledger, scope: str, lifetime: Lifetime) -> None:
        self._app = app
        self._ledger = ledger
        self._scope = scope
        self._lifetime = lifetime
        self._succeeded_at = float("-inf")

    async def run(self, call: Call, message: PushMessage, attributes: JobAttributes, *, subject: str = "") -> Outcome:
        """Settle the job of ``message`` by ``call``, which returns Customer.io's id of the result."""
        begins_by = message.deadline - deadlines.PUSH_SECONDS + deadlines.CALL_WINDOW_SECONDS
        try:
            async with self._app.permit(deadline=begins_by, bulk=attributes.is_bulk) as permit:
                return await self._claim_and_call(call, permit, message, attributes, subject)
        except CustomerIOError as error:
            return outcome_of(error, subject=subject, data=message.data)
        except LedgerError as error:
            return ledger_unavailable(error, subject)

    async def _claim_and_call(
        self, call: Call, permit: Permit, message: PushMessage, attributes: JobAttributes, subject: str
    ) -> Outcome:
        fingerprint = _fingerprint(message, attributes)
        claim = await self._ledger.claim(f"{self._scope}:{message.key}", fingerprint, deadlines.LEASE_SECONDS)
        if not isinstance(claim, Claimed):
            return _not_ours(claim, subject)
        settled = await self._settled_without_call(claim, attributes, subject)
        return settled or await self._call(call, claim, permit, message, attributes, subject)

    async def _settled_without_call(self, claim: Claimed, attributes: JobAttributes, subject: str) -> Outcome | None:
        # Asked only now: what was done before is done, and what may have been done has not simply expired.
        expired = attributes.expired(datetime.now(UTC))
        if claim.retaken and (attributes.is_at_most_once or expired):
            await self._ledger.unknown(claim)
            return _undecided(None, subject)
        if expired or self._lifetime.is_ending:
            await self._ledger.release(claim)
            return msgspec.structs.replace(expired or _ENDING, subject=subject)
        return None

    async def _call(
        self,
        call: Call,
        claim: Claimed,
        permit: Permit,
        message: PushMessage,
        attributes: JobAttributes,
        subject: str,
    ) -> Outcome:
        try:
            result = await self._in_time(call, permit, message.deadline)
        except UnknownOutcomeError as error:
            # While others succeed, it is about this job: another try would end alike, and perhaps send each time.
            is_its_own = time.monotonic() - self._succeeded_at < deadlines.OTHERS_SUCCEED_SECONDS
            await self._ledger.unknown(claim, counted=is_its_own)
            if attributes.is_at_most_once or claim.unknowns + is_its_own >= MAX_UNKNOWN_OUTCOMES:
                return msgspec.structs.replace(_undecided(error.status, subject), requested=True)
            return outcome_of(error, subject=subject, data=message.data)
        except CustomerIOError as error:
            # An earlier attempt of a claim that was taken over may have been accepted: it stays unknown.
            await (self._ledger.unknown(claim) if claim.retaken else self._ledger.release(claim))
            return outcome_of(error, subject=subject, data=message.data)
        self._succeeded_at = time.monotonic()
        return await self._finish(claim, result, message.deadline, subject)

    async def _in_time(self, call: Call, permit: Permit, deadline: float) -> str:
        """Run ``call``, ended early enough for its outcome to be written down."""
        latest = deadline - deadlines.RECORD_SECONDS
        try:
            async with self._lifetime.limit(latest):
                return await call(permit=permit, deadline=latest)
        except TimeoutError:
            raise UnknownOutcomeError("not done before the push's deadline", reason="timeout") from None

    async def _finish(self, claim: Claimed, result: str, deadline: float, subject: str) -> Outcome:
        """Write down that it is done, trying until the push's deadline.

        A record that is missing at last costs nothing by itself: the push is acknowledged. Only a delivery in spite of
        that, or another publish of the same ``job_id``, would send again, so the log says ERROR.
        """
        while True:
            try:
                await self._ledger.finish(claim, result)
            except LedgerError:
                if time.monotonic() + deadlines.RECORD_RETRY_SECONDS >= deadline or self._lifetime.is_ending:
                    return Done(how="sent_not_recorded", delivery_id=result, subject=subject)
                await asyncio.sleep(deadlines.RECORD_RETRY_SECONDS)
            else:
                return Done(delivery_id=result, subject=subject)


_ENDING = Retry(status=503, reason="shutting_down", message="the instance is shutting down")


def _not_ours(claim: AlreadyDone | Busy | Conflict, subject: str) -> Outcome:
    match claim:
        case AlreadyDone():
            return Done(how="already_done", delivery_id=claim.result, subject=subject)
        case Busy():
            return Retry(status=503, reason="in_progress", message="another delivery holds it", subject=subject)
        case Conflict():
            message = "this job_id was used for another body: give each job its own"
            return Failed(
                error_class="key_conflict", reason="key_conflict", field="job_id", message=message, subject=subject
            )


def _undecided(status: int | None, subject: str) -> Failed:
    return Failed(
        error_class="unknown_outcome",
        reason="unknown_outcome",
        status=status,
        message="it may or may not have been sent: look in Customer.io, then replay or discard",
        subject=subject,
    )


def _fingerprint(message: PushMessage, attributes: JobAttributes) -> str:
    return hashlib.sha256(b"%b\0%b" % (attributes.channel.encode(), message.data)).hexdigest()
