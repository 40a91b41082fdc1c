"""Whatever is delivered late, twice or again after a crash: Customer.io ends with each user's newest record."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import deadlines
from shared.handlers.profile import Apply, Busy, Record, Version, Wanted, decide
from shared.outcome import Done
from tests.handlers.interleavings import Job, World, every_choice


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that finds another one in its way is tried again without a pause."""
    monkeypatch.setattr(deadlines, "PROFILE_MIN_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(deadlines, "PROFILE_WAIT_SECONDS", 0.0)


_runner = asyncio.Runner()


def settle(world: World) -> None:
    _runner.run(world.run())
    newest = max(world.jobs, key=lambda job: job.version)
    assert world.person.holds(newest), f"{world.person} after {newest}"
    assert all(isinstance(outcome, Done) for outcome in world.outcomes.values())


@pytest.mark.parametrize(("older", "newer"), [("pro", "out"), ("out", "pro")])
def test_two_jobs_end_alike_in_every_interleaving(older: str, newer: str) -> None:
    jobs = [Job(1, 10, older), Job(2, 20, newer)]
    assert every_choice(lambda choose: settle(World(jobs, choose))) > 500


@pytest.mark.parametrize(
    ("older", "newer"), [("pro", "out"), ("out", "pro"), ("pro", "free"), ("pro", "gone"), ("out", "gone")]
)
def test_a_fault_at_every_step_of_one_delivery_after_another(older: str, newer: str) -> None:
    """Crashes before and after each step, answers that are lost, calls that arrive late, refusals that may be none."""
    jobs = [Job(1, 10, older), Job(2, 20, newer)]
    assert every_choice(lambda choose: settle(World(jobs, choose, faults=1, preemptions=0))) > 200


def wanted(job: str, instant: int, digest: str = "digest") -> Wanted:
    return Wanted(job=job, version=Version(instant, 0, instant), digest=digest)


def test_a_job_that_took_its_own_earlier_delivery_over_lets_others_wait_for_the_late_call_of_that() -> None:
    first = decide(Record(), wanted("one", 1), now=0.0, lease_seconds=70.0)
    assert isinstance(first, Apply)
    again = decide(first.begun, wanted("one", 1), now=10.0, lease_seconds=70.0)
    assert isinstance(again, Apply)
    assert decide(again.begun, wanted("two", 2, "other"), now=79.9, lease_seconds=70.0) == Busy()
    assert decide(again.done, wanted("two", 2, "other"), now=69.9, lease_seconds=70.0) == Busy()
    assert isinstance(decide(again.done, wanted("two", 2, "other"), now=70.0, lease_seconds=70.0), Apply)


PLANS = st.lists(st.sampled_from(["pro", "free", "out"]), min_size=2, max_size=4)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_crashes_late_calls_and_duplicates_never_bring_an_older_record_back(data: st.DataObject) -> None:
    plans = data.draw(PLANS)
    if data.draw(st.booleans(), label="ends with a deletion"):
        plans.append("gone")
    ages = [10 * (place + 1) for place in range(len(plans))]
    numbers = data.draw(st.permutations(range(len(plans))), label="order of publishing")
    jobs = [Job(number, age, plan) for number, age, plan in zip(numbers, ages, plans, strict=True)]

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1)) if count > 1 else 0

    preemptions = data.draw(st.none() | st.integers(0, 3), label="preemptions")
    faults, duplicates = data.draw(st.integers(0, 4), label="faults"), data.draw(st.integers(0, 2), label="duplicates")
    settle(World(jobs, choose, faults=faults, duplicates=duplicates, preemptions=preemptions))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_of_equal_versions_an_opt_out_wins(data: st.DataObject) -> None:
    jobs = [Job(1, 10, "out"), Job(2, 10, "pro")]

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1)) if count > 1 else 0

    settle(World(jobs, choose, faults=data.draw(st.integers(0, 2)), duplicates=data.draw(st.integers(0, 1))))
