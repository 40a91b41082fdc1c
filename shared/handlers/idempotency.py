"""Does once what Customer.io cannot tell from a repetition: the ledger before and after a call to the App API.

claim ── already done ───────────────────────────────> done
  │ ──── held by another delivery ───────────────────> retry
  │ ──── another body under this key ────────────────> failed
  │ ──── an earlier attempt's outcome unknown, and at_most_once or expired > failed, for a person to decide
  │ ──── expired ─── release ────────────────────────> failed
  v
call ─── accepted ── finish ─────────────────────────> done
  │ ──── nothing sent, or refused ── release ────────> retry, or failed
  │ ──── outcome unknown ── kept as unknown ─────────> retry, or failed under at_most_once
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from .. import deadlines
from ..attributes import JobAttributes
from ..customerio.errors import CustomerIOError, UnknownOutcomeError
from ..ledger import AlreadyDone, Busy, Claimed, Conflict, Ledger, LedgerError
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from .outcomes import ledger_unavailable, outcome_of

Call = Callable[[], Awaitable[str]]


class Idempotency:
    """Runs calls under the ledger.

    Args:
        ledger: Where claims are kept.
        scope: First part of the ledger's keys, so that functions do not share them.
    """

    def __init__(self, ledger: Ledger, scope: str) -> None:
        self._ledger = ledger
        self._scope = scope

    async def run(self, call: Call, message: PushMessage, attributes: JobAttributes, *, subject: str = "") -> Outcome:
        """Settle the job of ``message`` by ``call``, which returns what Customer.io named the result."""
        key, fingerprint = f"{self._scope}:{message.key}", _fingerprint(message, attributes)
        try:
            claim = await self._ledger.claim(key, fingerprint, deadlines.LEASE_SECONDS)
            if not isinstance(claim, Claimed):
                return _not_ours(claim, subject)
            # Asked only now: what was done before is done, and what may have been done has not simply expired.
            expired = attributes.expired(datetime.now(UTC))
            at_most_once = attributes.delivery_guarantee == "at_most_once"
            if claim.retaken and (at_most_once or expired):
                await self._ledger.unknown(claim)
                return _undecided(None, subject)
            if expired:
                await self._ledger.release(claim)
                return msgspec.structs.replace(expired, subject=subject)
            return await self._settle(claim, call, message.data, subject, at_most_once=at_most_once)
        except LedgerError as error:
            return ledger_unavailable(error, subject)

    async def _settle(self, claim: Claimed, call: Call, data: bytes, subject: str, *, at_most_once: bool) -> Outcome:
        try:
            result = await _in_time(call)
        except UnknownOutcomeError as error:
            await self._ledger.unknown(claim)
            return _undecided(error.status, subject) if at_most_once else outcome_of(error, subject=subject, data=data)
        except CustomerIOError as error:
            # An earlier attempt of a claim that was taken over may have been accepted: it stays unknown.
            await (self._ledger.unknown(claim) if claim.retaken else self._ledger.release(claim))
            return outcome_of(error, subject=subject, data=data)
        # It is done, and the push says so; only a redelivery in spite of that would find the claim unfinished.
        with suppress(LedgerError):
            await self._ledger.finish(claim, result)
        return Done(subject=subject)


async def _in_time(call: Call) -> str:
    """Run ``call``, ended before the lease is."""
    try:
        async with asyncio.timeout(deadlines.CALL_SECONDS):
            return await call()
    except TimeoutError:
        raise UnknownOutcomeError(f"not done within {deadlines.CALL_SECONDS:g} s", reason="timeout") from None


def _not_ours(claim: AlreadyDone | Busy | Conflict, subject: str) -> Outcome:
    match claim:
        case AlreadyDone():
            return Done(how="already_done", subject=subject)
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
