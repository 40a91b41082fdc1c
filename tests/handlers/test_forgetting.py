"""Somebody is forgotten by a job: nothing that still waits about them is done, until a restore says otherwise."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import deadlines
from shared.forgetting import marks
from shared.ledger import Claimed, LedgerError
from shared.ledger.protocol import hashed
from shared.outcome import Done
from shared.pubsub.message import PushMessage
from shared.receipt import Receipt
from tests.handlers.conftest import Make
from tests.handlers.handler_helpers import PROJECT, Around, Push, lines

USER = {"id": "42", "email": "ada@example.com", "first_name": "Ada"}
FORGET = {"id": "42", "forget": True, "email": "ADA@example.com"}
LATE: list[tuple[str, dict[str, Any]]] = [
    ("identify", {"identifiers": {"id": 42}, "attributes": {"plan": "pro"}}),
    ("identify", {"identifiers": {"email": "Ada@Example.com"}}),
    ("identify", {"action": "merge", "primary": {"id": "7"}, "secondary": {"id": "42"}}),
    ("identify", {"identifiers": {"id": "42"}, "nonsense": True}),  # invalid: it would be a dead letter with its body
    ("track", {"identifiers": {"id": "42"}, "name": "viewed"}),
    ("send", {"transactional_message_id": "1", "identifiers": {"id": "42"}, "to": "ada@example.com"}),
    ("send", {"transactional_message_id": "1", "identifiers": {"email": "ADA@example.com"}, "to": "x@example.com"}),
    ("sync", USER),
    ("sync", {"id": "42", "deleted": True}),
]


def at(second: int) -> str:
    return f"2026-05-01T12:00:{second:02}Z"


@pytest.fixture(autouse=True)
def read_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "TOMBSTONE_READ_SECONDS", 0.0)


def actions(around: Around) -> list[str]:
    return [item["action"] for batch in around.upstream.batches() for item in batch]


async def test_a_user_is_suppressed_and_deleted_and_the_stored_state_goes(around: Around, function: Make) -> None:
    sync = function("sync", unless_forgotten=True)
    assert await sync.push(Push(USER, published=at(1))) == 204
    assert await sync.push(Push(FORGET, published=at(2), message_id="2")) == 204
    assert actions(around) == ["identify", "suppress", "delete"]
    [text] = await around.ledger.receipts()
    receipt = Receipt.decode(text)
    assert receipt.due is not None
    assert receipt.stores.keys() == {"customer.io"}
    assert set(receipt.marks) == marks(PROJECT, ["id:42", "email:ada@example.com"])
    assert await around.ledger.erase([], receipt.states, dry_run=True) == (0, 0)
    assert all(name not in text.lower() for name in ("ada", '"42"'))


@pytest.mark.parametrize(("kind", "body"), LATE)
async def test_a_late_job_is_settled_without_a_trace(
    around: Around, function: Make, kind: str, body: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await function("sync", unless_forgotten=True).push(Push(FORGET, published=at(2))) == 204
    requests = len(around.upstream.bodies)
    capsys.readouterr()
    assert await function(kind, unless_forgotten=True).push(Push(body, message_id="late", published=at(1))) == 204
    assert len(around.upstream.bodies) == requests
    assert around.pubsub.published == []
    [line] = lines(capsys.readouterr().out)
    assert line["outcome"] == "forgotten"
    assert "ada" not in json.dumps(line).lower()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("identify", {"identifiers": {"id": "7"}, "attributes": {"friend": "42"}}),
        ("track", {"identifiers": {"id": "7"}, "name": "viewed", "attributes": {"id": "42"}}),
        ("sync", {"id": "7", "email": "ada@example.com"}),
        # Whoever has the same address may still be written to.
        ("send", {"transactional_message_id": "1", "identifiers": {"id": "7"}, "to": "ada@example.com"}),
    ],
)
async def test_jobs_about_others_are_done(around: Around, function: Make, kind: str, body: dict[str, Any]) -> None:
    assert await function("sync", unless_forgotten=True).push(Push(FORGET)) == 204
    requests = len(around.upstream.bodies)
    assert await function(kind, unless_forgotten=True).push(Push(body, message_id="other")) == 204
    assert len(around.upstream.bodies) == requests + 1


async def test_restore_brings_the_id_back_and_only_if_it_is_newer(around: Around, function: Make) -> None:
    sync, identify = function("sync", unless_forgotten=True), function("identify", unless_forgotten=True)
    assert await sync.push(Push(FORGET, published=at(2))) == 204
    before = len(actions(around))
    assert await sync.push(Push({**USER, "restore": True}, published=at(1), message_id="2")) == 204
    assert actions(around)[before:] == []
    assert await sync.push(Push({**USER, "restore": True}, published=at(3), message_id="3")) == 204
    assert actions(around)[before:] == ["unsuppress", "identify"]
    # Every function knows at once, and by the address too.
    assert await identify.push(Push({"identifiers": {"email": "ada@example.com"}}, message_id="4")) == 204
    assert actions(around)[before:] == ["unsuppress", "identify", "identify"]
    [text] = await around.ledger.receipts()
    assert Receipt.decode(text).restored_at == datetime(2026, 5, 1, 12, 0, 3, tzinfo=UTC)


async def test_a_forget_job_that_comes_again_changes_nothing(around: Around, function: Make) -> None:
    sync = function("sync", unless_forgotten=True)
    for _ in range(2):
        assert await sync.push(Push(FORGET)) == 204
    assert actions(around) == ["suppress", "delete"] * 2
    assert len(await around.ledger.receipts()) == 1


async def test_a_store_that_is_away_holds_jobs_back_until_it_was_read_once(around: Around, function: Make) -> None:
    handled: list[PushMessage] = []

    async def handle(message: PushMessage) -> Done:
        handled.append(message)
        return Done()

    track = function("track", handle=handle, unless_forgotten=True)
    read = around.ledger.written_since

    async def away(_: datetime | None, __: int) -> Any:
        raise LedgerError("away")

    job = Push({"identifiers": {"id": "7"}, "name": "viewed"})
    around.ledger.written_since = away  # type: ignore[method-assign]
    assert await track.push(job) == 503
    around.ledger.written_since = read  # type: ignore[method-assign]
    assert await track.push(job) == 204
    around.ledger.written_since = away  # type: ignore[method-assign]
    assert await track.push(job) == 204
    assert len(handled) == 2


async def test_claims_and_states_are_erased_by_their_hashes(around: Around) -> None:
    assert isinstance(await around.ledger.claim("send:1", "f", 1.0), Claimed)
    await around.ledger.remember("user", "{}", None)
    keys = [hashed("send:1"), hashed("send:2")], [hashed("user")]
    assert await around.ledger.erase(*keys, dry_run=True) == (1, 1)
    assert await around.ledger.erase(*keys) == (1, 1)
    assert await around.ledger.erase(*keys) == (0, 0)
    assert await around.ledger.state("user") is None
