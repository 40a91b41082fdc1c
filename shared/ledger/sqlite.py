"""The ledger of one machine: one file, shared by the functions' processes."""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
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

_CLAIMS_BETWEEN_SWEEPS = 10_000
# NORMAL: a crash of a process loses nothing, a power cut may lose the last moments; a disk flush for each claim would
# cost two thirds of the throughput.
_SETTINGS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
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
DROP TABLE IF EXISTS profiles;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class _Step[T]:
    """One caller's part of a transaction."""

    work: Callable[[sqlite3.Connection], T]
    result: "asyncio.Future[T]"


class SQLiteLedger:
    """A ``Ledger`` and ``ProfileStates`` in a file.

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
