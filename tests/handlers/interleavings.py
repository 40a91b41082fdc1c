"""Runs deliveries of sync jobs in an order that a test chooses, step by step, with crashes and late calls between them.

A step is one read or write of the ledger or one call of Customer.io. A delivery waits before each of its steps until
the test lets it go on.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, cast

from shared.customerio.errors import UnknownOutcomeError
from shared.customerio.track import TrackAPI
from shared.handlers.forgetting import Forgetting
from shared.handlers.profile import Version
from shared.handlers.sync import Sync
from shared.handlers.user_sync import UserSync
from shared.ledger import ProfileState
from shared.outcome import Done, Failed, Outcome
from shared.pubsub.message import PushMessage

StepKind = Literal["read", "write", "call"]
# Returns a number below the given one.
Choose = Callable[[int], int]
_EPOCH = 1_777_636_800


@dataclass(frozen=True)
class Job:
    """One job about one user, known by its number.

    Args:
        number: Unique number.
        age: Seconds at which its record changed in the source; the greater is the newer.
        plan: An attribute of the record, "out" for an opt-out or "gone" for a deletion.
    """

    number: int
    age: int
    plan: str

    @property
    def version(self) -> Version:
        rank = {"out": 1, "gone": 2}.get(self.plan, 0)
        return Version(self.age, rank, self.number)

    def message(self) -> PushMessage:
        body: dict[str, Any] = {"id": "42", "updated_at": _EPOCH + self.age}
        if self.plan == "out":
            body["preferences"] = {"marketing": False, "transactional": False}
        elif self.plan == "gone":
            body["deleted"] = True
        else:
            body |= {"plan": self.plan, f"only_{self.plan}": True}
        return PushMessage(
            key=f"job-{self.number}",
            is_named=True,
            data=json.dumps(body).encode(),
            attributes={},
            first_published_at=datetime.fromtimestamp(_EPOCH + self.number, UTC),
        )


@dataclass
class CustomerIO:
    """One person as Customer.io keeps it, and a check that no job is applied over a newer one."""

    attributes: dict[str, Any] | None = None
    suppressed: bool = False
    newest: Job | None = None

    def take(self, job: Job, item: dict[str, Any]) -> None:
        assert self.newest is None or job.version >= self.newest.version, f"{job} is applied after {self.newest}"
        self.newest = job
        match item["action"]:
            case "suppress":
                self.suppressed, self.attributes = True, None
            case "unsuppress":
                self.suppressed = False
            case "delete":
                self.attributes = None
            case "identify" if not self.suppressed:
                merged = {**(self.attributes or {}), **item["attributes"]}
                self.attributes = {name: value for name, value in merged.items() if value is not None}

    def holds(self, job: Job) -> bool:
        if job.plan in {"out", "gone"}:
            return self.suppressed and self.attributes is None
        return not self.suppressed and self.attributes == {"plan": job.plan, f"only_{job.plan}": True}


@dataclass(eq=False)
class _Step:
    kind: StepKind
    effect: Callable[[], Any]
    task: "asyncio.Task[Outcome]"
    result: "asyncio.Future[Any]"


@dataclass
class World:
    """Jobs, instances that take them, one ledger and one Customer.io.

    Args:
        jobs: All of them are about one user.
        choose: Decides what happens next.
        faults: How many crashes, lost answers and late calls there may be.
        duplicates: How many deliveries there may be beside one that is under way.
        preemptions: How often a delivery that could go on is left for something else; None sets no limit.
    """

    jobs: Sequence[Job]
    choose: Choose
    faults: int = 0
    duplicates: int = 0
    preemptions: int | None = None
    person: CustomerIO = field(default_factory=CustomerIO)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clock = float(_EPOCH)
        self._stored: ProfileState | None = None
        self._steps: list[_Step] = []
        self._landing: list[Callable[[], None]] = []
        self._job_of: dict[asyncio.Task[Outcome], Job] = {}
        self._writes = 0
        # Deliveries that found another one in their way, and time, wait until something has changed.
        self._changes = 0
        self._gave_up_at: dict[int, int] = {}
        self._waited_at = -1
        self._current: asyncio.Task[Outcome] | None = None

    # What the function is wired to.

    async def state(self, key: str) -> ProfileState | None:
        assert key
        return cast("ProfileState | None", await self._step("read", lambda: self._stored))

    async def remember(self, key: str, text: str, previous: ProfileState | None) -> ProfileState | None:
        assert key

        def write() -> ProfileState | None:
            if self._stored != previous:
                return None
            self._writes += 1
            self._stored = ProfileState(text, self._writes)
            return self._stored

        return cast("ProfileState | None", await self._step("write", write))

    async def apply(self, item: bytes, **_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        job = self._job_of[cast("asyncio.Task[Outcome]", task)]
        await self._step("call", lambda: self.person.take(job, json.loads(item)))

    async def _step(self, kind: StepKind, effect: Callable[[], Any]) -> Any:
        task = asyncio.current_task()
        assert task is not None
        step = _Step(kind, effect, cast("asyncio.Task[Outcome]", task), asyncio.get_running_loop().create_future())
        self._steps.append(step)
        return await step.result

    # What the test does.

    async def run(self, *, max_steps: int = 400) -> None:
        """Choose among what can happen until every job is acknowledged and every late call has arrived."""
        track = cast("TrackAPI", self)
        # No job of these worlds forgets or restores anybody.
        forgetting = Forgetting(track, cast("Any", None), "project")
        sync = Sync(UserSync(track, self, now=lambda: self._clock), self._workspace, forgetting)
        try:
            for _ in range(max_steps):
                options = self._options(sync)
                if not options:
                    assert self.outcomes.keys() == {job.number for job in self.jobs}
                    return
                options[self.choose(len(options))]()
                await self._quiet()
        finally:
            for task in self._job_of:
                task.cancel()
            await asyncio.gather(*self._job_of, return_exceptions=True)
        raise AssertionError("the jobs are not settled: livelock")

    @staticmethod
    async def _workspace() -> str:
        return "workspace"

    def _options(self, sync: Sync) -> list[Callable[[], None]]:
        current = [step for step in self._steps if step.task is self._current]
        arrivals: list[Callable[[], None]] = [partial(self._land, land) for land in self._landing]
        if current and self.preemptions == 0:
            return self._ways_on(current) + arrivals
        options = self._ways_on(self._steps) + arrivals
        under_way = list(self._job_of.values())
        for job in self.jobs:
            if job.number not in self.outcomes and job not in under_way:
                if self._gave_up_at.get(job.number) == self._changes:
                    continue
                options.append(partial(self._deliver, sync, job))
            elif self.duplicates and under_way.count(job) == 1:
                options.append(partial(self._deliver_twice, sync, job))
        # A lease is longer than any call is on its way: time passes only where none is.
        is_quiet = not self._landing and all(step.kind == "read" for step in self._steps)
        if is_quiet and self._waited_at != self._changes:
            options.append(self._lease_ends)
        if len(self.outcomes) == len(self.jobs) and not self._steps and not self._landing:
            return []
        return options

    def _ways_on(self, steps: Sequence[_Step]) -> list[Callable[[], None]]:
        ways: list[Callable[[], None]] = [partial(self._proceed, step) for step in steps]
        if self.faults:
            ways += [partial(fault, step) for step in steps for fault in self._faults(step)]
        return ways

    def _faults(self, step: _Step) -> list[Callable[[_Step], None]]:
        common: list[Callable[[_Step], None]] = [self._crash_before, self._crash_after]
        if step.kind == "call":
            common += [self._lose_answer, self._arrive_late, self._fail]
        return common

    def _deliver(self, sync: Sync, job: Job) -> None:
        task = asyncio.ensure_future(sync(job.message()))
        self._job_of[task] = job
        self._turn_to(task)

    def _turn_to(self, task: "asyncio.Task[Outcome]") -> None:
        if self.preemptions and task is not self._current and any(step.task is self._current for step in self._steps):
            self.preemptions -= 1
        self._current = task

    def _deliver_twice(self, sync: Sync, job: Job) -> None:
        self.duplicates -= 1
        self._deliver(sync, job)

    def _proceed(self, step: _Step) -> None:
        self._turn_to(step.task)
        self._steps.remove(step)
        self._changes += step.kind != "read"
        step.result.set_result(step.effect())

    def _land(self, land: Callable[[], None]) -> None:
        self._landing.remove(land)
        self._changes += 1
        land()

    def _lease_ends(self) -> None:
        self._clock += 100.0
        self._changes += 1
        self._waited_at = self._changes

    def _crash_before(self, step: _Step) -> None:
        self.faults -= 1
        self._changes += 1
        self._steps.remove(step)
        step.task.cancel()

    def _crash_after(self, step: _Step) -> None:
        step.effect()
        self._crash_before(step)

    def _lose_answer(self, step: _Step) -> None:
        step.effect()
        self._no_answer(step, None)

    def _arrive_late(self, step: _Step) -> None:
        self._landing.append(step.effect)
        self._no_answer(step, None)

    def _fail(self, step: _Step) -> None:
        self._no_answer(step, 503)

    def _no_answer(self, step: _Step, status: int | None) -> None:
        self.faults -= 1
        self._changes += 1
        self._steps.remove(step)
        step.result.set_exception(UnknownOutcomeError("no answer", status=status, reason="timeout"))

    async def _quiet(self) -> None:
        """Until every delivery waits for its next step or has ended."""
        while len(self._job_of) > len(self._steps):
            await asyncio.sleep(0)
            for task in [task for task in self._job_of if task.done()]:
                job = self._job_of.pop(task)
                self._gave_up_at[job.number] = -1 if task.cancelled() else self._changes
                if not task.cancelled() and isinstance(outcome := task.result(), Done | Failed):
                    self.outcomes.setdefault(job.number, outcome)


def every_choice(run: Callable[[Choose], None]) -> int:
    """Call ``run`` once for each way in which its choices can be made, and return how many there are."""
    prefix: list[int] = []
    runs = 0
    while True:
        made: list[tuple[int, int]] = []

        def choose(count: int, made: list[tuple[int, int]] = made, prefix: list[int] = prefix) -> int:
            chosen = prefix[len(made)] if len(made) < len(prefix) else 0
            made.append((chosen, count))
            return chosen

        run(choose)
        runs += 1
        while made and made[-1][0] + 1 == made[-1][1]:
            made.pop()
        if not made:
            return runs
        prefix = [chosen for chosen, _ in made[:-1]] + [made[-1][0] + 1]
