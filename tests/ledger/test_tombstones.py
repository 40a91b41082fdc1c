"""What both stores promise of tombstones and receipts."""

import uuid
from datetime import timedelta
from typing import cast

from shared.ledger import TOMBSTONE_RETENTION, Tombstones
from shared.ledger.protocol import hashed
from tests.ledger.ledger_helpers import Store


def opened(store: Store) -> Tombstones:
    return cast("Tombstones", store.open())


async def test_a_tombstone_is_found_listed_and_removed_with_the_others_of_the_person(store: Store) -> None:
    tombstones, person, other = opened(store), uuid.uuid4().hex, uuid.uuid4().hex
    forgotten_at = store.clock() - timedelta(minutes=5)
    await tombstones.bury(person, [person, other], forgotten_at)
    later = uuid.uuid4().hex
    store.clock.advance(timedelta(hours=1))
    await tombstones.bury(later, [later], store.clock())

    found = await opened(store).find(other)
    assert found is not None
    assert (found.person, found.forgotten_at) == (person, forgotten_at)
    assert await tombstones.find("nobody") is None
    listed = [mark for mark, _ in await tombstones.written_since(None, 1000)]
    assert {person, other, later} <= {*listed}
    since = store.clock() - timedelta(minutes=30)
    recent = [mark for mark, _ in await tombstones.written_since(since, 1000)]
    assert later in recent
    assert person not in recent
    assert len(await tombstones.written_since(None, 1)) == 1

    await tombstones.restore(person)
    assert await tombstones.find(person) is None
    assert await tombstones.find(other) is None
    assert await tombstones.find(later) is not None


async def test_a_tombstone_ends(store: Store) -> None:
    tombstones, person = opened(store), uuid.uuid4().hex
    await tombstones.bury(person, [person], store.clock())
    store.clock.advance(TOMBSTONE_RETENTION + timedelta(seconds=1))
    assert await tombstones.find(person) is None


async def test_claims_and_states_are_erased_by_their_hashes(store: Store) -> None:
    ledger, key = store.open(), uuid.uuid4().hex
    await ledger.claim(key, "fingerprint", 1.0)
    await ledger.remember(key, "{}", None)
    keys = [hashed(key), hashed("another")], [hashed(key)]
    assert await opened(store).erase(*keys, dry_run=True) == (1, 1)
    assert await opened(store).erase(*keys) == (1, 1)
    assert await opened(store).erase(*keys) == (0, 0)
    assert await ledger.state(key) is None


async def test_the_latest_receipt_of_a_person_is_kept(store: Store) -> None:
    tombstones, person = opened(store), uuid.uuid4().hex
    assert await tombstones.receipt(person) is None
    for text in ("first", f"second {person}"):
        await tombstones.keep_receipt(person, text)
    assert await opened(store).receipt(person) == f"second {person}"
    assert f"second {person}" in await tombstones.receipts()
