"""Doing once what Customer.io cannot tell from a repetition: the ledger before and after a call to the App API.

claim ── already done ───────────────────────────────> done
  │ ──── held by another delivery ───────────────────> later
  │ ──── another body under this key ────────────────> failed
  │ ──── an earlier attempt's fate unknown, and at_most_once or too late > failed, for a person to decide
  │ ──── too late ─── release ───────────────────────> failed
  v
call ─── accepted ── finish ─────────────────────────> done
  │ ──── nothing sent, or refused ── release ────────> later, or failed
  │ ──── fate unknown ── kept as unknown ────────────> later, or failed under at_most_once
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from ..customerio.app import AppAPI
from ..customerio.errors import CustomerIOError, UnknownOutcomeError
from ..customerio.http import BearerCredentials, Connection
from ..ledger import AlreadyDone, Busy, Claimed, Conflict, Ledger, LedgerError
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.expiry import expired
from ..pubsub.message import PushMessage
from ..secrets import secret
from ..settings import customerio_settings
from .outcomes import outcome_of

LEDGER_HINT = "firestore:DATABASE, or sqlite:PATH on one machine"
# One request. Twice this, because a 401 is tried again, and the longest wait for the rate end before the lease does.
_TIMEOUT_SECONDS = 10.0
# All of a call: two requests, reading the secrets, the wait for the rate.
_CALL_SECONDS = 32.0
# Longer than the call may take, shorter than the ack deadline: a delivery that comes again after a crash finds the
# lease run out.
LEASE_SECONDS = 40.0
GUARANTEES = ("at_least_once", "at_most_once")

Call = Callable[[], Awaitable[str]]


class Once:
    """Runs a call under the ledger.

    Args:
        ledger: where claims are kept.
        scope: first part of the ledger's key, so that kinds of jobs do not share keys.
    """

    def __init__(self, ledger: Ledger, scope: str) -> None:
        self._ledger = ledger
        self._scope = scope

    async def __call__(self, delivery: PushMessage, subject: str, call: Call) -> Outcome:
        """Settle ``delivery``, about ``person``, by ``call``, which returns what Customer.io named the result."""
        guarantee = delivery.attributes.get("delivery_guarantee", GUARANTEES[0])
        if guarantee not in GUARANTEES:
            message = f"the attribute must be one of {', '.join(GUARANTEES)}"
            return Failed(
                error_class="invalid_job",
                reason="invalid",
                field="delivery_guarantee",
                message=message,
                subject=subject,
            )
        at_most_once = guarantee == "at_most_once"
        try:
            claim = await self._ledger.claim(f"{self._scope}:{delivery.key}", _fingerprint(delivery), LEASE_SECONDS)
            if not isinstance(claim, Claimed):
                return _not_ours(claim, subject)
            # Asked only now: what was done before is done, and what may have been done is no mere expiry.
            late = expired(delivery, datetime.now(UTC))
            if claim.retaken and (at_most_once or late):
                await self._ledger.unknown(claim)
                return _undecided(None, subject)
            if late:
                await self._ledger.release(claim)
                return msgspec.structs.replace(late, subject=subject)
            return await self._settle(claim, delivery, subject, call, at_most_once=at_most_once)
        except LedgerError as error:
            return Retry(status=503, reason="ledger_unavailable", message=str(error), subject=subject)

    async def _settle(
        self, claim: Claimed, delivery: PushMessage, subject: str, call: Call, *, at_most_once: bool
    ) -> Outcome:
        try:
            result = await _in_time(call)
        except UnknownOutcomeError as error:
            await self._ledger.unknown(claim)
            if at_most_once:
                return _undecided(error.status, subject)
            return outcome_of(error, subject=subject, data=delivery.data)
        except CustomerIOError as error:
            # Of a claim that was taken over, an earlier attempt may have been accepted: it stays unknown.
            await (self._ledger.unknown(claim) if claim.retaken else self._ledger.release(claim))
            return outcome_of(error, subject=subject, data=delivery.data)
        # It is done, and the push says so; only a redelivery in spite of that would find the claim unfinished.
        with suppress(LedgerError):
            await self._ledger.finish(claim, result)
        return Done(subject=subject)


async def _in_time(call: Call) -> str:
    """``call``, ended before the lease does, whatever it waits for."""
    try:
        async with asyncio.timeout(_CALL_SECONDS):
            return await call()
    except TimeoutError:
        msg = f"not done within {_CALL_SECONDS:g} s"
        raise UnknownOutcomeError(msg, reason="timeout") from None


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


def _fingerprint(delivery: PushMessage) -> str:
    channel = delivery.attributes.get("channel", "")
    return hashlib.sha256(b"%b\0%b" % (channel.encode(), delivery.data)).hexdigest()


def app_api(environment: Mapping[str, str], *, longest_wait: float = 5.0) -> AppAPI:
    """The App API as the environment describes it.

    Raises:
        SettingsError: a variable is missing or wrong.
    """
    settings = customerio_settings(environment)
    credentials = BearerCredentials(secret(environment, "CUSTOMERIO_APP_API_KEY"))
    connection = Connection(settings.app_url, credentials, timeout=_TIMEOUT_SECONDS)
    return AppAPI(connection, requests_per_second=settings.requests_per_second, longest_wait=longest_wait)
