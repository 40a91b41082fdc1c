"""People: identifiers, attributes, devices, relationships, suppression.

Customer.io publishes no rule for some cases. Here the workspace's setting "Allow updates to email using ID" is on, so
an id may change an email, while only a cio_id may change an id. Suppressing a person blocks all of their identifiers,
and unsuppressing one of them frees all.

In a workspace that identifies people by id only, several people may have one email address: ``shared_emails`` makes it
so. Then an address finds the person who had it first.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from local.customerio.counts import Outcome
from local.customerio.ids import new_cio_id
from shared.jobs import limits as published

type Key = tuple[str, str]
type ObjectKey = tuple[str, str]
type Identifier = Literal["id", "email", "phone"]

_IDENTIFIERS: tuple[Identifier, ...] = ("id", "email", "phone")
_NOT_ATTRIBUTES = frozenset({"id", "email", "phone", "cio_id", "anonymous_id", "_update", "_timestamp"})
_PREFERENCES = "cio_subscription_preferences."


class Person(msgspec.Struct):
    """One profile. `changed_at` is the unix time in seconds of the latest attribute change."""

    cio_id: str
    id: str | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: str | None = None
    attributes: dict[str, Any] = {}
    devices: dict[str, dict[str, Any]] = {}
    relationships: dict[ObjectKey, dict[str, Any]] = {}
    changed_at: int = 0
    merged_into: "Person | None" = None

    @property
    def unsubscribed(self) -> bool:
        """Whether `unsubscribed` is true (in any case), 1 or "1". Everything else counts as subscribed."""
        return str(self.attributes.get("unsubscribed", "")).lower() in {"true", "1"}

    @property
    def current(self) -> "Person":
        """The profile that this one was merged into, or this one."""
        person = self
        while person.merged_into is not None:
            person = person.merged_into
        return person

    @property
    def identifiers(self) -> dict[str, str | None]:
        return {"id": self.id, "email": self.email, "cio_id": self.cio_id}


def key_of(identifiers: Mapping[str, Any]) -> Key:
    """The index key of an operation's one identifier. Emails are compared without case."""
    kind, value = next(iter(identifiers.items()))
    return _key(kind, value)


def _key(kind: str, value: Any) -> Key:
    text = str(value)
    return kind, text.lower() if kind == "email" else text


