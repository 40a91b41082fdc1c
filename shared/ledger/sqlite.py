"""The ledger of one machine: one file, shared by the functions' processes."""

import asyncio
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.ledger.protocol import (
    RETENTION,
    AlreadyDone,
    Busy,
    Claimed,
    Conflict,
    LedgerError,
    Record,
    Take,
    decide,
    hashed,
)

_BUSY_SECONDS = 5.0
_CLAIMS_BETWEEN_SWEEPS = 10_000
_TABLES = """
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL, lease_until REAL NOT NULL,
    result TEXT NOT NULL, token TEXT NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_by_expiry ON claims (expires_at);
CREATE TABLE IF NOT EXISTS profiles (person TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
"""


class SQLiteLedger:
    """A ``Ledger`` and ``ProfileStates`` in a file.

    Args:
        path: of the file; made when it is not there.
        now: the clock; given by tests.
    """

    def __init__(self, path: Path | str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now
        # One thread, because a connection of sqlite3 belongs to its thread, and the file has one writer anyway.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None
        self._claims = 0

    async def claim(self, key: str, fingerprint: str, lease_seconds: float) -> Claimed | AlreadyDone | Busy | Conflict:
        return await self._run(lambda db: self._claim(db, hashed(key), fingerprint, lease_seconds))

    async def finish(self, claim: Claimed, result: str) -> None:
        await self._change("UPDATE claims SET state = 'done', result = ? WHERE key = ?", result, claim.key)

    async def release(self, claim: Claimed) -> None:
        await self._change("DELETE FROM claims WHERE key = ? AND token = ? AND state <> 'done'", claim.key, claim.token)

    async def unknown(self, claim: Claimed) -> None:
        await self._change(
            "UPDATE claims SET state = 'unknown' WHERE key = ? AND token = ? AND state <> 'done'",
            claim.key,
            claim.token,
        )

    async def state(self, person: str) -> str | None:
        query = "SELECT state FROM profiles WHERE person = ?"
        row = await self._run(lambda db: db.execute(query, (hashed(person),)).fetchone())
        return None if row is None else str(row[0])

    async def remember(self, person: str, state: str) -> None:
        await self._change("INSERT OR REPLACE INTO profiles VALUES (?, ?)", hashed(person), state)

    def close(self) -> None:
        """Close the file; for tests and tools, a function's process just ends."""
        if self._connection is not None:
            self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    async def _change(self, statement: str, *values: object) -> None:
        await self._run(lambda db: db.execute(statement, values).close())

    async def _run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._open()))
        except sqlite3.Error as error:
            msg = f"the ledger did not answer: {type(error).__name__}"
            raise LedgerError(msg) from None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
            self._connection = connection
        return self._connection

    def _claim(
        self, db: sqlite3.Connection, key: str, fingerprint: str, lease_seconds: float
    ) -> Claimed | AlreadyDone | Busy | Conflict:
        now = self._now()
        db.execute("BEGIN IMMEDIATE")
        try:
            self._sweep(db, now)
            found = decide(_read(db, key), fingerprint, now)
            if not isinstance(found, Take):
                return found
            token = uuid.uuid4().hex
            lease_until, expires_at = now + timedelta(seconds=lease_seconds), now + RETENTION
            db.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, 'claimed', ?, '', ?, ?)",
                (key, fingerprint, lease_until.timestamp(), token, expires_at.timestamp()),
            )
            return Claimed(key, token, found.retaken)
        finally:
            db.execute("COMMIT")

    def _sweep(self, db: sqlite3.Connection, now: datetime) -> None:
        if self._claims % _CLAIMS_BETWEEN_SWEEPS == 0:
            db.execute("DELETE FROM claims WHERE expires_at < ?", (now.timestamp(),))
        self._claims += 1


def _read(db: sqlite3.Connection, key: str) -> Record | None:
    row = db.execute("SELECT fingerprint, state, lease_until, result FROM claims WHERE key = ?", (key,)).fetchone()
    return None if row is None else Record(row[0], row[1], datetime.fromtimestamp(row[2], UTC), row[3])
