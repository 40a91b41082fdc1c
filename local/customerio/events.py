"""Events that were applied, the newest of them kept, and the ids by which repeats are dropped."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from local.customerio.people import People, Person
from shared.jobs import limits as published

# Customer.io does not publish how long it remembers an event id. Here the latest million are remembered.
MAX_REMEMBERED_IDS: Final = 1_000_000


class Event(msgspec.Struct, frozen=True, gc=False):
    """`timestamp` and `received` are unix seconds; `person` is None for an event of somebody still anonymous."""

    id: str | None
    name: str
    type: str
    timestamp: int
    received: float
    attributes: dict[str, Any]
    person: Person | None
    anonymous_id: str | None


class EventLog:
    def __init__(self, limit: int) -> None:
        self._events: deque[Event] = deque(maxlen=limit)
        self._ids: dict[str, None] = {}

    def repeats(self, event_id: str | None) -> bool:
        """Whether this id was seen before. A new one is remembered."""
        if event_id is None:
            return False
        event_id = event_id.upper()
        if event_id in self._ids:
            return True
        self._ids[event_id] = None
        if len(self._ids) > MAX_REMEMBERED_IDS:
            del self._ids[next(iter(self._ids))]
        return False

    def add(self, event: Event) -> None:
        self._events.append(event)

    def redact(self, person: Person) -> None:
        """Keep that there were events, and nothing of whom and what they were about."""
        for index, event in enumerate(self._events):
            if event.person is not None and event.person.current is person:
                self._events[index] = msgspec.structs.replace(event, person=None, anonymous_id=None, attributes={})

    def report(self, people: People) -> Iterator[dict[str, Any]]:
        """All events, oldest first. An anonymous event belongs to whoever has its anonymous_id by now."""
        for event in list(self._events):
            person = self._owner(event, people)
            yield {
                "id": event.id,
                "name": event.name,
                "type": event.type,
                "timestamp": event.timestamp,
                "received_at": event.received,
                "attributes": event.attributes,
                "identifiers": None if person is None else person.identifiers,
                "anonymous_id": event.anonymous_id,
            }

    def per_person(self, people: People) -> dict[str, int]:
        """The number of events on record for each cio_id."""
        numbers: dict[str, int] = {}
        for event in self._events:
            person = self._owner(event, people)
            if person is not None:
                numbers[person.cio_id] = numbers.get(person.cio_id, 0) + 1
        return numbers

    def _owner(self, event: Event, people: People) -> Person | None:
        if event.person is not None:
            return event.person.current
        return people.find(("anonymous_id", event.anonymous_id)) if event.anonymous_id is not None else None


def unix_seconds(value: object) -> int | None:
    """A unix time in seconds, or None for anything else, which Customer.io replaces by the time of receipt.

    A number that can only be milliseconds is not a unix time.
    """
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < published.MAX_TIMESTAMP:
        return None
    return int(value)
