"""Customer.io's filter of people: `and`, `or`, `not`, `segment`, `attribute` with the operators `eq` and `exists`.

Broadcasts, the people search and exports take the same grammar: https://docs.customer.io/integrations/api/app/
"""

from typing import Any

import msgspec

from local.customerio.people import Person
from local.customerio.segments import Segments

_IDENTIFIERS = ("id", "email", "phone", "cio_id")


def filter_problem(value: Any) -> str | None:
    """Return the first problem of a filter, or None."""
    match value:
        case {"and": [*parts]} | {"or": [*parts]} if len(value) == 1:
            return next((problem for part in parts if (problem := filter_problem(part))), None)
        case {"not": part} if len(value) == 1:
            return filter_problem(part)
        case (
            {"segment": {"id": int()}}
            | {"attribute": {"field": str(), "operator": "exists"}}
            | {"attribute": {"field": str(), "operator": "eq", "value": _}}
        ) if len(value) == 1:
            return None
        case _:
            return "must be exactly one of and, or, not, segment, attribute (operator eq or exists)"


def matches(value: Any, person: Person, segments: Segments) -> bool:  # noqa: PLR0911 - one per case
    """Whether a person passes a filter. A filter that is not valid matches nobody."""
    match value:
        case {"and": [*parts]}:
            return all(matches(part, person, segments) for part in parts)
        case {"or": [*parts]}:
            return any(matches(part, person, segments) for part in parts)
        case {"not": part}:
            return not matches(part, person, segments)
        case {"segment": {"id": int(segment)}}:
            return segments.contains(segment, person)
        case {"attribute": {"field": str(field), "operator": "exists"}}:
            return attribute(person, field) is not None
        case {"attribute": {"field": str(field), "operator": "eq", "value": wanted}}:
            return _equal(attribute(person, field), wanted)
        case _:
            return False


def attribute(person: Person, name: str) -> Any:
    """An attribute or identifier of a person, None if there is none."""
    return getattr(person, name) if name in _IDENTIFIERS else person.attributes.get(name)


def _equal(found: Any, wanted: Any) -> bool:
    # The value of a filter is declared as text, while attributes hold JSON's types: true and "true" are the same here.
    return found is not None and attribute_text(found) == attribute_text(wanted)


def attribute_text(value: Any) -> str:
    """An attribute's value as the App API shows it: always text, JSON for what is no plain value."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
