import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from shared import deadlines
from shared.ledger import RETENTION, AlreadyDone, Busy, Claimed, LedgerError, SQLiteLedger, open_ledger, sqlite
from tests.function_process import ROOT
from tests.ledger.ledger_helpers import LEASE_SECONDS, Clock, claimed

_CLAIMER = """
import asyncio, sys
from shared.ledger import Claimed, SQLiteLedger

async def main(path):
    ledger = SQLiteLedger(path)
    print("up", flush=True)
    sys.stdin.readline()
    answers = [await ledger.claim(f"key-{number}", "f", 40.0) for number in range(200)]
    print(sum(isinstance(answer, Claimed) for answer in answers))
    ledger.close()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[SQLiteLedger]:
    with closing(SQLiteLedger(path, now=clock)) as opened:
        yield opened


async def test_processes_share_a_file_that_is_new_to_all_of_them(path: Path) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CLAIMER, str(path)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    async with asyncio.timeout(20):
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"up\n"
        outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert sum(int(output) for output, _ in outputs) == 200


async def test_it_outlives_the_process(path: Path, clock: Clock) -> None:
    with closing(SQLiteLedger(path, now=clock)) as first:
        await first.finish(claimed(await first.claim("key", "f", LEASE_SECONDS)), "result")
    with closing(SQLiteLedger(path, now=clock)) as second:
        assert await second.claim("key", "f", LEASE_SECONDS) == AlreadyDone("result")


async def test_it_is_kept_for_the_retention_and_removed_after_it(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_CLAIMS_BETWEEN_SWEEPS", 1)

    def keys() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM claims").fetchone()[0])

    with closing(SQLiteLedger(path, now=clock)) as ledger:
        for number in range(3):
            await ledger.finish(claimed(await ledger.claim(f"key-{number}", "f", LEASE_SECONDS)), "result")
        clock.advance(RETENTION)
        assert isinstance(await ledger.claim("key-0", "f", LEASE_SECONDS), AlreadyDone)
        assert keys() == 3
        clock.advance(timedelta(seconds=1))
        assert isinstance(await ledger.claim("new", "f", LEASE_SECONDS), Claimed)
        assert keys() == 1


async def test_a_new_claim_of_an_old_record_keeps_it_for_as_long_again(ledger: SQLiteLedger, clock: Clock) -> None:
    await ledger.unknown(claimed(await ledger.claim("key", "f", LEASE_SECONDS)))
    clock.advance(RETENTION - timedelta(days=1))
    await ledger.unknown(claimed(await ledger.claim("key", "f", LEASE_SECONDS)))
    clock.advance(RETENTION - timedelta(days=1))
    ledger._claims = 0  # a sweep is due
    assert claimed(await ledger.claim("key", "f", LEASE_SECONDS)).retaken


async def test_a_file_that_cannot_be_opened_is_a_ledger_error_until_it_can(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    with closing(SQLiteLedger(directory / "ledger.sqlite")) as ledger:
        with pytest.raises(LedgerError, match=r"^the ledger did not answer: SQLITE_CANTOPEN$"):
            await ledger.claim("person@example.com", "f", LEASE_SECONDS)
        directory.mkdir()
        assert isinstance(await ledger.claim("person@example.com", "f", LEASE_SECONDS), Claimed)


async def test_what_comes_while_the_file_is_busy_shares_one_commit(
    ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    set_up = sqlite._set_up

    def traced(connection: sqlite3.Connection) -> None:
        set_up(connection)
        connection.set_trace_callback(statements.append)

    monkeypatch.setattr(sqlite, "_set_up", traced)
    claims = await asyncio.gather(*(ledger.claim(f"key-{number}", "f", LEASE_SECONDS) for number in range(20)))
    assert len({claimed(claim).key for claim in claims}) == 20
    assert statements.count("COMMIT") == 2  # that of the first, and that of all which came meanwhile
    done = [ledger.finish(claimed(claim), f"result-{number}") for number, claim in enumerate(claims)]
    again = await asyncio.gather(*done, *(ledger.claim(f"key-{number}", "f", LEASE_SECONDS) for number in range(20)))
    assert again[20:] == [AlreadyDone(f"result-{number}") for number in range(20)]


async def test_a_transaction_that_fails_fails_for_all_who_share_it_and_for_nobody_after(
    ledger: SQLiteLedger, locked: sqlite3.Connection
) -> None:
    calls = [ledger.claim(f"key-{number}", "f", LEASE_SECONDS) for number in range(5)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(failure) for failure in failures] == [LedgerError] * 5
    locked.execute("ROLLBACK")
    claims = await asyncio.gather(*(ledger.claim(f"key-{number}", "f", LEASE_SECONDS) for number in range(5)))
    assert not any(claimed(claim).retaken for claim in claims)


async def test_a_caller_that_leaves_takes_nobody_along(ledger: SQLiteLedger, locked: sqlite3.Connection) -> None:
    calls = [asyncio.create_task(ledger.claim(f"key-{number}", "f", LEASE_SECONDS)) for number in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    locked.execute("ROLLBACK")
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in found] == [Claimed, asyncio.CancelledError, Claimed]


@pytest.fixture
def no_database(path: Path) -> None:
    path.write_bytes(b"no database" * 100)


@pytest.mark.usefixtures("no_database")
async def test_a_file_that_is_no_database_is_a_ledger_error(ledger: SQLiteLedger) -> None:
    with pytest.raises(LedgerError, match=r"^the ledger did not answer: SQLITE_NOTADB$"):
        await ledger.state("person@example.com")


@pytest.fixture
async def locked(
    path: Path, ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[sqlite3.Connection]:
    monkeypatch.setattr(deadlines, "LEDGER_CALL_SECONDS", 0.1)
    await ledger.state("person")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


async def test_a_file_that_stays_locked_is_a_ledger_error(ledger: SQLiteLedger, locked: sqlite3.Connection) -> None:
    with pytest.raises(LedgerError, match=r"^the ledger did not answer: SQLITE_BUSY$"):
        await ledger.claim("person@example.com", "f", LEASE_SECONDS)
    locked.execute("ROLLBACK")
    claim = claimed(await ledger.claim("person@example.com", "f", LEASE_SECONDS))
    locked.execute("BEGIN IMMEDIATE")
    for change in (ledger.finish(claim, "result"), ledger.release(claim), ledger.unknown(claim)):
        with pytest.raises(LedgerError):
            await change
    locked.execute("ROLLBACK")
    await ledger.finish(claim, "result")
    assert await ledger.claim("person@example.com", "f", LEASE_SECONDS) == AlreadyDone("result")


async def test_a_failed_claim_leaves_nothing_locked(path: Path, ledger: SQLiteLedger) -> None:
    await ledger.state("person")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE claims RENAME TO elsewhere")
        with pytest.raises(LedgerError):
            await ledger.claim("key", "f", LEASE_SECONDS)
        connection.execute("ALTER TABLE elsewhere RENAME TO claims")
    assert isinstance(await ledger.claim("key", "f", LEASE_SECONDS), Claimed)


async def test_a_file_of_the_first_version_is_opened_and_its_states_without_version_are_dropped(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE profiles (person TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID")
        old.execute("INSERT INTO profiles VALUES ('hash', 'suppressed')")
        old.commit()
    with closing(SQLiteLedger(path)) as ledger:
        assert await ledger.remember("person", "text", None) is not None
    with closing(sqlite3.connect(path)) as new:
        tables = {name for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"claims", "profile_states", "tombstones", "receipts"}


async def test_it_is_opened_by_its_path(path: Path) -> None:
    ledger = open_ledger(f"sqlite:{path}")
    assert isinstance(ledger, SQLiteLedger)
    with closing(ledger), closing(SQLiteLedger(path)) as same:
        assert isinstance(await ledger.claim("key", "f", LEASE_SECONDS), Claimed)
        assert isinstance(await same.claim("key", "f", LEASE_SECONDS), Busy)


@pytest.mark.parametrize("spec", ["", "sqlite", "sqlite:", "firestore", "firestore:", "redis:host", "/ledger.sqlite"])
def test_another_place_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"^the ledger must be firestore:DATABASE or sqlite:PATH$"):
        open_ledger(spec)


async def test_google_is_not_imported_for_a_file() -> None:
    code = "import sys; from shared.ledger import open_ledger; open_ledger('sqlite:x'); print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    modules = (await process.communicate())[0].split()
    assert b"shared.ledger.sqlite" in modules
    assert b"google.cloud.firestore" not in modules
