"""``make burst``: thousands of sends at once, and what urgent ones notice of it. Three runs over a stack of its own.

1. 5,000 sends at once: all sent within 1.15 times the ideal time, none by way of the retry lane, no 429 by Customer.io.
2. 5,000 bulk sends at once: the same; an urgent send that is published meanwhile is at Customer.io within a second,
   99 times of 100.
3. The same with 10,000 bulk sends.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.topology import topology
from tests.stack.stack_helpers import RunningStack, running_stack

_SEND = topology().topics["send"]
_RATE = topology().rates["send"].per_second
_URGENT_PER_SECOND = 5.0
# What Customer.io's call takes is not ours; the simulator answers in milliseconds.
_MAX_URGENT_SECONDS = 1.0
_MAX_OF_IDEAL = 1.15
# The simulator lets a burst of three seconds pass, and the function none.
_PATIENCE_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """Measurements of one run.

    Args:
        name: Name of the run.
        sends: Sends published at once.
        seconds: From the first publish to the arrival of the last of them at Customer.io.
        urgent: Seconds of each urgent send from its publish to its arrival at Customer.io.
        statuses: Answers of Customer.io, counted by status.
        deliveries: Messages pushed, or pulled from lane bulk, by lane.
        refused: Deliveries that were not acknowledged.
        unanswered: Deliveries that were cut off at the ack deadline, or whose connection broke.
        moved: Messages published to the retry topic.
        dead: Messages published to the dead-letter topic.
    """

    name: str
    sends: int
    seconds: float
    urgent: list[float]
    statuses: Counter[int]
    deliveries: Mapping[str, int]
    refused: int
    unanswered: int
    moved: int
    dead: int

    @property
    def ideal(self) -> float:
        return (self.sends + len(self.urgent)) / _RATE

    def faults(self) -> list[str]:
        """What should not have been, one sentence each."""
        found = {
            f"took {self.seconds:.1f} s, more than {_MAX_OF_IDEAL} x {self.ideal:.1f} s": self.seconds
            > _MAX_OF_IDEAL * self.ideal,
            f"Customer.io answered {dict(self.statuses)}": set(self.statuses) != {200},
            f"{self.statuses[200]} sends, not {self.sends + len(self.urgent)}": self.statuses[200]
            != self.sends + len(self.urgent),
            f"{self.moved} sends came by way of the retry lane": self.moved > 0,
            f"{self.dead} dead letters": self.dead > 0,
            f"an urgent send waited {p99(self.urgent):.2f} s (p99)": p99(self.urgent) > _MAX_URGENT_SECONDS,
        }
        return [f"{self.name}: {sentence}" for sentence, is_so in found.items() if is_so]

    def __str__(self) -> str:
        slowest = max(self.urgent, default=0.0)
        urgent = f"; urgent: {len(self.urgent)}, p99 {p99(self.urgent):.2f} s, max {slowest:.2f} s"
        return (
            f"{self.name}: {self.seconds:.1f} s = {self.seconds / self.ideal:.2f} x ideal; "
            f"deliveries {dict(self.deliveries)}, {self.refused} refused, {self.unanswered} unanswered; "
            f"retry lane {self.moved}, dead letters {self.dead}; "
            f"Customer.io answered {dict(self.statuses)}{urgent if self.urgent else ''}"
        )


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1] if len(seconds) > 1 else 0.0


def measure(stack: RunningStack, name: str, sends: int, *, bulk: bool) -> Figures:
    """Publish ``sends`` at once, urgent ones beside them if they are bulk, and wait until all have been sent."""
    seen = max((request["n"] for request in stack.simulator("requests?since=0")), default=0)
    before = stack.broker("stats")
    topic = f"projects/{stack.project}/topics/{_SEND.name}"
    published: dict[str, float] = {}

    def publish(marker: str, **attributes: str) -> Any:
        body = (
            b'{"to":"%b@example.com","identifiers":{"id":"1"},"transactional_message_id":7,"message_data":{"m":"%b"}}'
        )
        published[marker] = time.time()
        return stack.publisher.publish(topic, body.replace(b"%b", marker.encode()), **attributes)

    attributes = {"priority": "bulk"} if bulk else {}
    for future in [publish(f"{name}-{n}", **attributes) for n in range(sends)]:
        future.result(timeout=60)
    urgent = 0
    started = time.monotonic()
    limit = _PATIENCE_FACTOR * sends / _RATE
    while (done := _sent(stack, before)) < sends + urgent:
        if time.monotonic() - started > limit:
            break
        if bulk and done < sends + urgent - _RATE:  # enough still wait for an urgent one to overtake
            publish(f"{name}-urgent-{urgent}")
            urgent += 1
        time.sleep(1 / _URGENT_PER_SECOND)
    requests = [each for each in stack.simulator(f"requests?since={seen}") if each["path"].startswith("/v1/send/")]
    return _figures(stack, name, sends, before, requests, published)


def _sent(stack: RunningStack, before: Any) -> int:
    """Sends that are acknowledged."""
    return sum(_grown(stack.broker("stats"), before, hop.subscription, "acked") for hop in _SEND.hops)


def _grown(now: Any, before: Any, subscription: str, counter: str) -> int:
    def of(stats: Any) -> int:
        [found] = [each for name, each in stats["subscriptions"].items() if name.rpartition("/")[2] == subscription]
        return int(found[counter])

    return of(now) - of(before)


def _figures(
    stack: RunningStack, name: str, sends: int, before: Any, requests: list[Any], published: Mapping[str, float]
) -> Figures:
    arrived = {
        request["body"]["message_data"]["m"]: request["time"] for request in requests if request["status"] == 200
    }
    now = stack.broker("stats")

    def grown(counter: str) -> dict[str, int]:
        return {hop.lane: _grown(now, before, hop.subscription, counter) for hop in _SEND.hops}

    def topic_grown(topic: str) -> int:
        counts = [
            sum(each["published"] for path, each in stats["topics"].items() if path.rpartition("/")[2] == topic)
            for stats in (now, before)
        ]
        return counts[0] - counts[1]

    return Figures(
        name=name,
        sends=sends,
        seconds=max(arrived.values()) - min(published.values()),
        urgent=[arrived[m] - at for m, at in published.items() if "-urgent-" in m and m in arrived],
        statuses=Counter(request["status"] for request in requests),
        deliveries=grown("delivered"),
        refused=sum(grown("nacked").values()),
        unanswered=sum(grown("unanswered").values()),
        moved=topic_grown(_SEND.retry_name),
        dead=topic_grown(_SEND.dead_letter_name),
    )


def main() -> int:
    runs: list[Callable[[RunningStack], Figures]] = [
        lambda stack: measure(stack, "5,000 sends", 5_000, bulk=False),
        lambda stack: measure(stack, "5,000 bulk sends", 5_000, bulk=True),
        lambda stack: measure(stack, "10,000 bulk sends", 10_000, bulk=True),
    ]
    faults: list[str] = []
    # Backoffs as they are in the cloud.
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder), {"STACK_TIME_SCALE": "1"}) as stack:
        for run in runs:
            figures = run(stack)
            print(figures, flush=True)
            faults += figures.faults()
    for fault in faults:
        print(f"not so: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
