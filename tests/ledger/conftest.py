import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import pytest_asyncio
from google.cloud.firestore import AsyncClient

from shared.ledger import SQLiteLedger
from shared.ledger.firestore import FirestoreLedger
from tests.ledger.ledger_helpers import (
    Clock,
    LedgerAndStates,
    Store,
    client_of,
    emulator_process,
    emulator_script,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(scope="session")
async def firestore_host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Google's emulator: the one that is running, or one of our own."""
    if host := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield host
        return
    script = emulator_script()
    if script is None:
        pytest.skip("Google's Firestore emulator is not installed: gcloud components install cloud-firestore-emulator")
    if shutil.which("java") is None:
        pytest.skip("Google's Firestore emulator needs Java, and there is none on PATH")
    async with emulator_process(script, tmp_path_factory.mktemp("firestore") / "log") as host:
        yield host


@pytest_asyncio.fixture(scope="session")
async def firestore_client(firestore_host: str) -> AsyncIterator[AsyncClient]:
    async with client_of(firestore_host) as client:
        yield client


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with ExitStack() as opened:

        def new() -> LedgerAndStates:
            return opened.enter_context(closing(SQLiteLedger(tmp_path / "ledger.sqlite", now=clock)))

        def read() -> str:
            return "".join(file.read_bytes().decode("latin-1") for file in tmp_path.iterdir())

        async def contents() -> str:
            return await asyncio.to_thread(read)

        yield Store(clock, new, contents)


@pytest.fixture
def firestore_store(firestore_client: AsyncClient, clock: Clock) -> Store:
    names = [f"{kind}-{uuid.uuid4().hex}" for kind in ("ledger", "profiles")]

    def new() -> LedgerAndStates:
        return FirestoreLedger(firestore_client, names[0], now=clock, profiles=names[1])

    async def contents() -> str:
        found = [document for name in names async for document in firestore_client.collection(name).stream()]
        return "".join(f"{document.id}{document.to_dict()}" for document in found)

    return Store(clock, new, contents)


@pytest.fixture(params=["sqlite", "firestore"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each kind of store in turn: what holds for one has to hold for the other."""
    chosen: Store = request.getfixturevalue(f"{request.param}_store")
    return chosen


@pytest.fixture
def ledger(store: Store) -> LedgerAndStates:
    return store.open()
