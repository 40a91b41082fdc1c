"""Counters of everything that happened, including what is no longer on record."""

from collections import Counter, defaultdict
from typing import Any, Literal

# What became of an accepted operation. Customer.io answers 200 to all of them.
type Outcome = Literal[
    "applied",
    "duplicate_event",
    "suppressed",
    "stale_timestamp",
    "update_only",
    "unknown_person",
    "unknown_object",
    "attribute_update_failure",
]


class Counts:
    def __init__(self) -> None:
        self._requests: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._items: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._outcomes: Counter[str] = Counter()
        self._rejected = 0
        self._events_applied = 0
        self.sends: Counter[str] = Counter()
        self.broadcasts = 0

    def request(self, route: str, status: str) -> None:
        self._requests[route][status] += 1

    def item(self, kind: str, action: str, outcome: Outcome) -> None:
        self._items[kind][action] += 1
        self._outcomes[outcome] += 1

    def event_applied(self) -> None:
        self._events_applied += 1

    def rejected(self, items: int) -> None:
        self._rejected += items

    def report(self) -> dict[str, Any]:
        """The JSON of `GET /_sim/counts`, webhooks left out."""
        return {
            "requests": self._requests,
            "items": self._items,
            "items_rejected": self._rejected,
            "outcomes": self._outcomes,
            "duplicates_dropped": self._outcomes["duplicate_event"],
            "events_applied": self._events_applied,
            "sends": self.sends,
            "broadcasts": self.broadcasts,
        }
