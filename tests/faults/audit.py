"""What became of every job of a run: published, applied, dead-lettered, lost, repeated."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from local import bigquery
from shared.topology import topology
from tests.faults.workload import Work
from tests.stack.stack_helpers import RunningStack

_MARKER = re.compile(r"(?:identify|track|send|sync)-\d+-\d+")
# An answer after which a send may have gone out all the same.
_UNKNOWN = ("server_error", "no_answer", "timeout")


@dataclass(frozen=True, slots=True)
class Audit:
    """The figures of one run, each a set of markers but the first."""

    published: int
    applied: set[str]
    dead: Mapping[str, Mapping[str, str]]
    lost: set[str]
    repeated_events: set[str]
    repeated_at_most_once: set[str]
    repeated_at_least_once: set[str]
    repeated_without_cause: set[str]

    def __str__(self) -> str:
        return (
            f"audit: {self.published} published, {len(self.applied)} applied, {len(self.dead)} dead-lettered, "
            f"{len(self.lost)} lost, {len(self.repeated_events)} repeated events, "
            f"{len(self.repeated_at_most_once)} repeated sends (at_most_once), "
            f"{len(self.repeated_at_least_once)} repeated sends (at_least_once, outcome unknown)"
        )

    def faults(self) -> list[str]:
        """Every broken promise, as a sentence."""
        found = []
        if self.lost:
            found.append(f"lost: {_some(self.lost)}")
        if self.repeated_events:
            found.append(f"repeated events: {_some(self.repeated_events)}")
        if self.repeated_at_most_once:
            found.append(f"repeated at_most_once sends: {_some(self.repeated_at_most_once)}")
        if self.repeated_without_cause:
            found.append(f"sends repeated although their outcome was known: {_some(self.repeated_without_cause)}")
        if self.published != len(self.applied) + len(self.dead):
            found.append(f"{self.published} published, {len(self.applied)} + {len(self.dead)} accounted for")
        if unexplained := {marker for marker, told in self.dead.items() if not told.get("reason")}:
            found.append(f"dead letters without a reason: {_some(unexplained)}")
        return found


def applied_markers(stack: RunningStack) -> Counter[str]:
    """How often each job was applied at the simulator."""
    found: Counter[str] = Counter()
    for person in stack.simulator("people"):
        if str(person.get("id")).startswith(("identify-", "sync-")):
            found[person["id"]] = 1  # identifying twice is identifying once
    found.update(event["name"] for event in stack.simulator("events"))
    for delivery in stack.simulator("deliveries"):
        marker = (delivery["message_data"] or {}).get("marker")
        if marker:
            found[marker] += 1
    return found


def audit(
    stack: RunningStack, works: Sequence[Work], dead: Mapping[str, Mapping[str, str]], killed: Iterable[str]
) -> Audit:
    """Compare what was published with where it ended up."""
    applied = applied_markers(stack)
    guarantees = {work.marker: work.attributes.get("delivery_guarantee") for work in works}
    repeated = {marker for marker, times in applied.items() if times > 1}
    at_least = {marker for marker in repeated if guarantees.get(marker) == "at_least_once"}
    cause = _sends_with_unknown_outcome(stack)
    excusable = "send" in killed  # a send under way in a killed process has no line that says so
    return Audit(
        published=len(works),
        applied={work.marker for work in works if applied[work.marker] and work.marker not in dead},
        dead=dead,
        lost={work.marker for work in works if not applied[work.marker] and work.marker not in dead},
        repeated_events={marker for marker in repeated if marker.startswith("track-")},
        repeated_at_most_once={marker for marker in repeated if guarantees.get(marker) == "at_most_once"},
        repeated_at_least_once=at_least,
        repeated_without_cause=set() if excusable else {m for m in at_least if _job_id(works, m) not in cause},
    )


def collect_dead_letters(stack: RunningStack, into: dict[str, Mapping[str, str]]) -> None:
    """Take the dead letters that are there and add them, by marker."""
    for kind in topology().topics:
        while letters := stack.dead_letters(kind):
            for data, attributes in letters:
                if match := _MARKER.search(data.decode(errors="replace")):
                    into[match[0]] = attributes


def webhook_balance(stack: RunningStack) -> tuple[int, int]:
    """Events that the simulator sent, and rows in the view without repetitions."""
    sent = sum(stack.simulator("counts")["webhooks"]["sent"].values())
    view = f"{stack.project}.{stack.environment['BIGQUERY_DATASET']}.events_deduplicated"
    with closing(bigquery.client(stack.environment["BIGQUERY_EMULATOR_HOST"], stack.project)) as client:
        (row,) = client.query_and_wait(f"SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS ids FROM `{view}`")
    assert row.n == row.ids, "the view repeats an event"
    return sent, row.n


def _sends_with_unknown_outcome(stack: RunningStack) -> set[str]:
    found = set()
    for line in stack.log("send").splitlines():
        if line.startswith("{") and any(f'"reason":"{reason}"' in line for reason in _UNKNOWN):
            found.add(json.loads(line).get("job_id", ""))
    return found


def _job_id(works: Sequence[Work], marker: str) -> str:
    return works[int(marker.rsplit("-", 1)[1])].attributes["job_id"]


def _some(markers: Iterable[str]) -> str:
    listed = sorted(markers)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
