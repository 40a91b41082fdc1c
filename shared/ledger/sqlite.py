"""The ledger of one machine: one file, shared by the functions' processes."""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from .. import deadlines
from .protocol import (
    RETENTION,
    AlreadyDone,
    Busy,
    Claimed,
    Conflict,
    LedgerError,
    ProfileState,
    Record,
    Take,
    Token,
    decide,
    hashed,
)
from .tombstones import TOMBSTONE_RETENTION, Tombstone

_CLAIMS_BETWEEN_SWEEPS = 10_000
# NORMAL: a crash of a process loses nothing, a power cut may lose the last moments; a disk flush for each claim would
# cost two thirds of the throughput. What is deleted is overwritten: a deletion may be somebody's wish.
_SETTINGS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;"
# `profiles` held states without versions, which a file of version 0.1 may have.
_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL, lease_until REAL NOT NULL,
    result TEXT NOT NULL, token TEXT NOT NULL, expires_at REAL NOT NULL, unknowns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_by_expiry ON claims (expires_at);
CREATE TABLE IF NOT EXISTS profile_states (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, token TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (
    mark TEXT PRIMARY KEY, person TEXT NOT NULL, forgotten_at REAL NOT NULL, written_at REAL NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tombstones_by_time ON tombstones (written_at);
CREATE TABLE IF NOT EXISTS receipts (person TEXT PRIMARY KEY, receipt TEXT NOT NULL);
DROP TABLE IF EXISTS profiles;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class _Step[T]:
    """One caller's part of a transaction."""

    work: Callable[[sqlite3.Connection], T]
    result: "asyncio.Future[T]"


class SQLiteLedger:
    """A ``Ledger``, ``ProfileStates`` and ``Tombstones`` in a file.

    Args:
        path: Path of the file. It is created if missing; its directory is not.
        now: Clock; given by tests.
    """

    def __init__(self, path: Path | str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now
        # One thread, because a connection of sqlite3 belongs to its thread, and the file has one writer anyway.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[_Step[Any]] = []
        self._transaction: asyncio.Future[list[Any]] | None = None
        self._claims = 0

    async def claim(self, key: str, fingerprint: str, lease_seconds: float) -> Claimed | AlreadyDone | Busy | Conflict:
        return await self._run(lambda db: self._claim(db, hashed(key), fingerprint, lease_seconds))

    async def finish(self, claim: Claimed, result: str) -> None:
        await self._change(
            "UPDATE claims SET state = 'done', result = ? WHERE key = ? AND fingerprint = ? AND state <> 'done'",
            result,
            claim.key,
            claim.token.fingerprint,
        )

    async def release(self, claim: Claimed) -> None:
        await self._change(
            "DELETE FROM claims WHERE key = ? AND token = ? AND state = 'claimed'", claim.key, claim.token.proof
        )

    async def unknown(self, claim: Claimed, *, counted: bool = False) -> None:
        await self._change(
            "UPDATE claims SET state = 'unknown', unknowns = ? WHERE key = ? AND token = ? AND state = 'claimed'",
            claim.unknowns + counted,
            claim.key,
            claim.token.proof,
        )

    async def state(self, key: str) -> ProfileState | None:
        query = "SELECT state, token FROM profile_states WHERE key = ?"
        row = await self._run(lambda db: db.execute(query, (hashed(key),)).fetchone())
        return None if row is None else ProfileState(*row)

    async def remember(self, key: str, text: str, previous: ProfileState | None) -> ProfileState | None:
        token = uuid.uuid4().hex
        if previous is None:
            statement = "INSERT OR IGNORE INTO profile_states (state, token, key) VALUES (?, ?, ?)"
            values: tuple[object, ...] = (text, token, hashed(key))
        else:
            statement = "UPDATE profile_states SET state = ?, token = ? WHERE key = ? AND token = ?"
            values = (text, token, hashed(key), previous.token)
        is_written = await self._run(lambda db: db.execute(statement, values).rowcount == 1)
        return ProfileState(text, token) if is_written else None

    async def bury(self, person: str, marks: Iterable[str], forgotten_at: datetime) -> None:
        now = self._now()
        expires_at = (now + TOMBSTONE_RETENTION).timestamp()
        rows = [(mark, person, forgotten_at.timestamp(), now.timestamp(), expires_at) for mark in marks]

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM tombstones WHERE expires_at < ?", (now.timestamp(),))
            db.executemany("INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?)", rows)

        await self._run(write)

    async def written_since(self, moment: datetime | None, limit: int) -> Sequence[tuple[str, datetime]]:
        query = (
            "SELECT mark, written_at FROM tombstones WHERE written_at >= ? AND expires_at > ? "
            "ORDER BY written_at DESC LIMIT ?"
        )
        values = (moment.timestamp() if moment else 0.0, self._now().timestamp(), limit)
        rows = await self._run(lambda db: db.execute(query, values).fetchall())
        return [(mark, datetime.fromtimestamp(written_at, UTC)) for mark, written_at in rows]

    async def find(self, mark: str) -> Tombstone | None:
        query, values = (
            "SELECT person, forgotten_at FROM tombstones WHERE mark = ? AND expires_at > ?",
            (mark, self._now().timestamp()),
        )
        row = await self._run(lambda db: db.execute(query, values).fetchone())
        return None if row is None else Tombstone(row[0], datetime.fromtimestamp(row[1], UTC))

    async def restore(self, person: str) -> None:
        await self._run(lambda db: db.execute("DELETE FROM tombstones WHERE person = ?", (person,)).close())

    async def keep_receipt(self, person: str, text: str) -> None:
        statement = "INSERT INTO receipts VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET receipt = excluded.receipt"
        await self._run(lambda db: db.execute(statement, (person, text)).close())

    async def receipts(self) -> Sequence[str]:
        rows = await self._run(lambda db: db.execute("SELECT receipt FROM receipts ORDER BY rowid").fetchall())
        return [text for (text,) in rows]

    async def receipt(self, person: str) -> str | None:
        query = "SELECT receipt FROM receipts WHERE person = ?"
        row = await self._run(lambda db: db.execute(query, (person,)).fetchone())
        return None if row is None else str(row[0])

    async def erase(self, claims: Sequence[str], states: Sequence[str], *, dry_run: bool = False) -> tuple[int, int]:
        def count_or_delete(db: sqlite3.Connection) -> tuple[int, int]:
            counts = [
                _erase(db, table, keys, dry_run) for table, keys in (("claims", claims), ("profile_states", states))
            ]
            return counts[0], counts[1]

        erased = await self._run(count_or_delete)
        if not dry_run:
            # Deleted rows are overwritten in the file. The log beside it still has them until it is truncated.
            truncate = "PRAGMA wal_checkpoint(TRUNCATE)"
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, lambda: self._open().execute(truncate).close())
        return erased

    def close(self) -> None:
        """Close the file; for tests and tools, a function's process just ends."""
        if self._connection is not None:
            self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    async def _change(self, statement: str, *values: object) -> None:
        await self._run(lambda db: db.execute(statement, values).close())

    async def _run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do one step of a transaction, shared with all that come while the one before is written: commits cost most.

        Raises:
            LedgerError: if the transaction failed. Nothing of it was written then.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Step(work, result))
        if self._transaction is None:
            self._begin()
        try:
            return await result
        except sqlite3.Error as error:
            reason = getattr(error, "sqlite_errorname", type(error).__name__)
            raise LedgerError(f"the ledger did not answer: {reason}") from None

    def _begin(self) -> None:
        steps, self._waiting = self._waiting, []
        self._transaction = asyncio.get_running_loop().run_in_executor(self._thread, self._transact, steps)
        self._transaction.add_done_callback(partial(self._ended, steps))

    def _transact(self, steps: "Sequence[_Step[Any]]") -> list[Any]:
        db = self._open()
        # Immediate: of two that read first and write then, one would fail when it comes to writing.
        db.execute("BEGIN IMMEDIATE")
        with db:
            return [step.work(db) for step in steps]

    def _ended(self, steps: "Sequence[_Step[Any]]", transaction: asyncio.Future[list[Any]]) -> None:
        self._transaction = None
        if self._waiting:
            self._begin()
        for number, step in enumerate(steps):
            if step.result.done():
                continue  # its caller went away
            if transaction.cancelled():
                step.result.cancel()
            elif error := transaction.exception():
                step.result.set_exception(error)
            else:
                step.result.set_result(transaction.result()[number])

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=deadlines.LEDGER_CALL_SECONDS, isolation_level=None)
            try:
                _set_up(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _claim(
        self, db: sqlite3.Connection, key: str, fingerprint: str, lease_seconds: float
    ) -> Claimed | AlreadyDone | Busy | Conflict:
        # Read only now, because waiting for the file may have taken a while.
        now = self._now()
        self._sweep(db, now)
        found = decide(_read(db, key), fingerprint, now)
        if not isinstance(found, Take):
            return found
        token = Token(uuid.uuid4().hex, fingerprint)
        lease_until, expires_at = now + timedelta(seconds=lease_seconds), now + RETENTION
        db.execute(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, 'claimed', ?, '', ?, ?, ?)",
            (key, fingerprint, lease_until.timestamp(), token.proof, expires_at.timestamp(), found.unknowns),
        )
        return Claimed(key, token, found.retaken, found.unknowns)

    def _sweep(self, db: sqlite3.Connection, now: datetime) -> None:
        if self._claims % _CLAIMS_BETWEEN_SWEEPS == 0:
            db.execute("DELETE FROM claims WHERE expires_at < ?", (now.timestamp(),))
        self._claims += 1


def _set_up(connection: sqlite3.Connection) -> None:
    """Make the tables. The switch to WAL does not wait for another process that is making it: it is tried again."""
    deadline = time.monotonic() + deadlines.LEDGER_CALL_SECONDS
    while True:
        try:
            connection.executescript(_SETTINGS + _TABLES)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(deadlines.SQLITE_SWITCH_SECONDS)
        else:
            return


def _read(db: sqlite3.Connection, key: str) -> Record | None:
    query = "SELECT fingerprint, state, lease_until, result, unknowns FROM claims WHERE key = ?"
    with closing(db.execute(query, (key,))) as rows:
        row = rows.fetchone()
    return None if row is None else Record(row[0], row[1], datetime.fromtimestamp(row[2], UTC), row[3], row[4])


def _erase(db: sqlite3.Connection, table: str, keys: Sequence[str], dry_run: bool) -> int:
    count = 0
    for key in keys:
        # The table is a word of ours.
        if dry_run:
            count += db.execute(f"SELECT COUNT(*) FROM {table} WHERE key = ?", (key,)).fetchone()[0]  # noqa: S608
        else:
            count += db.execute(f"DELETE FROM {table} WHERE key = ?", (key,)).rowcount  # noqa: S608
    return count
