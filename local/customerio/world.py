"""What the simulated workspace knows, and how an accepted Track operation changes it."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.customerio.counts import Counts, Outcome
from local.customerio.deliveries import Deliveries
from local.customerio.events import Event, EventLog, unix_seconds
from local.customerio.items import Item
from local.customerio.objects import Objects
from local.customerio.people import Key, People, Person, key_of

_NOBODY: Key = ("", "")
_NO_PROFILE = ("", "anonymous_id")


class World:
    """One workspace: people, objects, events, deliveries, counts. `kept` bounds the events and deliveries on record."""

    def __init__(self, kept: int) -> None:
        self.people = People()
        self.objects = Objects()
        self.events = EventLog(kept)
        self.deliveries = Deliveries(kept)
        self.counts = Counts()

    def apply(self, item: Item) -> None:
        """Apply one operation that passed `items.check`, and count what became of it."""
        kind, action = item["type"], item["action"]
        self.counts.item(kind, action, _ACTIONS[kind, action](self, item))

    def record_event(self, item: Item) -> Outcome:
        """Also takes an event without identifiers: v1's invitations to people who are not known yet."""
        if self.events.repeats(item.get("id")):
            return "duplicate_event"
        person: Person | None = None
        kind, value = key_of(item["identifiers"]) if "identifiers" in item else _NOBODY
        if kind not in _NO_PROFILE:
            reached = self.people.reach((kind, value))
            if not isinstance(reached, Person):
                return reached
            person = reached
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
        person = self.people.reach(key_of(item["identifiers"]))
        if not isinstance(person, Person):
            return person
        for relationship in relationships:
            thing = self.objects.reach(relationship["identifiers"])
            if thing is not None:
                person.relationships[thing.key] = relationship.get("relationship_attributes") or {}
        return "applied"

    def unrelate(self, item: Item, relationships: Iterable[Mapping[str, Any]]) -> Outcome:
        person = self.people.find(key_of(item["identifiers"]))
        if person is None:
            return "unknown_person"
        for relationship in relationships:
            thing = self.objects.find(relationship["identifiers"])
            if thing is not None:
                person.relationships.pop(thing.key, None)
        return "applied"


def _identify(world: World, item: Item) -> Outcome:
    key = key_of(item["identifiers"])
    outcome = world.people.identify(
        key, item.get("attributes") or {}, unix_seconds(item.get("timestamp")), int(time.time())
    )
    relationships = item.get("cio_relationships")
    if relationships and outcome == "applied":
        return world.relate(item, relationships)
    return outcome


def _relate(world: World, item: Item) -> Outcome:
    return world.relate(item, item["cio_relationships"])


def _unrelate(world: World, item: Item) -> Outcome:
    return world.unrelate(item, item["cio_relationships"])


def _delete(world: World, item: Item) -> Outcome:
    return world.people.delete(key_of(item["identifiers"]))


def _suppress(world: World, item: Item) -> Outcome:
    return world.people.suppress(key_of(item["identifiers"]))


def _unsuppress(world: World, item: Item) -> Outcome:
    return world.people.unsuppress(key_of(item["identifiers"]))


def _merge(world: World, item: Item) -> Outcome:
    return world.people.merge(key_of(item["primary"]), key_of(item["secondary"]))


def _add_device(world: World, item: Item) -> Outcome:
    person = world.people.reach(key_of(item["identifiers"]))
    if not isinstance(person, Person):
        return person
    person.devices[item["device"]["token"]] = item["device"]
    return "applied"


def _delete_device(world: World, item: Item) -> Outcome:
    person = world.people.find(key_of(item["identifiers"]))
    if person is None:
        return "unknown_person"
    person.devices.pop(item["device"]["token"], None)
    return "applied"


def _identify_object(world: World, item: Item) -> Outcome:
    thing = world.objects.reach(item["identifiers"])
    if thing is None:
        return "unknown_object"
    thing.attributes.update(item.get("attributes") or {})
    return _relate_object(world, item) if item.get("cio_relationships") else "applied"


def _relate_object(world: World, item: Item) -> Outcome:
    thing = world.objects.reach(item["identifiers"])
    if thing is None:
        return "unknown_object"
    for relationship in item["cio_relationships"]:
        person = world.people.reach(key_of(relationship["identifiers"]))
        if isinstance(person, Person):
            person.relationships[thing.key] = relationship.get("relationship_attributes") or {}
    return "applied"


def _unrelate_object(world: World, item: Item) -> Outcome:
    thing = world.objects.find(item["identifiers"])
    if thing is None:
        return "unknown_object"
    for relationship in item["cio_relationships"]:
        person = world.people.find(key_of(relationship["identifiers"]))
        if person is not None:
            person.relationships.pop(thing.key, None)
    return "applied"


def _delete_object(world: World, item: Item) -> Outcome:
    thing = world.objects.find(item["identifiers"])
    if thing is not None:
        for person in world.people:
            person.relationships.pop(thing.key, None)
    return world.objects.delete(item["identifiers"])


def _delivery_event(world: World, item: Item) -> Outcome:
    world.deliveries.add_metric(str(item["identifiers"]["id"]), item["name"])
    return "applied"


_ACTIONS: dict[tuple[str, str], Callable[[World, Item], Outcome]] = {
    ("person", "identify"): _identify,
    ("person", "delete"): _delete,
    ("person", "event"): World.record_event,
    ("person", "screen"): World.record_event,
    ("person", "page"): World.record_event,
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
