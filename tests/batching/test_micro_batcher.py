"""A model of what the batcher may send and when, played against it by Hypothesis in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.batching import BacklogFullError, BatchLimits, Entry, MicroBatcher, NotSentError, ResultLateError
from tests.virtual_time import VirtualTimeLoop, run

LIMITS = BatchLimits(
    max_bytes=100,
    max_items=6,
    max_in_flight=3,
    max_waiting_items=12,
    max_waiting_bytes=300,
    interval=0.02,
    min_seconds=1.0,
)
ROUND = 1e-6


class RefusalError(Exception):
    pass


@dataclass(eq=False)
class Item:
    number: int
    size: int
    keys: tuple[str, ...]
    exclusive: bool
    deadline: float | None
    call: "asyncio.Task[None] | None" = None


@dataclass(eq=False)
class Batch:
    items: list[Item]
    entries: Sequence[Entry[Item]]
    ended: "asyncio.Future[None]"


class BatcherModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.allowed = LIMITS.max_in_flight
        self.batcher = MicroBatcher(self.send, LIMITS, max_in_flight=lambda: self.allowed)
        self.waiting: list[Item] = []
        self.in_flight: list[Batch] = []
        self.sent: list[Item] = []
        self.sent_at = float("-inf")
        self.made = 0
        self.problems: list[str] = []

    @initialize(allowed=st.sampled_from([1, 3]))
    def places(self, allowed: int) -> None:
        self.allowed = allowed

    def teardown(self) -> None:
        for item in (*self.waiting, *self.sent):
            if item.call is not None:
                item.call.cancel()
        self.waiting = []
        for batch in self.in_flight:
            batch.ended.set_result(None)
        try:
            self.settle()
        finally:
            self.loop.close()

    def settle(self, seconds: float = 0.0) -> None:
        async def idle() -> None:
            if seconds:
                await asyncio.sleep(seconds)
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())
        assert not self.problems, self.problems
        self.notice_given_back()

    def notice_given_back(self) -> None:
        for item in list(self.waiting):
            if item.call is not None and item.call.done():
                assert isinstance(item.call.exception(), NotSentError)
                assert item.deadline is not None
                assert item.deadline <= self.loop.time() + LIMITS.min_seconds
                self.waiting.remove(item)

    # What the batcher calls.

    async def send(self, entries: Sequence[Entry[Item]]) -> None:
        items = [entry.item for entry in entries]
        try:
            self.check_batch(items)
        except AssertionError as error:
            self.problems.append(str(error) or "a batch that may not be sent")
        batch = Batch(items, entries, self.loop.create_future())
        self.in_flight.append(batch)
        self.waiting = [item for item in self.waiting if item not in items]
        self.sent += items
        self.sent_at = self.loop.time()
        await batch.ended

    def check_batch(self, items: list[Item]) -> None:
        now = self.loop.time()
        is_full = len(self.waiting) >= LIMITS.max_items or sum(i.size for i in self.waiting) >= LIMITS.max_bytes
        assert is_full or now >= self.sent_at + LIMITS.interval - ROUND, "sent before the interval was over"
        assert len(self.in_flight) < self.allowed, "too many requests in flight"
        assert items == self.expected_batch(), "not the batch that was due"
        assert all(item.call is not None and not item.call.done() for item in items), "a caller is gone"

    def expected_batch(self) -> list[Item]:
        """The longest run of waiting items, in order, that may travel together now."""
        barred = {key for batch in self.in_flight for item in batch.items for key in item.keys}
        batch: list[Item] = []
        for item in self.waiting:
            if item.deadline is not None and item.deadline < self.loop.time() + LIMITS.min_seconds:
                continue
            company = [other for other in batch if set(other.keys) & set(item.keys)]
            if barred & set(item.keys) or (company and (item.exclusive or any(other.exclusive for other in company))):
                barred |= set(item.keys)
                continue
            size = sum(other.size for other in batch) + item.size
            if batch and (size > LIMITS.max_bytes or len(batch) == LIMITS.max_items):
                break
            batch.append(item)
        return batch

    # What callers, time and the other side do.

    @rule(
        size=st.sampled_from([1, 10, 45, 100, 120]),
        keys=st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(tuple),
        exclusive=st.booleans(),
        seconds=st.none() | st.sampled_from([0.5, 1.01, 1.5, 4.0]),
    )
    def an_item_comes(self, size: int, keys: tuple[str, ...], seconds: float | None, *, exclusive: bool) -> None:
        self.made += 1
        deadline = None if seconds is None else self.loop.time() + seconds
        item = Item(self.made, size, keys, exclusive, deadline)
        fits = (
            len(self.waiting) < LIMITS.max_waiting_items
            and sum(other.size for other in self.waiting) + size <= LIMITS.max_waiting_bytes
        )

        async def submit() -> None:
            await self.batcher.submit(item, size=size, keys=keys, exclusive=exclusive, deadline=deadline)

        if fits:
            self.waiting.append(item)
        is_lull = self.loop.time() >= self.sent_at + LIMITS.interval + ROUND
        item.call = self.loop.create_task(submit())
        self.settle()
        if is_lull and len(self.in_flight) < self.allowed:
            assert not self.expected_batch(), "the last batch left long ago, and the item is not sent at once"
        if not fits:
            assert isinstance(item.call.exception(), BacklogFullError)

    @rule(which=st.integers(0, 20))
    def a_caller_leaves(self, which: int) -> None:
        if not self.waiting:
            return
        item = self.waiting.pop(which % len(self.waiting))
        assert item.call is not None
        item.call.cancel()
        self.settle()

    @rule(which=st.integers(0, 5), outcome=st.sampled_from(["accepted", "each its own", "refused"]))
    def a_request_ends(self, which: int, outcome: str) -> None:
        if not self.in_flight:
            return
        batch = self.in_flight.pop(which % len(self.in_flight))
        awaited = [item for item in batch.items if item.call is not None and not item.call.done()]
        refusals: dict[int, RefusalError] = {}
        if outcome == "refused":
            refusal = RefusalError()
            refusals = {item.number: refusal for item in batch.items}
            batch.ended.set_exception(refusal)
        else:
            for entry in batch.entries:
                if outcome == "each its own" and entry.item.number % 2:
                    refusals[entry.item.number] = RefusalError()
                entry.settle(refusals.get(entry.item.number))
            batch.ended.set_result(None)
        self.settle()
        for item in awaited:
            assert item.call is not None
            assert item.call.done(), "a caller did not get its result"
            assert item.call.exception() is refusals.get(item.number)

    @rule(seconds=st.sampled_from([0.001, 0.005, 0.03, 0.6, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.settle(seconds)
        now = self.loop.time()
        for item in [*self.waiting, *self.sent]:
            assert item.call is not None
            if item.deadline is not None and item.deadline <= now:
                assert item.call.done(), "a caller waits beyond its deadline"
        for batch in self.in_flight:
            for item in batch.items:
                if item.call is not None and item.call.done() and not item.call.cancelled():
                    assert isinstance(item.call.exception(), ResultLateError)
        if seconds > LIMITS.interval and len(self.in_flight) < self.allowed:
            assert not self.expected_batch(), "something could be sent, and is not"

    @rule(allowed=st.sampled_from([1, 3]))
    def the_other_side_weakens_or_recovers(self, allowed: int) -> None:
        # It recovers when a request succeeds. The batch that ends then sends what waits, so nobody has to be told.
        self.allowed = min(self.allowed, allowed) if self.in_flight else allowed

    @invariant()
    def each_item_is_sent_once_and_in_its_keys_order(self) -> None:
        assert len(set(self.sent)) == len(self.sent)
        for key in "abc":
            numbers = [item.number for item in self.sent if key in item.keys]
            assert numbers == sorted(numbers)


TestBatcherModel = BatcherModel.TestCase
TestBatcherModel.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],  # shrinking a long run takes minutes
)


def test_bytes_that_were_sent_count_no_longer_as_waiting() -> None:
    async def accept(entries: Sequence[Entry[int]]) -> None:
        for entry in entries:
            entry.settle()

    async def main() -> None:
        batcher = MicroBatcher(accept, LIMITS)
        for number in range(20):
            await batcher.submit(number, size=100)

    run(main())


def test_two_exclusive_items_of_one_key_travel_apart_and_the_later_one_waits() -> None:
    batches: list[list[str]] = []

    async def accept(entries: Sequence[Entry[str]]) -> None:
        batches.append([entry.item for entry in entries])
        await asyncio.sleep(1)
        for entry in entries:
            entry.settle()

    async def main() -> None:
        batcher = MicroBatcher(accept, LIMITS)
        await asyncio.gather(
            batcher.submit("identify", size=1, keys=["id:1"], exclusive=True),
            batcher.submit("event", size=1, keys=["id:1"]),
            batcher.submit("another person", size=1, keys=["id:2"]),
        )

    run(main())
    assert batches == [["identify", "another person"], ["event"]]


def test_an_exclusive_item_does_not_join_an_earlier_one_of_its_key() -> None:
    batches: list[list[str]] = []

    async def accept(entries: Sequence[Entry[str]]) -> None:
        batches.append([entry.item for entry in entries])
        for entry in entries:
            entry.settle()

    async def main() -> None:
        batcher = MicroBatcher(accept, LIMITS)
        await asyncio.gather(
            batcher.submit("event", size=1, keys=["id:1"]),
            batcher.submit("identify", size=1, keys=["id:1"], exclusive=True),
        )

    run(main())
    assert batches == [["event"], ["identify"]]


def test_an_item_that_is_left_out_takes_no_room_in_the_batch() -> None:
    batches: list[list[int]] = []

    async def accept(entries: Sequence[Entry[int]]) -> None:
        batches.append([entry.item for entry in entries])
        for entry in entries:
            entry.settle()

    async def main() -> None:
        batcher = MicroBatcher(accept, LIMITS)
        items = [(1, "a"), (2, "a"), (3, "b"), (4, "c")]
        await asyncio.gather(
            *(batcher.submit(number, size=30, keys=[key], exclusive=True) for number, key in items),
        )

    run(main())
    assert batches == [[1, 3, 4], [2]]


@pytest.mark.parametrize("leaves", ["by its deadline", "by its caller"])
def test_an_item_goes_when_the_one_before_it_leaves(leaves: str) -> None:
    ended: asyncio.Event
    sent: list[str] = []

    async def slow(entries: Sequence[Entry[str]]) -> None:
        sent.extend(entry.item for entry in entries)
        await ended.wait()
        for entry in entries:
            entry.settle()

    async def main() -> None:
        nonlocal ended
        ended = asyncio.Event()
        batcher = MicroBatcher(slow, LIMITS)
        in_flight = asyncio.create_task(batcher.submit("in flight", size=100, keys=["c"]))
        await asyncio.sleep(0)
        deadline = asyncio.get_running_loop().time() + 1.5 if leaves == "by its deadline" else None
        between = asyncio.create_task(
            batcher.submit("between", size=1, keys=["c", "a"], exclusive=True, deadline=deadline)
        )
        behind = asyncio.create_task(batcher.submit("behind", size=1, keys=["a"], exclusive=True))
        await asyncio.sleep(0.1)
        assert sent == ["in flight"]
        if leaves == "by its caller":
            between.cancel()
        await asyncio.sleep(0.6)
        assert sent == ["in flight", "behind"]
        ended.set()
        await asyncio.gather(in_flight, between, behind, return_exceptions=True)

    run(main())


def test_a_fault_of_ours_reaches_every_caller() -> None:
    async def broken(_entries: Sequence[Entry[int]]) -> None:
        raise ZeroDivisionError

    async def main() -> list[BaseException | None]:
        batcher = MicroBatcher(broken, LIMITS)
        calls = (batcher.submit(number, size=1) for number in range(3))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in run(main())] == [ZeroDivisionError] * 3


def test_an_item_with_too_little_time_left_is_not_sent() -> None:
    sent: list[int] = []

    async def accept(entries: Sequence[Entry[int]]) -> None:
        sent.extend(entry.item for entry in entries)
        for entry in entries:
            entry.settle()

    async def main() -> None:
        batcher = MicroBatcher(accept, LIMITS)
        await batcher.submit(1, size=1)
        with pytest.raises(NotSentError):  # the interval since the first leaves it less than a second
            await batcher.submit(2, size=1, deadline=asyncio.get_running_loop().time() + 1.004)

    run(main())
    assert sent == [1]


def test_a_lone_item_leaves_at_once_and_what_comes_within_the_interval_leaves_together() -> None:
    sent: list[tuple[float, list[int]]] = []

    async def accept(entries: Sequence[Entry[int]]) -> None:
        sent.append((asyncio.get_running_loop().time() - began, [entry.item for entry in entries]))
        await asyncio.sleep(1)
        for entry in entries:
            entry.settle()

    async def main() -> None:
        nonlocal began
        began = asyncio.get_running_loop().time()
        batcher = MicroBatcher(accept, LIMITS)
        calls = []
        for number in range(4):
            calls.append(asyncio.create_task(batcher.submit(number, size=1)))
            await asyncio.sleep(0.005)
        await asyncio.gather(*calls)

    began = 0.0
    run(main())
    assert [items for _, items in sent] == [[0], [1, 2, 3]]
    assert [when for when, _ in sent] == pytest.approx([0, LIMITS.interval], abs=ROUND)
