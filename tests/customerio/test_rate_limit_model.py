"""What the token bucket may hand out and when, whoever comes, goes, pauses or ends, in virtual time."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.customerio.errors import RateLimitedError
from shared.customerio.rate_limit import Places, TokenBucket
from shared.deadlines import RATE_BURST_SECONDS
from tests.virtual_time import run

RATE = 20.0
PLACES = 4
ROUND = 1e-6


@dataclass(eq=False)
class Taker:
    number: int
    bulk: bool
    deadline: float
    task: "asyncio.Task[None]"
    served_at: float | None = None


ARRIVES = st.tuples(st.just("arrives"), st.booleans(), st.sampled_from([0.01, 0.3, 5.0]))
ENDS = st.tuples(st.just("ends"), st.booleans(), st.integers(0, 9))
LEAVES = st.tuples(st.just("leaves"), st.booleans(), st.integers(0, 9))
PASSES = st.tuples(st.just("passes"), st.booleans(), st.sampled_from([0.001, 0.04, 0.2, 1.0]))
PAUSES = st.tuples(st.just("pauses"), st.booleans(), st.sampled_from([0.1, 0.7]))


class Model:
    """Plays steps against a bucket, and checks after each what must hold."""

    def __init__(self) -> None:
        self.bucket = TokenBucket(RATE, places=Places(lambda: PLACES))
        self.takers: list[Taker] = []
        self.holders: list[Taker] = []
        self.served: list[Taker] = []
        self.quiet_until = 0.0

    async def play(self, step: tuple[str, bool, float]) -> None:
        what, flag, value = step
        now = asyncio.get_running_loop().time()
        waiting = self.waiting()
        match what:
            case "arrives":
                self.arrives(bulk=flag, deadline=now + value)
            case "ends" if self.holders:
                holder = self.holders.pop(int(value) % len(self.holders))
                if flag:
                    self.bucket.give_back()  # its token was not used
                    self.served.remove(holder)
                self.bucket.free_place(bulk=holder.bulk)
            case "leaves" if waiting:
                waiting[int(value) % len(waiting)].task.cancel()
            case "pauses":
                self.bucket.pause(value)
                self.quiet_until = max(self.quiet_until, now + value)
            case "passes":
                await asyncio.sleep(value)
        for _ in range(6):
            await asyncio.sleep(0)
        self.check()

    def arrives(self, *, bulk: bool, deadline: float) -> None:
        async def take() -> None:
            await self.bucket.take(deadline=deadline, bulk=bulk)
            taker.served_at = asyncio.get_running_loop().time()
            assert taker.served_at >= self.quiet_until - ROUND, "served during a pause"
            ahead = [other for other in self.waiting() if other.number < taker.number and other.bulk == bulk]
            assert not ahead, "overtook one of its own class"
            self.holders.append(taker)
            self.served.append(taker)

        taker = Taker(len(self.takers), bulk, deadline, asyncio.get_running_loop().create_task(take()))
        self.takers.append(taker)

    def waiting(self) -> list[Taker]:
        return [taker for taker in self.takers if not taker.task.done() and not taker.task.cancelling()]

    def check(self) -> None:
        now = asyncio.get_running_loop().time()
        for taker in self.takers:
            if taker.task.done() and not taker.task.cancelled() and taker.task.exception() is not None:
                assert isinstance(taker.task.exception(), RateLimitedError), taker.task.exception()
        waiting = self.waiting()
        assert len(self.holders) <= PLACES
        assert sum(holder.bulk for holder in self.holders) <= PLACES // 2
        assert self.bucket.waiting == len(waiting)
        assert self.bucket.waiting_bulk == sum(taker.bulk for taker in waiting)
        assert all(taker.deadline > now - ROUND for taker in waiting), "waits beyond its deadline"
        times = sorted(taker.served_at for taker in self.served if taker.served_at is not None)
        for first in range(len(times)):
            for last in range(first, len(times)):
                allowed = (times[last] - times[first] + RATE_BURST_SECONDS) * RATE + 1 + ROUND
                assert last - first + 1 <= allowed, "more than the rate"


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(ARRIVES | ARRIVES | ENDS | LEAVES | PASSES | PAUSES, max_size=40))
def test_the_bucket_keeps_its_promises(steps: list[tuple[str, bool, float]]) -> None:
    async def main() -> None:
        model = Model()
        for step in steps:
            await model.play(step)
        # Nobody is forgotten: with places free and time enough, all who wait are served or told.
        for _ in range(200):
            while model.holders:
                await model.play(("ends", False, 0))
            await model.play(("passes", False, 1.0))
            if not model.waiting():
                return
        raise AssertionError("somebody waits for ever")

    run(main())


def test_an_urgent_taker_that_comes_later_is_served_before_bulk_ones_that_wait() -> None:
    async def main() -> list[str]:
        bucket = TokenBucket(RATE, places=Places(lambda: PLACES))
        order: list[str] = []

        async def take(name: str, *, bulk: bool) -> None:
            await bucket.take(bulk=bulk)
            order.append(name)
            bucket.free_place(bulk=bulk)

        await bucket.take()
        bucket.free_place(bulk=False)
        bucket.pause(1.0)
        names = [("b0", True), ("b1", True), ("u0", False), ("b2", True), ("u1", False)]
        await asyncio.gather(*(take(name, bulk=bulk) for name, bulk in names))
        return order

    assert run(main()) == ["u0", "u1", "b0", "b1", "b2"]
