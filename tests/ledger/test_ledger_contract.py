"""What every ledger keeps to, on SQLite and on Google's Firestore emulator."""

import asyncio
import hashlib
from collections import Counter
from datetime import timedelta

import pytest

from shared.ledger import AlreadyDone, Busy, Claimed, Conflict
from tests.ledger.ledger_helpers import LEASE, LEASE_SECONDS, Answer, LedgerAndStates, Store, claimed

ONE, OTHER = (hashlib.sha256(text).hexdigest() for text in (b"one", b"other"))
A_MOMENT = timedelta(milliseconds=1)


async def take(ledger: LedgerAndStates, key: str = "key", fingerprint: str = ONE) -> Answer:
    return await ledger.claim(key, fingerprint, LEASE_SECONDS)


async def overtaken(store: Store) -> tuple[LedgerAndStates, Claimed, Claimed]:
    """A ledger, a holder whose lease ran out, and who took over."""
    ledger = store.open()
    stale = claimed(await take(ledger))
    store.clock.advance(LEASE)
    return ledger, stale, claimed(await take(ledger))


async def test_a_first_claim_is_granted(ledger: LedgerAndStates) -> None:
    assert not claimed(await take(ledger)).retaken


async def test_of_fifty_at_once_one_gets_it(store: Store) -> None:
    ledgers = [store.open(), store.open()]
    answers = await asyncio.gather(*(take(ledgers[number % 2]) for number in range(50)))
    assert Counter(type(answer) for answer in answers) == {Claimed: 1, Busy: 49}


async def test_of_fifty_at_once_one_takes_over(store: Store) -> None:
    ledgers = [store.open(), store.open()]
    await take(ledgers[0])
    store.clock.advance(LEASE)
    answers = await asyncio.gather(*(take(ledgers[number % 2]) for number in range(50)))
    assert Counter(type(answer) for answer in answers) == {Claimed: 1, Busy: 49}
    assert [answer.retaken for answer in answers if isinstance(answer, Claimed)] == [True]


async def test_another_is_told_when_the_lease_ends(store: Store) -> None:
    await take(store.open())
    assert await take(store.open()) == Busy(store.clock() + LEASE)


async def test_what_is_done_stays_done_and_its_result_is_kept(store: Store) -> None:
    ledger = store.open()
    await ledger.finish(claimed(await take(ledger)), "RPILAgUBcRhIBqSp7kiPekGBIeVh")
    store.clock.advance(timedelta(days=44))
    assert await take(store.open()) == AlreadyDone("RPILAgUBcRhIBqSp7kiPekGBIeVh")


@pytest.mark.parametrize("end", ["held", "expired", "unknown", "done"])
async def test_a_key_is_for_one_fingerprint(store: Store, end: str) -> None:
    ledger = store.open()
    claim = claimed(await take(ledger))
    match end:
        case "expired":
            store.clock.advance(LEASE)
        case "unknown":
            await ledger.unknown(claim)
        case "done":
            await ledger.finish(claim, "result")
    assert await take(ledger, fingerprint=OTHER) == Conflict()


async def test_a_claim_is_taken_over_when_its_lease_ends_and_no_sooner(store: Store) -> None:
    ledger = store.open()
    first = claimed(await take(ledger))
    store.clock.advance(LEASE - A_MOMENT)
    assert isinstance(await take(ledger), Busy)
    store.clock.advance(A_MOMENT)
    second = claimed(await take(ledger))
    assert second.retaken
    assert second.token != first.token
    assert await take(ledger) == Busy(store.clock() + LEASE)


async def test_what_was_released_starts_afresh(ledger: LedgerAndStates) -> None:
    await ledger.release(claimed(await take(ledger)))
    assert not claimed(await take(ledger, fingerprint=OTHER)).retaken


async def test_what_is_unknown_is_retaken_at_once(ledger: LedgerAndStates) -> None:
    await ledger.unknown(claimed(await take(ledger)))
    again = claimed(await take(ledger))
    assert again.retaken
    assert isinstance(await take(ledger), Busy)


async def test_a_retaken_claim_can_be_finished_released_or_unknown(ledger: LedgerAndStates) -> None:
    await ledger.unknown(claimed(await take(ledger)))
    await ledger.unknown(claimed(await take(ledger)))
    await ledger.release(claimed(await take(ledger)))
    await ledger.unknown(claimed(await take(ledger)))
    await ledger.finish(claimed(await take(ledger)), "result")
    assert await take(ledger) == AlreadyDone("result")


async def test_a_late_holder_keeps_its_claim_until_another_takes_over(store: Store) -> None:
    ledger = store.open()
    late = [claimed(await take(ledger, key)) for key in ("finished", "released", "unknown")]
    store.clock.advance(LEASE * 2)
    await ledger.finish(late[0], "result")
    await ledger.release(late[1])
    await ledger.unknown(late[2])
    assert await take(ledger, "finished") == AlreadyDone("result")
    assert not claimed(await take(ledger, "released")).retaken
    assert claimed(await take(ledger, "unknown")).retaken


@pytest.mark.parametrize("end", ["release", "unknown"])
async def test_one_who_was_taken_over_cannot_let_go(store: Store, end: str) -> None:
    ledger, stale, _ = await overtaken(store)
    await getattr(ledger, end)(stale)
    assert await take(ledger) == Busy(store.clock() + LEASE)


async def test_one_who_was_taken_over_and_did_it_after_all_finishes_it(store: Store) -> None:
    ledger, stale, _ = await overtaken(store)
    await ledger.finish(stale, "late")
    assert await take(ledger) == AlreadyDone("late")


