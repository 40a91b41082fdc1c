"""What an import has published, in a SQLite file: a later run of it publishes only the rows that are new or changed.

A row is known by its key and by how often that key came before in the same run: the order of a table's rows, or lines
that were put in between, do not matter. The file is written after Pub/Sub's confirmation. A process that is killed
between the two publishes those rows again, under the same job ids.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ops.errors import OperatorError

_HASH_BYTES = 16
_TABLES = """
CREATE TABLE IF NOT EXISTS import (identity TEXT NOT NULL, pass INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS published (
    key BLOB NOT NULL, occurrence INTEGER NOT NULL, content BLOB NOT NULL, pass INTEGER NOT NULL,
    PRIMARY KEY (key, occurrence)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of this run.

    Args:
        key: Hash of what identifies the row.
        occurrence: How often the key came before in this run.
        content: Hash of the job's data and attributes.
    """

    key: bytes
    occurrence: int
    content: bytes

    def job_id(self, identity: str) -> str:
        """The job id: the same for the same row of the same import, whichever run publishes it."""
        parts = (identity.encode(), self.key, str(self.occurrence).encode(), self.content)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(parts)).digest()[:_HASH_BYTES]


class Checkpoint:
    """The file, which one process has at a time.

    Args:
        path: The file; created if absent, readable only by its owner.
        identity: What the import is. A file of another import is refused.

    Raises:
        OperatorError: if the file is another import's, in use, or no checkpoint.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        try:
            path.touch(mode=0o600)
            # Autocommit, so that each batch is one transaction of ours.
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error):
            raise OperatorError(f"{path} cannot be written: give another --checkpoint.") from None
        try:
            self._pass = self._begin(identity)
        except sqlite3.Error as error:
            self._connection.close()
            if "locked" in str(error):
                raise OperatorError(f"{path} is in use by another import: wait for it, or give --name.") from None
            raise OperatorError(f"{path} cannot be used as a checkpoint ({error}): give another one.") from None
        except OperatorError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def pending(self, rows: Sequence[tuple[bytes, bytes]]) -> list[Entry | None]:
        """Name the rows that are to be published, in order; None for one that was published as it is.

        Args:
            rows: Key and content of each row, as ``digest`` makes them.
        """
        known = self._known({key for key, _ in rows})
        seen = {key: sum(run == self._pass for _, run in entries.values()) for key, entries in known.items()}
        entries: list[Entry | None] = []
        unchanged = []
        for key, content in rows:
            entry = Entry(key, seen.get(key, 0), content)
            seen[key] = entry.occurrence + 1
            stored = known[key].get(entry.occurrence)
            if stored is not None and stored[0] == content:
                unchanged.append(entry)
                entries.append(None)
            else:
                entries.append(entry)
        self.confirm(unchanged)
        return entries

    def confirm(self, entries: Sequence[Entry]) -> None:
        """Remember that these rows are published."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO published VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT DO UPDATE SET content = excluded.content, pass = excluded.pass",
                [(entry.key, entry.occurrence, entry.content, self._pass) for entry in entries],
            )

    def _begin(self, identity: str) -> int:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_TABLES)
        stored = self._connection.execute("SELECT identity, pass FROM import").fetchone()
        if stored is None:
            self._connection.execute("INSERT INTO import VALUES (?, 1)", (identity,))
            return 1
        if stored[0] != identity:
            raise OperatorError(
                f"{self._path} belongs to another import ({stored[0]}): give another --name or --checkpoint."
            )
        self._connection.execute("UPDATE import SET pass = pass + 1")
        return int(stored[1]) + 1

    def _known(self, keys: set[bytes]) -> dict[bytes, dict[int, tuple[bytes, int]]]:
        """Content and run by occurrence, by key."""
        marks = ",".join("?" * len(keys))
        found = self._connection.execute(
            f"SELECT key, occurrence, content, pass FROM published WHERE key IN ({marks})",  # noqa: S608 - marks only
            [*keys],
        )
        known: defaultdict[bytes, dict[int, tuple[bytes, int]]] = defaultdict(dict)
        for key, occurrence, content, run in found:
            known[key][occurrence] = content, run
        return known
