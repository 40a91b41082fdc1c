"""Who may do what once, and what was done: Firestore in the cloud, SQLite on one machine."""

from typing import TYPE_CHECKING

from shared.ledger.firestore import FirestoreLedger
from shared.ledger.protocol import AlreadyDone, Busy, Claimed, Conflict, Ledger, LedgerError, ProfileStates
from shared.ledger.sqlite import SQLiteLedger

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

__all__ = [
    "AlreadyDone",
    "Busy",
    "Claimed",
    "Conflict",
    "FirestoreLedger",
    "Ledger",
    "LedgerError",
    "ProfileStates",
    "SQLiteLedger",
    "open_ledger",
]


def open_ledger(place: str) -> SQLiteLedger | FirestoreLedger:
    """The ledger at ``sqlite:PATH`` or ``firestore:DATABASE``; nothing is opened before the first call.

    Raises:
        ValueError: it is neither.
    """
    scheme, _, rest = place.partition(":")
    if scheme == "sqlite" and rest:
        return SQLiteLedger(rest)
    if scheme == "firestore" and rest:

        def client() -> "AsyncClient":
            from google.cloud.firestore import AsyncClient  # noqa: PLC0415

            return AsyncClient(database=rest)

        return FirestoreLedger(client)
    msg = "LEDGER must be firestore:DATABASE or sqlite:PATH"
    raise ValueError(msg)