@pytest.mark.parametrize("end", ["release", "unknown"])
async def test_who_took_over_cannot_undo_that(store: Store, end: str) -> None:
    ledger, stale, successor = await overtaken(store)
    await ledger.finish(stale, "late")
    await getattr(ledger, end)(successor)
    assert await take(ledger) == AlreadyDone("late")


async def test_one_who_was_taken_over_settles_what_its_successor_left_unknown(store: Store) -> None:
    ledger, stale, successor = await overtaken(store)
    await ledger.unknown(successor)
    await ledger.finish(stale, "late")
    assert await take(ledger) == AlreadyDone("late")


@pytest.mark.parametrize("successor_first", [True, False])
async def test_the_first_result_stays(store: Store, *, successor_first: bool) -> None:
    ledger, stale, successor = await overtaken(store)
    first, second = (successor, stale) if successor_first else (stale, successor)
    await ledger.finish(first, "first")
    await ledger.finish(second, "second")
    assert await take(ledger) == AlreadyDone("first")


async def test_finishing_what_was_let_go_of_leaves_no_trace(store: Store) -> None:
    ledger, stale, successor = await overtaken(store)
    await ledger.release(successor)
    await ledger.finish(stale, "late")
    assert not claimed(await take(ledger)).retaken


async def test_finishing_does_not_touch_another_fingerprint(store: Store) -> None:
    ledger, stale, successor = await overtaken(store)
    await ledger.release(successor)
    await take(ledger, fingerprint=OTHER)
    await ledger.finish(stale, "late")
    assert await take(ledger, fingerprint=OTHER) == Busy(store.clock() + LEASE)


async def test_a_claim_is_ended_once(ledger: LedgerAndStates) -> None:
    claim = claimed(await take(ledger))
    await ledger.unknown(claim)
    await ledger.release(claim)
    again = claimed(await take(ledger))
    assert again.retaken, "what may have happened was let go of"
    await ledger.finish(again, "result")
    await ledger.release(again)
    await ledger.unknown(again)
    assert await take(ledger) == AlreadyDone("result")


async def test_keys_are_any_text(ledger: LedgerAndStates) -> None:
    keys = ["", " ", "a/b", "a", "..", "__name__", "A", "é", "e\u0301", "\0", "\ud800", "😀", "k" * 5000]
    for key in keys:
        assert isinstance(await take(ledger, key), Claimed), ascii(key)
    for key in keys:
        assert isinstance(await take(ledger, key), Busy), ascii(key)


async def test_no_key_is_stored(store: Store) -> None:
    ledger = store.open()
    await ledger.finish(claimed(await take(ledger, "send:person@example.com")), "result")
    await ledger.remember("person@example.com", "state-1", None)
    contents = await store.contents()
    assert "result" in contents
    assert "state-1" in contents
    assert "example.com" not in contents


async def stored(ledger: LedgerAndStates, key: str = "person") -> str | None:
    found = await ledger.state(key)
    return None if found is None else found.text


async def test_the_last_state_of_a_profile_is_remembered(store: Store) -> None:
    ledger = store.open()
    assert await ledger.state("person") is None
    first = await ledger.remember("person", "suppressed", None)
    await ledger.remember("another", "0f3a", None)
    assert await ledger.remember("person", "deleted", first) is not None
    store.clock.advance(timedelta(days=1000))
    reopened = store.open()
    assert await stored(reopened) == "deleted"
    assert await stored(reopened, "another") == "0f3a"


async def test_a_state_is_changed_by_whoever_read_it_last(store: Store) -> None:
    one, other = store.open(), store.open()
    await one.remember("person", "first", None)
    read = await one.state("person")
    assert read == await other.state("person")
    assert await other.remember("person", "second", read) is not None
    assert await one.remember("person", "lost", read) is None
    assert await stored(one) == "second"


async def test_the_same_text_written_again_is_another_write(ledger: LedgerAndStates) -> None:
    first = await ledger.remember("person", "same", None)
    second = await ledger.remember("person", "same", first)
    assert second is not None
    assert await ledger.remember("person", "lost", first) is None
    assert await ledger.remember("person", "third", second) is not None


async def test_a_state_is_created_once(store: Store) -> None:
    one, other = store.open(), store.open()
    assert await one.remember("person", "first", None) is not None
    assert await other.remember("person", "second", None) is None
    assert await stored(other) == "first"


async def test_a_state_that_is_not_there_is_not_changed(ledger: LedgerAndStates) -> None:
    elsewhere = await ledger.remember("another", "text", None)
    assert await ledger.remember("person", "text", elsewhere) is None
    assert await ledger.state("person") is None


@pytest.mark.parametrize("is_there", [False, True])
async def test_of_twenty_writes_upon_one_reading_one_counts(store: Store, *, is_there: bool) -> None:
    ledgers = [store.open(), store.open()]
    read = await ledgers[0].remember("person", "before", None) if is_there else None
    written = await asyncio.gather(*(ledgers[n % 2].remember("person", f"text-{n}", read) for n in range(20)))
    winners = [state for state in written if state is not None]
    assert len(winners) == 1
    assert await ledgers[0].state("person") == winners[0]


async def test_a_profile_is_no_claim(ledger: LedgerAndStates) -> None:
    await ledger.remember("key", "suppressed", None)
    await ledger.finish(claimed(await take(ledger)), "result")
    assert await stored(ledger, "key") == "suppressed"


async def test_counted_unknown_outcomes_add_up_and_end_with_the_record(ledger: LedgerAndStates) -> None:
    for expected, counted in enumerate((True, True, False)):
        claim = claimed(await take(ledger))
        assert claim.unknowns == expected
        await ledger.unknown(claim, counted=counted)
    again = claimed(await take(ledger))
    assert again.unknowns == 2
    await ledger.release(again)
    assert claimed(await take(ledger)).unknowns == 0
