"""State of a workspace, and how an accepted Track operation changes it."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.customerio.counts import Counts, Outcome
from local.customerio.deliveries import Deliveries
from local.customerio.events import Event, EventLog, unix_seconds
from local.customerio.items import Item
from local.customerio.objects import Objects
from local.customerio.people import Key, People, Person, key_of
from local.customerio.segments import Segments

_NOBODY: Key = ("", "")
_NO_PROFILE = ("", "anonymous_id")


class State:
    """One workspace: people, objects, segments, events, deliveries, counts.

    Args:
        max_records: Number of events, and of deliveries, that are kept; the oldest are forgotten.
    """

    def __init__(self, max_records: int) -> None:
        self.people = People()
        self.objects = Objects()
        self.segments = Segments()
        self.events = EventLog(max_records)
        self.deliveries = Deliveries(max_records)
        self.counts = Counts()

    def apply(self, item: Item) -> None:
        """Apply one operation that passed `items.check`, and count what became of it."""
        kind, action = item["type"], item["action"]
        self.counts.item(kind, action, _ACTIONS[kind, action](self, item))

    def record_event(self, item: Item) -> Outcome:
        """Record an event. An event without identifiers is an invitation, which only v1 has, to somebody unknown."""
        if self.events.repeats(item.get("id")):
            return "duplicate_event"
        person: Person | None = None
        kind, value = key_of(item["identifiers"]) if "identifiers" in item else _NOBODY
        if kind not in _NO_PROFILE:
            person_or_reason = self.people.find_or_create((kind, value))
            if not isinstance(person_or_reason, Person):
                return person_or_reason
            person = person_or_reason
        received = time.time()
        self.events.add(
            Event(
                item.get("id"),
                item["name"].strip(),
                item["action"],
                unix_seconds(item.get("timestamp")) or int(received),
                received,
                item.get("attributes", {}),
                person,
                value if kind == "anonymous_id" else None,
            )
        )
        self.counts.event_applied()
        return "applied"

    def relate(self, item: Item, relationships: Iterable[Mapping[str, Any]]) -> Outcome:
        """Relate a person to objects. Objects that do not exist yet are created."""
        person = self.people.find_or_create(key_of(item["identifiers"]))
        if not isinstance(person, Person):
            return person
        for relationship in relationships:
            known = self.objects.find_or_create(relationship["identifiers"])
            if known is not None:
                person.relationships[known.key] = relationship.get("relationship_attributes") or {}
        return "applied"

    def unrelate(self, item: Item, relationships: Iterable[Mapping[str, Any]]) -> Outcome:
        person = self.people.find(key_of(item["identifiers"]))
        if person is None:
            return "unknown_person"
        for relationship in relationships:
            known = self.objects.find(relationship["identifiers"])
            if known is not None:
                person.relationships.pop(known.key, None)
        return "applied"


def _identify(state: State, item: Item) -> Outcome:
    key = key_of(item["identifiers"])
    outcome = state.people.identify(
        key, item.get("attributes") or {}, unix_seconds(item.get("timestamp")), int(time.time())
    )
    relationships = item.get("cio_relationships")
    if relationships and outcome == "applied":
        return state.relate(item, relationships)
    return outcome


def _relate(state: State, item: Item) -> Outcome:
    return state.relate(item, item["cio_relationships"])


def _unrelate(state: State, item: Item) -> Outcome:
    return state.unrelate(item, item["cio_relationships"])


def _delete(state: State, item: Item) -> Outcome:
    return state.people.delete(key_of(item["identifiers"]))


def _suppress(state: State, item: Item) -> Outcome:
    """Suppress a person, whose activity Customer.io redacts."""
    key = key_of(item["identifiers"])
    if (person := state.people.find(key)) is not None:
        state.events.redact(person)
        state.deliveries.redact(person.cio_id)
    return state.people.suppress(key)


def _unsuppress(state: State, item: Item) -> Outcome:
    return state.people.unsuppress(key_of(item["identifiers"]))


def _merge(state: State, item: Item) -> Outcome:
    primary, secondary = key_of(item["primary"]), key_of(item["secondary"])
    merged_away = state.people.find(secondary)
    outcome = state.people.merge(primary, secondary)
    kept = state.people.find(primary)
    if outcome == "applied" and merged_away is not None and kept is not None:
        state.segments.merge(kept, merged_away)
    return outcome


def _add_device(state: State, item: Item) -> Outcome:
    person = state.people.find_or_create(key_of(item["identifiers"]))
    if not isinstance(person, Person):
        return person
    person.devices[item["device"]["token"]] = item["device"]
    return "applied"


def _delete_device(state: State, item: Item) -> Outcome:
    person = state.people.find(key_of(item["identifiers"]))
    if person is None:
        return "unknown_person"
    person.devices.pop(item["device"]["token"], None)
    return "applied"


def _identify_object(state: State, item: Item) -> Outcome:
    known = state.objects.find_or_create(item["identifiers"])
    if known is None:
        return "unknown_object"
    known.attributes.update(item.get("attributes") or {})
    return _relate_object(state, item) if item.get("cio_relationships") else "applied"


def _relate_object(state: State, item: Item) -> Outcome:
    known = state.objects.find_or_create(item["identifiers"])
    if known is None:
        return "unknown_object"
    for relationship in item["cio_relationships"]:
        person = state.people.find_or_create(key_of(relationship["identifiers"]))
        if isinstance(person, Person):
            person.relationships[known.key] = relationship.get("relationship_attributes") or {}
    return "applied"


def _unrelate_object(state: State, item: Item) -> Outcome:
    known = state.objects.find(item["identifiers"])
    if known is None:
        return "unknown_object"
    for relationship in item["cio_relationships"]:
        person = state.people.find(key_of(relationship["identifiers"]))
        if person is not None:
            person.relationships.pop(known.key, None)
    return "applied"


def _delete_object(state: State, item: Item) -> Outcome:
    known = state.objects.find(item["identifiers"])
    if known is not None:
        for person in state.people:
            person.relationships.pop(known.key, None)
    return state.objects.delete(item["identifiers"])


def _delivery_event(state: State, item: Item) -> Outcome:
    state.deliveries.add_metric(str(item["identifiers"]["id"]), item["name"])
    return "applied"


_ACTIONS: dict[tuple[str, str], Callable[[State, Item], Outcome]] = {
    ("person", "identify"): _identify,
    ("person", "delete"): _delete,
    ("person", "event"): State.record_event,
    ("person", "screen"): State.record_event,
    ("person", "page"): State.record_event,
    ("person", "add_relationships"): _relate,
    ("person", "delete_relationships"): _unrelate,
    ("person", "add_device"): _add_device,
    ("person", "delete_device"): _delete_device,
    ("person", "merge"): _merge,
    ("person", "suppress"): _suppress,
    ("person", "unsuppress"): _unsuppress,
    ("object", "identify"): _identify_object,
    ("object", "identify_anonymous"): _identify_object,
    ("object", "delete"): _delete_object,
    ("object", "add_relationships"): _relate_object,
    ("object", "delete_relationships"): _unrelate_object,
    ("delivery", "event"): _delivery_event,
}
