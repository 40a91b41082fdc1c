"""Who may do what once, what was done, and who is forgotten: Firestore in the cloud, SQLite on one machine."""

from typing import TYPE_CHECKING

from .protocol import (
    RETENTION,
    AlreadyDone,
    Busy,
    Claimed,
    Conflict,
    Ledger,
    LedgerError,
    ProfileState,
    ProfileStates,
    Token,
)
from .sqlite import SQLiteLedger
from .tombstones import TOMBSTONE_RETENTION, Tombstone, Tombstones

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from .firestore import FirestoreLedger

__all__ = [
    "RETENTION",
    "TOMBSTONE_RETENTION",
    "AlreadyDone",
    "Busy",
    "Claimed",
    "Conflict",
    "Ledger",
    "LedgerError",
    "ProfileState",
    "ProfileStates",
    "SQLiteLedger",
    "Token",
    "Tombstone",
    "Tombstones",
    "open_ledger",
]


def open_ledger(spec: str) -> "SQLiteLedger | FirestoreLedger":
    """The ledger at ``sqlite:PATH`` or ``firestore:DATABASE``; nothing is opened before the first call.

    Raises:
        ValueError: it is neither.
    """
    scheme, _, place = spec.partition(":")
    if scheme == "sqlite" and place:
        return SQLiteLedger(place)
    if scheme == "firestore" and place:
        return _firestore(place)
    raise ValueError("the ledger must be firestore:DATABASE or sqlite:PATH")


def _firestore(database: str) -> "FirestoreLedger":
    # 0.3 s and 40 MB, which only those who use it pay.
    from google.cloud.firestore import AsyncClient  # noqa: PLC0415

    from .firestore import FirestoreLedger  # noqa: PLC0415

    def client() -> "AsyncClient":
        return AsyncClient(database=database)

    return FirestoreLedger(client)
