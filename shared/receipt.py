"""The receipt of somebody who is forgotten: what was deleted where and when, what is left to do, and what outlives it.

Nothing in it tells who it was: it holds marks and hashes, by which the rest is found.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self

import msgspec

from .forgetting import mark
from .telemetry import subject_hash

# A receipt is one document of at most 1 MiB in Firestore, and a delivery id has about 30 bytes.
MAX_DELIVERIES = 10_000


class Deleted(msgspec.Struct):
    """What was deleted from one store, over all passes.

    Args:
        count: Number of entries.
        at: When the store was last searched.
    """

    count: int
    at: datetime


class Receipt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One receipt.

    Args:
        person: The first mark of the person, by which the receipt is kept.
        forgotten_at: When it was asked for.
        marks: Marks of all keys that are known of the person.
        subjects: Hashes of the keys as outcomes and logs have them.
        states: Hashed keys of the person's states in the ledger's store.
        deliveries: Ids of messages to the person, while rows may come that have nothing else.
        stores: What was deleted, by store.
        due: When the rest is done; None if nothing is left.
        restored_at: When the person was brought back: what is newer stays.
    """

    person: str
    forgotten_at: datetime
    marks: list[str] = []
    subjects: list[str] = []
    states: list[str] = []
    deliveries: list[str] = []
    stores: dict[str, Deleted] = {}
    due: datetime | None = None
    restored_at: datetime | None = None

    @classmethod
    def open(cls, project: str, keys: Iterable[str], state: str, forgotten_at: datetime) -> Self:
        """Open a receipt, due at once.

        Args:
            project: Google Cloud project, as in marks.
            keys: Keys of the person, such as ``id:42``; the first one names the receipt.
            state: Hashed key of the person's state; empty if there is none.
            forgotten_at: When it was asked for.
        """
        known = list(keys)
        return cls(
            person=mark(project, known[0]),
            forgotten_at=forgotten_at,
            marks=[mark(project, key) for key in known],
            subjects=[subject_hash(project, key) for key in known],
            states=[state] if state else [],
            due=forgotten_at,
        )

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what ``encode`` wrote."""
        return msgspec.json.decode(text, type=cls)

    def encode(self) -> str:
        """Text to keep."""
        return msgspec.json.encode(self).decode()

    def reopened(self, again: Self) -> Self:
        """Return the receipt of the same person who is to be forgotten again, with all that is known of them."""
        return msgspec.structs.replace(
            self,
            forgotten_at=max(self.forgotten_at, again.forgotten_at),
            marks=_merged(self.marks, again.marks),
            subjects=_merged(self.subjects, again.subjects),
            states=_merged(self.states, again.states),
            due=again.due,
            restored_at=None,
        )

    def learn(self, project: str, keys: Iterable[str]) -> None:
        """Add further keys of the person."""
        found = list(keys)
        self.marks = _merged(self.marks, [mark(project, key) for key in found])
        self.subjects = _merged(self.subjects, [subject_hash(project, key) for key in found])

    def remember(self, deliveries: Iterable[str]) -> None:
        """Add ids of messages to the person, as many as a receipt can hold."""
        self.deliveries = _merged(self.deliveries, deliveries)[:MAX_DELIVERIES]

    def note(self, store: str, count: int) -> None:
        """Add what was just deleted from a store."""
        known = self.stores[store].count if store in self.stores else 0
        self.stores[store] = Deleted(known + count, datetime.now(UTC).replace(microsecond=0))


def _merged(known: Iterable[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*known, *more]))
