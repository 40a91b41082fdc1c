"""The flow of jobs and events as numbers: rates, backlogs, dead letters, answers of Customer.io.

Each number has a key such as ``lane.send.main.waiting``, under which the page's elements show it.
"""

import math
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from local import deadlines
from shared.topology import Topic, topology

type Values = dict[str, str]

# A lane's bar is full at this many messages, and half full at about a tenth of it.
_FULL_BACKLOG = 1000
_FAST_PER_SECOND = 20.0
_KEPT_SAMPLES = 30


class Rates:
    """Per-second rates of growing counters, averaged over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[str, int]]] = deque(maxlen=_KEPT_SAMPLES)

    def add(self, counters: Mapping[str, int], now: float | None = None) -> Mapping[str, float]:
        """Take the counters' present values and give the rate of each. The first sample gives 0."""
        at = time.monotonic() if now is None else now
        while len(self._samples) > 1 and at - self._samples[1][0] >= deadlines.CONSOLE_RATE_SECONDS:
            self._samples.popleft()
        self._samples.append((at, counters))
        since, before = self._samples[0]
        seconds = at - since
        return {
            name: max(0.0, (count - before.get(name, 0)) / seconds) if seconds else 0.0
            for name, count in counters.items()
        }


class Flow:
    """Turns the broker's and the simulator's counters into the page's values.

    Args:
        project: Google Cloud project, which the broker's names contain.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._rates = Rates()

    def values(self, stats: Mapping[str, Any], counts: Mapping[str, Any]) -> Values:
        """Compute every value from one reading of the broker and one of the simulator."""
        subscriptions, requests = stats["subscriptions"], counts.get("requests", {})
        webhooks = counts.get("webhooks", {})
        rates = self._rates.add(self._counters(stats, requests, webhooks))
        values: Values = {}
        dead = {kind: self._backlog(subscriptions, shape.dead_letter_name) for kind, shape in job_topics().items()}
        for kind, shape in topology().topics.items():
            values |= self._topic(kind, shape, subscriptions, rates)
        values["published.some"] = "yes" if any(topic["published"] for topic in stats["topics"].values()) else "no"
        values["waiting.total"] = str(sum(int(values[f"kind.{kind}.waiting"]) for kind in customerio_kinds()))
        values["dead.total"] = str(sum(dead.values()))
        values["customerio.rate"] = per_second(rates["requests"])
        values["customerio.speed"] = speed(rates["requests"])
        values["customerio.requests"] = str(sum(sum(statuses.values()) for statuses in requests.values()))
        values["customerio.words"] = counted(int(values["customerio.requests"]), "request")
        values["customerio.refusals"] = f"{_refused(requests)} refused"
        sent = sum(webhooks.get("sent", {}).values())
        values["webhooks.rate"] = per_second(rates["webhooks"])
        values["webhooks.speed"] = speed(rates["webhooks"])
        values["webhooks.sent"] = str(sent)
        values["webhooks.words"] = f"{counted(sent, 'event')} sent"
        values["webhooks.short"] = counted(sent, "event")
        rows = sum(
            self._subscription(subscriptions, hop.subscription).get("acked", 0)
            for kind in archived_kinds()
            for hop in topology().topics[kind].hops
        )
        values["bigquery.words"] = f"{counted(rows, 'row')} by archive"
        values["bigquery.short"] = counted(rows, "row")
        return values

    def _topic(self, kind: str, shape: Topic, subscriptions: Mapping[str, Any], rates: Mapping[str, float]) -> Values:
        waiting = {hop.lane: self._backlog(subscriptions, hop.subscription) for hop in shape.hops}
        oldest = max((self._oldest(subscriptions, hop.subscription) for hop in shape.hops), default=0.0)
        dead = self._backlog(subscriptions, shape.dead_letter_name)
        published, done = rates[f"published.{kind}"], rates[f"done.{kind}"]
        values = {
            f"topic.{kind}.rate": per_second(published),
            f"topic.{kind}.speed": speed(published),
            f"function.{kind}.rate": per_second(done),
            f"function.{kind}.speed": speed(done),
            f"kind.{kind}.waiting": str(sum(waiting.values())),
            f"kind.{kind}.oldest": age(oldest) if sum(waiting.values()) else "-",
            f"dead.{kind}": str(dead),
            f"dead.{kind}.some": "yes" if dead else "no",
            f"dead.{kind}.words": counted(dead, "dead letter") if dead else "no dead letters",
            f"dead.{kind}.short": f"{dead} dead" if dead else "0 dead",
        }
        for lane, count in waiting.items():
            values[f"lane.{kind}.{lane}.waiting"] = str(count)
            values[f"lane.{kind}.{lane}.fill"] = f"{_fill(count):.3f}"
            values[f"lane.{kind}.{lane}.some"] = "yes" if count else "no"
        return values

    def _counters(
        self, stats: Mapping[str, Any], requests: Mapping[str, Any], webhooks: Mapping[str, Any]
    ) -> Mapping[str, int]:
        counters = {
            "requests": sum(sum(statuses.values()) for statuses in requests.values()),
            "webhooks": sum(webhooks.get("sent", {}).values()),
        }
        for kind, shape in topology().topics.items():
            topic = stats["topics"].get(f"projects/{self._project}/topics/{shape.name}", {})
            counters[f"published.{kind}"] = topic.get("published", 0)
            counters[f"done.{kind}"] = sum(
                self._subscription(stats["subscriptions"], hop.subscription).get("acked", 0) for hop in shape.hops
            )
        return counters

    def _subscription(self, subscriptions: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = subscriptions.get(f"projects/{self._project}/subscriptions/{name}", {})
        return found

    def _backlog(self, subscriptions: Mapping[str, Any], name: str) -> int:
        return int(self._subscription(subscriptions, name).get("backlog", 0))

    def _oldest(self, subscriptions: Mapping[str, Any], name: str) -> float:
        return float(self._subscription(subscriptions, name).get("oldest_unacked_seconds", 0.0))


def job_topics() -> Mapping[str, Topic]:
    """Topics that have dead letters which an operator handles: those with lanes."""
    return {kind: shape for kind, shape in topology().topics.items() if shape.hops}


def customerio_kinds() -> list[str]:
    """Kinds of jobs that end at Customer.io, in the order of the page."""
    return [kind for kind, shape in topology().topics.items() if shape.rate is not None]


def archived_kinds() -> list[str]:
    """Kinds of messages that end in BigQuery: events and outcomes."""
    return [kind for kind, shape in topology().topics.items() if shape.function == topology().topics["events"].function]


def per_second(rate: float) -> str:
    """Format a rate: ``0/s``, ``0.4/s``, ``12/s``."""
    return f"{rate:.1f}/s" if 0 < rate < 9.95 else f"{rate:.0f}/s"


def speed(rate: float) -> str:
    """Name how fast an edge of the picture moves."""
    if rate <= 0:
        return "still"
    return "fast" if rate >= _FAST_PER_SECOND else "slow"


def counted(count: int, thing: str) -> str:
    """Format a number of things: ``1 row``, ``2 rows``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def age(seconds: float) -> str:
    """Format an age in its largest unit that fits: ``3 s``, ``2 min``, ``5 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _fill(count: int) -> float:
    """Share of a lane's bar that is filled. It grows fast at first, so that one message can be seen."""
    return min(1.0, math.pow(count / _FULL_BACKLOG, 0.3))


def _refused(requests: Mapping[str, Mapping[str, int]]) -> int:
    return sum(
        count for statuses in requests.values() for status, count in statuses.items() if not status.startswith("2")
    )
