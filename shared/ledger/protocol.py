"""What a ledger promises, and the one decision that every implementation makes alike.

The pattern is powertools' idempotency: claim before the call, keep the result after it, let go when nothing can have
happened. https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

# Longer than a job can live: 16 hours in the retry lane, 31 days as a dead letter, and the same again after a replay
# at the last moment.
RETENTION = timedelta(days=66)


class LedgerError(Exception):
    """The ledger did not answer. The job is to come again; the text holds no key."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The caller may act, until the lease ends.

    Args:
        key: of the record, hashed.
        token: proof of this claim; opaque.
        retaken: whether an earlier claim ended without word of its outcome.
    """

    key: str
    token: object
    retaken: bool = False


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
    """Claims by key. Every method raises ``LedgerError`` when the ledger does not answer."""

    async def claim(self, key: str, fingerprint: str, lease_seconds: float) -> Claimed | AlreadyDone | Busy | Conflict:
        """Claim ``key``, for what ``fingerprint`` stands for; of many callers at once one gets it."""

    async def finish(self, claim: Claimed, result: str) -> None:
        """Keep that it was done. It counts even when the lease had run out: it did happen."""

    async def release(self, claim: Claimed) -> None:
        """Nothing can have happened: the next claim starts afresh. Without effect when another took the claim over."""

    async def unknown(self, claim: Claimed) -> None:
        """It may have happened: the next claim is a retaken one, at once. Without effect when another took it over."""


class ProfileStates(Protocol):
    """What was last applied of each user; kept for good. Both raise ``LedgerError`` when the store does not answer."""

    async def state(self, person: str) -> str | None:
        """What was remembered last."""

    async def remember(self, person: str, state: str) -> None:
        """Remember ``state``."""


@dataclass(frozen=True, slots=True)
class Record:
    """A claim as it is stored."""

    fingerprint: str
    state: Literal["claimed", "unknown", "done"]
    lease_until: datetime
    result: str


@dataclass(frozen=True, slots=True)
class Take:
    """The record is there for the taking."""

    retaken: bool


def decide(record: Record | None, fingerprint: str, now: datetime) -> Take | AlreadyDone | Busy | Conflict:
    """What a claim of ``fingerprint`` finds at ``now``."""
    if record is None:
        return Take(retaken=False)
    if record.fingerprint != fingerprint:
        return Conflict()
    if record.state == "done":
        return AlreadyDone(record.result)
    if record.state == "claimed" and record.lease_until > now:
        return Busy(record.lease_until)
    return Take(retaken=True)


def hashed(key: str) -> str:
    """A key as it is stored: any text becomes a plain name, and nobody's address is in it."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
