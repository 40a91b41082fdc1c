"""The promises of a ledger, and the one decision that every implementation makes alike.

The pattern is powertools' idempotency: claim before the call, keep the result after it, let go when nothing can have
happened. https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from .. import deadlines

RETENTION = timedelta(days=deadlines.LEDGER_RETENTION_DAYS)


class LedgerError(Exception):
    """The ledger did not answer: the job is to come again. The call may have taken effect; no key is in the text."""


@dataclass(frozen=True, slots=True)
class Token:
    """Proof of one claim; opaque to all but the ledger that gave it.

    Args:
        proof: Tells this claim from a later one of the same key.
        fingerprint: Fingerprint of the claim.
    """

    proof: object
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """The caller may act, until the lease ends.

    Args:
        key: Key of the record, hashed.
        token: Lets this holder, and no later one, end the claim.
        retaken: Whether an earlier claim ended without word of its outcome.
        unknowns: Number of earlier outcomes that were unknown and counted.
    """

    key: str
    token: Token
    retaken: bool
    unknowns: int = 0


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """It was done before; ``result`` is what was kept of it."""

    result: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Another delivery holds the claim until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key was used for something else."""


class Ledger(Protocol):
    """Claims by key. Every method raises ``LedgerError`` when the ledger does not answer.

    A claim is ended once, by ``finish``, ``release`` or ``unknown``. A holder whose lease ran out keeps its claim until
    another takes it over. After that its ``release`` and ``unknown`` have no effect.
    """

    async def claim(self, key: str, fingerprint: str, lease_seconds: float) -> Claimed | AlreadyDone | Busy | Conflict:
        """Claim ``key``, any text, for what the hash ``fingerprint`` stands for; of many at once one gets it."""

    async def finish(self, claim: Claimed, result: str) -> None:
        """Keep that it was done.

        It counts even for a holder that was taken over, because it did happen: whoever holds the claim now, or left it
        unknown, has no more to do. The first result stays. Of a record that was let go of, or that is another
        fingerprint's by now, nothing changes.
        """

    async def release(self, claim: Claimed) -> None:
        """Nothing can have happened: the next claim starts afresh."""

    async def unknown(self, claim: Claimed, *, counted: bool = False) -> None:
        """It may have happened: the next claim is a retaken one, at once.

        Args:
            claim: The claim.
            counted: Whether the outcome counts as one of the job's own: others succeeded meanwhile.
        """


@dataclass(frozen=True, slots=True)
class ProfileState:
    """The stored text of one user.

    Args:
        text: The text that was remembered.
        token: Proof of this very write, opaque to all but the ledger that gave it.
    """

    text: str
    token: object


class ProfileStates(Protocol):
    """One text per user, kept for good and changed by compare-and-set.

    Both methods raise ``LedgerError`` if the store does not answer.
    """

    async def state(self, key: str) -> ProfileState | None:
        """Read what is stored under ``key``, any text; None if nothing is."""

    async def remember(self, key: str, text: str, previous: ProfileState | None) -> ProfileState | None:
        """Store ``text`` under ``key`` if ``previous`` is what is stored there still.

        Args:
            key: Any text.
            text: What to store.
            previous: What was read, or what the last ``remember`` returned; None if nothing is to be there.

        Returns:
            The new state, or None if somebody else wrote since: then nothing was changed.
        """


@dataclass(frozen=True, slots=True)
class Record:
    """A claim as it is stored."""

    fingerprint: str
    state: Literal["claimed", "unknown", "done"]
    lease_until: datetime
    result: str
    unknowns: int = 0


@dataclass(frozen=True, slots=True)
class Take:
    """The record is there for the taking."""

    retaken: bool
    unknowns: int = 0


def decide(record: Record | None, fingerprint: str, now: datetime) -> Take | AlreadyDone | Busy | Conflict:
    """Decide what a claim of ``fingerprint`` gets at ``now``."""
    if record is None:
        return Take(retaken=False)
    if record.fingerprint != fingerprint:
        return Conflict()
    if record.state == "done":
        return AlreadyDone(record.result)
    if record.state == "claimed" and record.lease_until > now:
        return Busy(record.lease_until)
    return Take(retaken=True, unknowns=record.unknowns)


def hashed(key: str) -> str:
    """A key as it is stored: any text becomes a plain name, and nobody's address is in it."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
