import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from unittest import mock

import grpc
import pytest
import pytest_asyncio
from google.cloud.firestore import AsyncClient

from shared import deadlines
from shared.ledger import RETENTION, AlreadyDone, Busy, Claimed, Conflict, LedgerError, firestore, open_ledger
from shared.ledger.firestore import FirestoreLedger
from tests.ledger.ledger_helpers import LEASE, LEASE_SECONDS, BadLine, Clock, bad_line, claimed, client_of

LOST = grpc.StatusCode.UNAVAILABLE


@dataclass(frozen=True)
class Shaky:
    ledger: FirestoreLedger
    line: BadLine
    clock: Clock


@pytest_asyncio.fixture
async def shaky(firestore_host: str, clock: Clock) -> AsyncIterator[Shaky]:
    """A ledger at the end of a bad line."""
    async with bad_line(firestore_host) as line, client_of(line.address) as client:
        yield Shaky(FirestoreLedger(client, f"ledger-{uuid.uuid4().hex}", now=clock), line, clock)


async def test_documents_say_when_they_may_be_deleted(firestore_client: AsyncClient, clock: Clock) -> None:
    name = f"ledger-{uuid.uuid4().hex}"
    ledger = FirestoreLedger(firestore_client, name, now=clock)
    claim = claimed(await ledger.claim("key", "f", LEASE_SECONDS))
    document = firestore_client.collection(name).document(claim.key)
    expires_at = clock() + RETENTION
    assert (await document.get()).get("expires_at") == expires_at
    await ledger.unknown(claim)
    clock.advance(LEASE)
    claim = claimed(await ledger.claim("key", "f", LEASE_SECONDS))
    await ledger.finish(claim, "result")
    assert (await document.get()).get("expires_at") == expires_at + LEASE


async def test_a_claim_whose_answer_is_lost_is_ours(shaky: Shaky) -> None:
    shaky.line.lose = [LOST]
    claim = claimed(await shaky.ledger.claim("key", "f", LEASE_SECONDS))
    assert not claim.retaken
    await shaky.ledger.release(claim)
    assert not claimed(await shaky.ledger.claim("key", "f", LEASE_SECONDS)).retaken


async def test_a_take_over_whose_answer_is_lost_is_ours_and_retaken(shaky: Shaky) -> None:
    await shaky.ledger.claim("key", "f", LEASE_SECONDS)
    shaky.clock.advance(LEASE)
    # The create is refused as there is something; the answer to the update after it is lost.
    shaky.line.lose = [LOST]
    claim = claimed(await shaky.ledger.claim("key", "f", LEASE_SECONDS))
    assert not shaky.line.lose
    assert claim.retaken
    await shaky.ledger.unknown(claim)
    assert claimed(await shaky.ledger.claim("key", "f", LEASE_SECONDS)).retaken


@pytest.mark.parametrize("end", ["finish", "release", "unknown"])
async def test_an_end_whose_answer_is_lost_took_effect(shaky: Shaky, end: str) -> None:
    claim = claimed(await shaky.ledger.claim("key", "f", LEASE_SECONDS))
    shaky.line.lose = [LOST]
    match end:
        case "finish":
            await shaky.ledger.finish(claim, "result")
        case "release":
            await shaky.ledger.release(claim)
        case "unknown":
            await shaky.ledger.unknown(claim)
    assert not shaky.line.lose
    again = await shaky.ledger.claim("key", "f", LEASE_SECONDS)
    match end:
        case "finish":
            assert again == AlreadyDone("result")
        case "release":
            assert not claimed(again).retaken
        case "unknown":
            assert claimed(again).retaken


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_state_whose_answer_is_lost_was_remembered_and_can_be_changed(shaky: Shaky, *, is_there: bool) -> None:
    key = uuid.uuid4().hex
    before = await shaky.ledger.remember(key, "before", None) if is_there else None
    shaky.line.lose = [LOST]
    written = await shaky.ledger.remember(key, "text", before)
    assert not shaky.line.lose
    assert written is not None
    assert written == await shaky.ledger.state(key)
    assert await shaky.ledger.remember(key, "after", written) is not None


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED])
async def test_what_passes_is_tried_again(shaky: Shaky, status: grpc.StatusCode) -> None:
    shaky.line.refuse = [status]
    assert isinstance(await shaky.ledger.claim("key", "f", LEASE_SECONDS), Claimed)
    shaky.line.refuse = [status, status]
    assert await shaky.ledger.claim("key", "f", LEASE_SECONDS) == Busy(shaky.clock() + LEASE)
    assert await shaky.ledger.claim("key", "other", LEASE_SECONDS) == Conflict()


async def test_a_refusal_is_a_ledger_error_at_once(shaky: Shaky) -> None:
    claim = claimed(await shaky.ledger.claim("person@example.com", "f", LEASE_SECONDS))
    for call in (
        lambda: shaky.ledger.claim("person@example.com", "f", LEASE_SECONDS),
        lambda: shaky.ledger.finish(claim, "result"),
        lambda: shaky.ledger.release(claim),
        lambda: shaky.ledger.unknown(claim),
        lambda: shaky.ledger.state("person@example.com"),
        lambda: shaky.ledger.remember("person@example.com", "deleted", None),
    ):
        shaky.line.refuse = [grpc.StatusCode.PERMISSION_DENIED]
        with pytest.raises(LedgerError, match=r"^the ledger did not answer: PermissionDenied$"):
            await call()
        assert not shaky.line.refuse


async def test_a_silent_server_is_not_waited_for(shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LEDGER_CALL_SECONDS", 0.2)
    shaky.line.silent = True
    with pytest.raises(LedgerError, match=r"^the ledger did not answer: TimeoutError$"):
        await shaky.ledger.claim("key", "f", LEASE_SECONDS)


async def test_a_server_that_stays_away_is_named_by_its_status(shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(firestore._LIMITS, "retry", firestore._RETRY.with_timeout(0.3))
    shaky.line.refuse = [grpc.StatusCode.UNAVAILABLE] * 100
    with pytest.raises(LedgerError, match=r"^the ledger did not answer: ServiceUnavailable$"):
        await shaky.ledger.state("key")


async def test_it_is_opened_by_its_database(firestore_host: str) -> None:
    with mock.patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": firestore_host, "GOOGLE_CLOUD_PROJECT": "demo"}):
        ledger = open_ledger("firestore:cio-ledger")
        assert isinstance(ledger, FirestoreLedger)
        key = uuid.uuid4().hex
        claim = claimed(await ledger.claim(key, "f", LEASE_SECONDS))
        client = AsyncClient(database="cio-ledger")
        assert (await client.collection("ledger").document(claim.key).get()).exists
        other = AsyncClient()
        assert not (await other.collection("ledger").document(claim.key).get()).exists


async def test_missing_credentials_are_a_ledger_error_and_not_before_the_first_call() -> None:
    environment = {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/credentials.json", "GOOGLE_CLOUD_PROJECT": "demo"}
    with mock.patch.dict(os.environ, environment):
        os.environ.pop("FIRESTORE_EMULATOR_HOST", None)
        ledger = open_ledger("firestore:cio-ledger")
        with pytest.raises(LedgerError, match=r"^the ledger did not answer: DefaultCredentialsError$"):
            await ledger.state("key")
