"""The promises of a store of tombstones: whom the functions must not bring back, and the receipts of it.

It stores marks (``shared/forgetting.py``), times and receipts without a name in them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from .. import deadlines

TOMBSTONE_RETENTION = timedelta(days=deadlines.TOMBSTONE_RETENTION_DAYS)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One mark of somebody who is forgotten.

    Args:
        person: The first mark of the person, which all of the person's tombstones share.
        forgotten_at: When the person was forgotten. Only a later restore counts.
    """

    person: str
    forgotten_at: datetime


class Tombstones(Protocol):
    """Tombstones and receipts. Every method raises ``LedgerError`` when the store does not answer."""

    async def bury(self, person: str, marks: Iterable[str], forgotten_at: datetime) -> None:
        """Set a tombstone on each mark. It stays for ``TOMBSTONE_RETENTION``."""

    async def written_since(self, moment: datetime | None, limit: int) -> Sequence[tuple[str, datetime]]:
        """List marks, and when their tombstones were set, newest first.

        Args:
            moment: Earliest time of setting; None for all.
            limit: Most tombstones to return.
        """

    async def find(self, mark: str) -> Tombstone | None:
        """Read the tombstone on a mark; None if there is none."""

    async def restore(self, person: str) -> None:
        """Remove all tombstones of a person."""

    async def keep_receipt(self, person: str, text: str) -> None:
        """Keep a receipt in place of the one that was kept of this person before."""

    async def receipts(self) -> Sequence[str]:
        """List all receipts, oldest first."""

    async def receipt(self, person: str) -> str | None:
        """Read the receipt of a person; None if there is none."""

    async def erase(self, claims: Sequence[str], states: Sequence[str], *, dry_run: bool = False) -> tuple[int, int]:
        """Delete claims and users' states by their hashed keys; how many there were of each."""
