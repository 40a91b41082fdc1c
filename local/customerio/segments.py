"""Manual segments: named lists of people that the application keeps. Data-driven segments are not simulated."""

import time
from collections.abc import Iterable, Iterator

import msgspec

from local.customerio.people import Person


class Segment(msgspec.Struct):
    """Times are unix seconds. `members` holds the cio_id of each person, in order of joining."""

    id: int
    name: str
    description: str
    created_at: int
    updated_at: int
    members: dict[str, None] = {}


class Segments:
    def __init__(self) -> None:
        self._by_id: dict[int, Segment] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._by_id.values())

    def find(self, segment_id: int) -> Segment | None:
        return self._by_id.get(segment_id)

    def create(self, name: str, description: str) -> Segment:
        self._last_id += 1
        now = int(time.time())
        segment = self._by_id[self._last_id] = Segment(self._last_id, name, description, now, now)
        return segment

    def delete(self, segment_id: int) -> bool:
        return self._by_id.pop(segment_id, None) is not None

    def contains(self, segment_id: int, person: Person) -> bool:
        segment = self._by_id.get(segment_id)
        return segment is not None and person.cio_id in segment.members

    def containing(self, person: Person) -> list[Segment]:
        return [segment for segment in self._by_id.values() if person.cio_id in segment.members]

    def change(self, segment_id: int, *, add: Iterable[Person] = (), remove: Iterable[Person] = ()) -> None:
        """Add and remove people. A segment that does not exist is ignored: the Track API answers 200 all the same."""
        segment = self._by_id.get(segment_id)
        if segment is None:
            return
        segment.members.update(dict.fromkeys(person.cio_id for person in add))
        for person in remove:
            segment.members.pop(person.cio_id, None)
        segment.updated_at = int(time.time())

    def merge(self, kept: Person, merged_away: Person) -> None:
        """Put the kept person into every segment that the other was in."""
        for segment in self.containing(merged_away):
            segment.members.pop(merged_away.cio_id)
            segment.members[kept.cio_id] = None
