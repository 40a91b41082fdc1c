"""One fault-injection run over a stack that is up: publish under faults, heal, settle, audit."""

import time
from collections.abc import Callable, Mapping, Sequence

from shared.topology import topology
from tests.faults.audit import Audit, applied_markers, audit, collect_dead_letters, webhook_balance
from tests.faults.injector import injected
from tests.faults.workload import Work, workload
from tests.stack.stack_helpers import RunningStack, until

Say = Callable[[str], None]


def run(stack: RunningStack, *, jobs: int, seed: int, per_second: float, patience: float, say: Say = print) -> Audit:
    """Publish ``jobs`` jobs at ``per_second`` while everything goes wrong, then wait until all are settled."""
    works = workload(jobs, seed)
    dead: dict[str, Mapping[str, str]] = {}
    say(f"seed {seed}: {jobs} jobs at {per_second:g} a second, faults on")
    with injected(stack, seed) as killer:
        publish(stack, works, per_second)
        say(f"published; killed {len(killer.killed)} processes so far")
    say("faults off, waiting until everything is settled")

    def settled() -> bool:
        collect_dead_letters(stack, dead)
        applied = applied_markers(stack)
        return all(applied[work.marker] or work.marker in dead for work in works)

    every = jobs / 10_000  # a look at all of them costs as much as some of them
    try:
        until(settled, "every job to be settled", patience=patience, every=every)
        until(lambda: idle(stack), "every delivery to end", patience=patience)
        collect_dead_letters(stack, dead)
        until(
            lambda: (balance := webhook_balance(stack))[0] <= balance[1],
            "every event's row",
            patience=patience,
            every=every,
        )
    except AssertionError as error:
        say(f"not settled: {error}")
    return audit(stack, works, dead, killer.killed)


def publish(stack: RunningStack, works: Sequence[Work], per_second: float) -> None:
    started = time.monotonic()
    futures = []
    for n, work in enumerate(works):
        topic = f"projects/{stack.project}/topics/{topology().topics[work.kind].name}"
        futures.append(stack.publisher.publish(topic, work.data, work.ordering_key, **work.attributes))
        ahead = n / per_second - (time.monotonic() - started)
        if ahead > 0.05:
            time.sleep(ahead)
    for future in futures:
        future.result(timeout=60)


def idle(stack: RunningStack) -> bool:
    """Whether no job is waiting or under way, in any lane: only then can nothing be repeated any more."""
    stats = stack.broker("stats")["subscriptions"]
    return (
        all(each["backlog"] == 0 for name, each in stats.items() if not name.endswith("-dead-letter"))
        and stack.simulator("counts")["webhooks"]["queued"] == 0
    )
