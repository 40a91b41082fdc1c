"""The drain of lane bulk in virtual time, over a lane that a test fills, and whose jobs it lets through or not."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared import deadlines
from shared.lifetime import Lifetime
from shared.outcome import Done, Failed, Outcome, Retry
from shared.pubsub.drain import Drain, Rung, Settled
from shared.pubsub.message import PushMessage
from shared.pubsub.pull import PullError, Received
from shared.telemetry import Telemetry
from tests.pubsub.drain_helpers import Bell, Lane, now
from tests.virtual_time import run

SUSPENDED = Retry(status=503, reason="breaker_open", is_outage=True)
WRONG_KEY = Retry(status=503, reason="credentials_refused", needs_operator=True, requested=True)
TIMED_OUT = Retry(status=503, reason="timeout", is_outage=True, is_unknown=True, requested=True)
NO_TOKEN = Retry(status=429, reason="rate_limited")
REJECTED = Failed(error_class="rejected", reason="rejected")


class Account:
    """Settles jobs at a rate; each call takes a while."""

    def __init__(self, per_second: float = 95.0, call: float = 0.2) -> None:
        self.interval = 1 / per_second
        self.call = call
        self.outcome: Callable[[PushMessage], Outcome] = lambda _: Done()
        self.free_at = 0.0
        self.in_hand = 0
        self.most_in_hand = 0
        self.settled: list[str] = []

    async def settle(self, message: PushMessage) -> Settled:
        self.in_hand += 1
        self.most_in_hand = max(self.most_in_hand, self.in_hand)
        try:
            self.free_at = max(self.free_at, now()) + self.interval
            await asyncio.sleep(self.free_at - now() + self.call)
        finally:
            self.in_hand -= 1
        self.settled.append(message.key)
        return Settled(self.outcome(message))


class Around:
    def __init__(self, lane: Lane, account: Account, *, max_in_hand: int = 190) -> None:
        self.lane = lane
        self.account = account
        self.bell: Any = Bell()
        self.lifetime = Lifetime()
        telemetry = Telemetry("send", "send", "p")
        self.drain = Drain(lane, self.bell, telemetry, self.lifetime, max_in_hand=max_in_hand)

    async def ring(self) -> Rung:
        return await self.drain.ring(self.account.settle)

    async def deliver_rings(self) -> list[int]:
        """Answer one push of the bell, and those that it rings in turn, as Pub/Sub pushes them."""
        pushes = [asyncio.create_task(self.ring())]
        while under_way := [push for push in pushes if not push.done()]:
            await asyncio.wait(under_way, timeout=0.05)
            pushes += [asyncio.create_task(self.ring()) for _ in range(1 + len(self.bell.rung) - len(pushes))]
        return [push.result().status for push in pushes]


def test_a_backlog_goes_at_the_accounts_rate_and_never_more_than_two_seconds_of_it_are_in_hand() -> None:
    async def main() -> None:
        around = Around(lane := Lane(5_000), account := Account())
        started = now()
        assert set(await around.deliver_rings()) == {204}
        assert sorted(lane.acknowledged) == sorted(f"j-{n}" for n in range(5_000))
        assert len(account.settled) == 5_000
        assert now() - started - deadlines.EMPTY_PULL_SECONDS < 1.05 * 5_000 / 95
        assert account.most_in_hand <= 190
        assert lane.requests < 5_000 / 2, "acknowledgements travel together"
        assert len(lane.pulls) < 5_000 / 20, "pulls bring many at once"
        assert len(around.bell.rung) > 5, "an operator's pause has to get between two pushes of the bell"

    run(main())


def test_a_bell_with_nothing_waiting_costs_one_pull() -> None:
    async def main() -> None:
        around = Around(lane := Lane(), Account())
        started = now()
        assert (await around.ring()).status == 204
        assert (len(lane.pulls), around.bell.rung) == (1, [])
        assert now() - started == pytest.approx(deadlines.EMPTY_PULL_SECONDS)

    run(main())


def test_a_ring_during_a_drain_is_answered_at_once() -> None:
    async def main() -> None:
        around = Around(lane := Lane(100), Account())
        first = asyncio.create_task(around.ring())
        await asyncio.sleep(0.1)
        started, pulls = now(), len(lane.pulls)
        assert [(await around.ring()).status for _ in range(1_000)] == [204] * 1_000
        assert (now(), len(lane.pulls)) == (started, pulls)
        assert (await first).status == 204
        assert len(lane.acknowledged) == 100

    run(main())


@pytest.mark.parametrize("late", [0.0, 1.0, 1.9])
def test_a_job_that_comes_as_the_drain_ends_is_not_left(late: float) -> None:
    """Its ring is answered by a drain whose last pull is empty, and the job is there a little after its ring."""

    async def main() -> None:
        around = Around(lane := Lane(), Account())
        rings: list[asyncio.Task[Rung]] = []

        def ring() -> None:
            lane.on_empty = lambda: None
            rings.append(asyncio.create_task(around.ring()))
            asyncio.get_running_loop().call_later(late, lane.publish, 1)

        lane.on_empty = ring
        assert (await around.ring()).status == 204
        assert [(await ring).status for ring in rings] == [204]
        await asyncio.sleep(1)
        assert (len(lane.acknowledged), len(lane.waiting)) == (1, 0)

    run(main())


def test_a_ring_while_the_last_pull_waits_makes_it_pull_once_more() -> None:
    async def main() -> None:
        around = Around(lane := Lane(), Account())
        drain = asyncio.create_task(around.ring())
        await asyncio.sleep(deadlines.EMPTY_PULL_SECONDS - 0.1)
        assert (await around.ring()).status == 204
        await asyncio.sleep(0.2)
        lane.publish(1)
        assert (await drain).status == 204
        assert len(lane.acknowledged) == 1

    run(main())


def test_the_next_drain_is_rung_for_before_this_one_is_answered_and_pulls_beside_it() -> None:
    async def main() -> None:
        around = Around(lane := Lane(2_000), account := Account(call=3.0))
        first = asyncio.create_task(around.ring())
        await around.bell.ringing.wait()
        assert not first.done()
        assert account.in_hand > 0
        lane.pulled.clear()
        second = asyncio.create_task(around.ring())
        await lane.pulled.wait()
        assert not first.done(), "jobs of the first are still in hand"
        assert account.most_in_hand <= 190, "both share one hand"
        await asyncio.gather(first, second)

    run(main())


def test_a_bell_that_cannot_be_rung_is_not_acknowledged(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        around = Around(Lane(2_000), Account())
        around.bell.is_down = True
        assert (await around.ring()).status == 503

    run(main())
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["outcome"], line["severity"]) == ("bell_not_rung", "ERROR")


def test_a_storm_of_rings_is_forgotten_and_its_jobs_are_pulled() -> None:
    async def main() -> None:
        around = Around(lane := Lane(300), Account())
        drain = asyncio.create_task(around.ring())
        await asyncio.sleep(0.1)
        for _ in range(40):
            await around.ring()
        await asyncio.sleep(0.5)
        assert lane.forgotten == 0, "a few rings cost less than to forget them"
        for _ in range(300):
            await around.ring()
        await asyncio.sleep(0.5)
        assert lane.forgotten == 1
        assert (await drain).status == 204
        assert len(lane.acknowledged) == 300

    run(main())


def test_after_rings_were_forgotten_the_lane_is_pulled_once_more() -> None:
    """A forgotten ring may stand for a job that is not there yet."""

    async def main() -> None:
        around = Around(lane := Lane(), Account())
        drain = asyncio.create_task(around.ring())
        await asyncio.sleep(0.1)
        for _ in range(60):
            await around.ring()
        assert (await drain).status == 204
        assert (lane.forgotten, len(lane.pulls)) == (1, 2)

    run(main())


def test_rings_that_cannot_be_forgotten_are_told_once_and_only_cost_time(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        around = Around(lane := Lane(900), Account())

        async def refused() -> None:
            lane.forgotten += 1
            raise PullError("seek projects/p/subscriptions/b: PermissionDenied")

        lane.forget_rings = refused  # type: ignore[method-assign]
        drain = asyncio.create_task(around.ring())
        for _ in range(10):
            await asyncio.sleep(0.3)
            for _ in range(60):
                await around.ring()
        assert (await drain).status == 204
        assert lane.forgotten == 1

    run(main())
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["outcome"], line["severity"]) == ("rings_not_forgotten", "WARNING")


@pytest.mark.parametrize("outcome", [SUSPENDED, WRONG_KEY])
def test_an_outage_stops_the_drain_and_gives_back_what_is_in_hand(outcome: Retry) -> None:
    async def main() -> None:
        around = Around(lane := Lane(2_000), account := Account())
        account.outcome = lambda _: Done() if len(account.settled) < 300 else outcome
        answer = await around.ring()
        assert answer.status == 503
        assert around.bell.rung == []
        assert not lane.leased, "nothing waits for its ack deadline"
        assert len(lane.acknowledged) == 299
        assert 1 <= len(lane.given_back) <= 190
        assert len(lane.waiting) == 2_000 - 299 - len(lane.given_back), "the rest spends no attempt"

    run(main())


@pytest.mark.parametrize("outcome", [SUSPENDED, WRONG_KEY])
def test_one_answer_that_is_about_all_jobs_is_enough(outcome: Retry) -> None:
    async def main() -> None:
        around = Around(lane := Lane(2_000), account := Account())
        account.outcome = lambda message: outcome if message.key == "j-50" else Done()
        assert (await around.ring()).status == 503
        assert lane.given_back == ["j-50"]
        assert len(lane.waiting) > 1_600

    run(main())


def test_an_outage_that_shows_after_the_last_pull_refuses_the_bell_all_the_same() -> None:
    async def main() -> None:
        around = Around(lane := Lane(5), account := Account(call=deadlines.EMPTY_PULL_SECONDS + 1))
        account.outcome = lambda _: SUSPENDED
        assert (await around.ring()).status == 503
        assert len(lane.given_back) == 5

    run(main())


def test_jobs_that_are_given_back_make_no_room_for_more() -> None:
    async def main() -> None:
        around = Around(Lane(5_000), account := Account())
        account.outcome = lambda _: Done() if len(account.settled) % 9 == 0 else NO_TOKEN
        await around.ring()
        assert account.most_in_hand <= 60

    run(main())


@pytest.mark.parametrize("outcome", [TIMED_OUT, NO_TOKEN, None])
def test_one_job_that_cannot_be_settled_does_not_stop_the_others_and_ten_in_a_row_do(outcome: Retry | None) -> None:
    async def main() -> None:
        around = Around(lane := Lane(200), account := Account())
        account.outcome = lambda message: outcome if message.key.endswith("7") else Done()  # type: ignore[return-value, unused-ignore]
        assert (await around.ring()).status == 204
        assert (len(lane.acknowledged), len(lane.given_back)) == (180, 20)

        lane.publish(2_000)
        account.outcome = lambda _: outcome  # type: ignore[return-value, unused-ignore]
        assert (await around.ring()).status == 503
        assert len(lane.waiting) > 1_800

    run(main())


def test_a_job_that_fails_for_good_or_moves_on_is_acknowledged() -> None:
    async def main() -> None:
        around = Around(lane := Lane(20), account := Account())
        moved = Retry(status=503, reason="timeout", requested=True, moved=True)
        account.outcome = lambda message: (
            REJECTED if message.key.endswith("1") else moved if len(account.settled) % 5 else Done()
        )
        assert (await around.ring()).status == 204
        assert len(lane.acknowledged) == 20

    run(main())


def test_few_jobs_are_in_hand_while_urgent_ones_use_the_rate() -> None:
    async def main() -> None:
        around = Around(Lane(5_000), account := Account())
        pushes = [asyncio.create_task(around.ring())]
        await asyncio.sleep(4)
        assert account.most_in_hand > 150
        account.interval = 0.2
        for _ in range(60):
            await asyncio.sleep(0.5)
            pushes.append(asyncio.create_task(around.ring()))
        account.most_in_hand = 0
        for _ in range(40):
            await asyncio.sleep(0.5)
            pushes.append(asyncio.create_task(around.ring()))
        assert account.most_in_hand <= 25, "at five a second"
        for push in pushes:
            push.cancel()
        await asyncio.gather(*pushes, return_exceptions=True)

    run(main())


def test_large_jobs_are_bounded_by_their_bytes() -> None:
    async def main() -> None:
        lane = Lane()
        lane.publish(60, size=2_000_000)
        most = 0
        pull = lane.pull

        async def few(count: int, *, deadline: float) -> list[Received]:
            return await pull(min(count, 5), deadline=deadline)  # Pub/Sub's response has 10 MB at most

        lane.pull = few  # type: ignore[method-assign]
        around = Around(lane, account := Account(per_second=10))
        pushes = [asyncio.create_task(around.ring())]
        for _ in range(200):
            await asyncio.sleep(0.1)
            most = max(most, account.in_hand)
            pushes.append(asyncio.create_task(around.ring()))
        await asyncio.gather(*pushes)
        assert len(lane.acknowledged) == 60
        assert most <= 9, "18 MB"

    run(main())


def test_after_sigterm_what_waits_is_given_back_and_what_is_on_the_wire_is_finished() -> None:
    async def main() -> None:
        lane = Lane(500)
        release = asyncio.Event()
        refused = asyncio.Event()
        begun = 0

        async def settle(_: PushMessage) -> Settled:
            nonlocal begun
            begun += 1
            if begun <= 3:  # on the wire
                await release.wait()
                return Settled(Done())
            await refused.wait()  # in the bucket, which refuses all who wait
            return Settled(Retry(status=503, reason="shutting_down"))

        around = Around(lane, Account())
        around.lifetime.on_end(refused.set)
        drain = asyncio.create_task(around.drain.ring(settle))
        await asyncio.sleep(1)
        in_hand = len(lane.leased)
        around.lifetime.end()
        await asyncio.sleep(4 * deadlines.ACK_LINGER_SECONDS)
        assert (len(lane.given_back), len(lane.leased)) == (in_hand - 3, 3)
        assert not drain.done()
        release.set()
        assert (await drain).status == 503
        assert (len(lane.acknowledged), lane.leased, around.bell.rung) == (3, {}, [])

    run(main())


def test_what_a_pull_brings_after_sigterm_is_given_back_unsettled() -> None:
    async def main() -> None:
        around = Around(lane := Lane(), account := Account())
        drain = asyncio.create_task(around.ring())
        await asyncio.sleep(1)
        around.lifetime.end()
        lane.publish(5)
        assert (await drain).status == 503
        assert (account.settled, len(lane.given_back)) == ([], 5)

    run(main())


def test_pubsub_that_does_not_answer_is_an_error_line_and_a_503(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        around = Around(lane := Lane(5), Account())
        lane.error = PullError("pull projects/p/subscriptions/s: PermissionDenied")
        assert (await around.ring()).status == 503
        lane.error = None
        assert (await around.ring()).status == 204
        assert len(lane.acknowledged) == 5

    run(main())
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["outcome"], line["severity"], line["reason"]) == ("not_pulled", "ERROR", "pubsub_unavailable")
    assert "PermissionDenied" in line["message"]


def test_acknowledgements_that_fail_are_told_and_end_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        around = Around(lane := Lane(40), Account())
        error = PullError("acknowledge projects/p/subscriptions/s: Unavailable")
        acknowledge, failures = lane.acknowledge, 0

        async def first_fails(ack_ids: Sequence[str]) -> None:
            nonlocal failures
            failures += 1
            if failures == 1:
                raise error
            await acknowledge(ack_ids)

        lane.acknowledge = first_fails  # type: ignore[method-assign]
        assert (await around.ring()).status == 204
        assert len(lane.leased) + len(lane.acknowledged) == 40
        assert len(lane.leased) >= 1

    run(main())
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["outcome"], line["severity"]) == ("not_acknowledged", "WARNING")


def test_the_publishing_of_outcomes_that_goes_on_is_handed_to_the_caller() -> None:
    async def main() -> None:
        around = Around(Lane(2), Account())
        never, at_once = (asyncio.create_task(asyncio.sleep(seconds)) for seconds in (1_000, 0))
        tasks = [never, at_once]

        async def settle(_: PushMessage) -> Settled:
            return Settled(Done(), tasks.pop())

        assert set((await around.drain.ring(settle)).unconfirmed) == {never}
        never.cancel()

    run(main())


def test_a_drain_that_is_stopped_rings_again_if_its_ring_may_be_forgotten() -> None:
    async def main() -> None:
        around = Around(Lane(900), Account())
        drain = asyncio.create_task(around.ring())
        await asyncio.sleep(0.1)
        for _ in range(60):
            await around.ring()
        await asyncio.sleep(1)
        around.lifetime.end()
        assert (await drain).status == 503
        assert len(around.bell.rung) == 1

    run(main())
