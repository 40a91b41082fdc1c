"""Objects (accounts, courses, ...) that people are related to."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from local.customerio.counts import Outcome
from local.customerio.ids import new_cio_id
from local.customerio.people import ObjectKey


class Object(msgspec.Struct):
    object_type_id: str
    object_id: str
    cio_object_id: str
    attributes: dict[str, Any] = {}

    @property
    def key(self) -> ObjectKey:
        return self.object_type_id, self.object_id


class Objects:
    def __init__(self) -> None:
        self._by_key: dict[ObjectKey, Object] = {}
        self._by_cio_id: dict[str, Object] = {}

    def __iter__(self) -> Iterator[Object]:
        return iter(self._by_key.values())

    def find(self, identifiers: Mapping[str, Any]) -> Object | None:
        if "cio_object_id" in identifiers:
            return self._by_cio_id.get(str(identifiers["cio_object_id"]))
        return self._by_key.get((identifiers["object_type_id"], str(identifiers["object_id"])))

    def find_or_create(self, identifiers: Mapping[str, Any]) -> Object | None:
        """The object, created if there is none. None if a cio_object_id names nothing: the operation is dropped."""
        known = self.find(identifiers)
        if known is not None or "cio_object_id" in identifiers:
            return known
        created = Object(identifiers["object_type_id"], str(identifiers["object_id"]), f"ob{new_cio_id()}")
        self._by_key[created.key] = self._by_cio_id[created.cio_object_id] = created
        return created

    def delete(self, identifiers: Mapping[str, Any]) -> Outcome:
        known = self.find(identifiers)
        if known is None:
            return "unknown_object"
        del self._by_key[known.key], self._by_cio_id[known.cio_object_id]
        return "applied"