class People:
    """All profiles.

    Attributes:
        shared_emails: Whether several people may have one email address.
    """

    def __init__(self) -> None:
        self.shared_emails = False
        self._index: dict[Key, Person] = {}
        self._suppressed: dict[Key, frozenset[Key]] = {}

    def __iter__(self) -> Iterator[Person]:
        return (person for (kind, _), person in self._index.items() if kind == "cio_id")

    @property
    def suppressed(self) -> set[frozenset[Key]]:
        """Blocked identifiers, grouped by the profile they belonged to."""
        return set(self._suppressed.values())

    def find(self, key: Key) -> Person | None:
        return self._index.get(key)

    def find_or_create(self, key: Key) -> Person | Outcome:
        """The person, created if there is none, or why not: "suppressed", "unknown_person" for an unknown cio_id."""
        if key in self._suppressed:
            return "suppressed"
        person = self._index.get(key)
        if person is not None:
            return person
        if key[0] == "cio_id":
            return "unknown_person"
        person = Person(new_cio_id())
        self._index["cio_id", person.cio_id] = person
        self._rename(person, key[0], key[1])
        return person

    def identify(self, key: Key, attributes: Mapping[str, Any], timestamp: int | None, now: int) -> Outcome:
        """Create or update a person.

        A `timestamp` older than the latest change drops the update. `_update` never creates a person.
        """
        known = self._index.get(key)
        if known is None and key not in self._suppressed and attributes.get("_update") is True:
            return "update_only"
        if known is not None and timestamp is not None and timestamp < known.changed_at:
            return "stale_timestamp"
        person = self.find_or_create(key)
        if not isinstance(person, Person):
            return person
        person.changed_at = max(person.changed_at, now if timestamp is None else timestamp)
        outcome = self._update_identifiers(person, key, attributes)
        if len(person.attributes) + len(attributes) > published.MAX_ATTRIBUTES:
            new = attributes.keys() - person.attributes.keys() - _NOT_ATTRIBUTES
            if len(person.attributes) + len(new) > published.MAX_ATTRIBUTES:
                return "attribute_update_failure"
        _set_attributes(person.attributes, attributes)
        return outcome

    def delete(self, key: Key) -> Outcome:
        person = self._index.get(key)
        if person is None:
            return "unknown_person"
        self._forget(person)
        return "applied"

    def suppress(self, key: Key) -> Outcome:
        person = self._index.get(key)
        group = frozenset({key} if person is None else self._keys(person))
        if person is not None:
            self._forget(person)
        self._suppressed.update(dict.fromkeys(group, group))
        return "applied"

    def unsuppress(self, key: Key) -> Outcome:
        for member in self._suppressed.get(key, ()):
            self._suppressed.pop(member, None)
        return "applied"

    def merge(self, primary: Key, secondary: Key) -> Outcome:
        """Fill the primary's gaps from the secondary, which goes away. Nothing happens unless both exist."""
        keeps, goes = self._index.get(primary), self._index.get(secondary)
        if keeps is None or goes is None or keeps is goes:
            return "unknown_person"
        keeps.attributes = goes.attributes | keeps.attributes
        keeps.devices = goes.devices | keeps.devices
        keeps.relationships = goes.relationships | keeps.relationships
        self._forget(goes)
        goes.merged_into = keeps
        for kind in _IDENTIFIERS:
            value = getattr(goes, kind)
            if value is not None and getattr(keeps, kind) is None:
                self._rename(keeps, kind, value)
        return "applied"

    def _update_identifiers(self, person: Person, key: Key, attributes: Mapping[str, Any]) -> Outcome:
        outcome: Outcome = "applied"
        for kind in _IDENTIFIERS:
            value = attributes.get(kind)
            if value is None or (wanted := _key(kind, value)) == key or self._index.get(wanted) is person:
                continue
            if kind == "email" and self.shared_emails and wanted not in self._suppressed:
                self._rename(person, kind, str(value))
                continue
            fixed = kind == "id" and person.id is not None and key[0] != "cio_id"
            if fixed or wanted in self._index or wanted in self._suppressed:
                outcome = "attribute_update_failure"
            else:
                self._rename(person, kind, str(value))
        anonymous = attributes.get("anonymous_id")
        if anonymous is not None:
            self._rename(person, "anonymous_id", str(anonymous))
        return outcome

    def _rename(self, person: Person, kind: str, value: str) -> None:
        old = getattr(person, kind)
        setattr(person, kind, value)
        if old is not None:
            self._free(_key(kind, old), person)
        if kind != "email" or _key(kind, value) not in self._index:
            self._index[_key(kind, value)] = person

    def _forget(self, person: Person) -> None:
        for key in [("cio_id", person.cio_id), *self._keys(person)]:
            self._free(key, person)
        if person.anonymous_id is not None:
            self._index.pop(("anonymous_id", person.anonymous_id), None)

    def _free(self, key: Key, person: Person) -> None:
        """Take the key off the person. Where addresses are shared it goes to the next one who has it."""
        if self._index.get(key) is not person:
            return
        del self._index[key]
        if key[0] == "email" and self.shared_emails:
            others = (each for each in self if each is not person and each.email and _key("email", each.email) == key)
            if (heir := next(others, None)) is not None:
                self._index[key] = heir

    def _keys(self, person: Person) -> set[Key]:
        return {_key(kind, value) for kind in _IDENTIFIERS if (value := getattr(person, kind)) is not None}


def _set_attributes(current: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if name in _NOT_ATTRIBUTES:
            continue
        if name.startswith(_PREFERENCES):
            _set_nested(current, name.split("."), value)
        else:
            current[name] = value


def _set_nested(current: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value below a dotted name, so that one topic can change without overwriting the others."""
    for step in path[:-1]:
        inner = current.get(step)
        if not isinstance(inner, dict):
            inner = current[step] = {}
        current = inner
    current[path[-1]] = value
