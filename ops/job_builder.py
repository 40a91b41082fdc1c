"""Build jobs that can be published from flags, JSON or exported dead letters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ops.jobs import check, read_person
from shared.jobs import InvalidJob, new_ulid
from shared.topology import topology

# An exported dead letter has this field beside the two that are published.
_EXPORTED_FIELD = "dead_letter"


@dataclass(frozen=True, slots=True)
class Job:
    """A checked job, complete with attributes and ordering key."""

    data: bytes = field(repr=False)
    attributes: dict[str, str] = field(repr=False)
    ordering_key: str = field(repr=False)


def build(kind: str, text: bytes, given: Mapping[str, str]) -> Job:
    """Check one job and complete it.

    Args:
        kind: Kind of job, e.g. ``"send"``.
        text: The job's body as JSON, or ``{"data": body, "attributes": {...}}`` as ``dead-letters export`` writes it.
        given: Attributes. Those in ``text`` take precedence.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    data, own = unwrapped(text)
    attributes = {"job_id": new_ulid(), **given, **own}
    persons = check(kind, data, attributes)
    return Job(data, attributes, persons[0] if topology().topics[kind].ordered else "")


def body_from_flags(kind: str, person: str | None, name: str | None, values: Mapping[str, Any]) -> bytes:
    """Build a job's body from flags.

    Args:
        kind: Kind of job.
        person: Identifier of the person as ``read_person`` takes it, or None.
        name: Name of the event, or None.
        values: Attributes of the person or event; for other kinds, fields of the body.
    """
    identifiers: dict[str, Any] = {} if person is None else {"identifiers": dict([read_person(person)])}
    match kind:
        case "identify":
            made = identifiers | {"attributes": dict(values)}
        case "track":
            made = identifiers | ({} if name is None else {"name": name}) | {"attributes": dict(values)}
        case "sync":
            made = dict([read_person(person)] if person is not None else []) | dict(values)
        case _:
            made = identifiers | dict(values)
    return msgspec.json.encode(made)


def read_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read assignments such as ``["plan=pro", "total=3"]``. A value that is JSON is decoded; any other is text.

    Raises:
        ValueError: if an assignment has no name or no ``=``.
    """
    return dict(_assignment(text) for text in assignments)


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError("must be NAME=VALUE")
    try:
        return name, msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return name, value


def unwrapped(text: bytes) -> tuple[bytes, dict[str, str]]:
    """Read a body, or ``{"data": body, "attributes": {...}}``, as the body and the attributes.

    Raises:
        InvalidJob: if the attributes are not texts, or an exported dead letter does not have its body.
    """
    try:
        line = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text, {}  # the check of the body describes the problem
    if not isinstance(line, dict):
        return text, {}
    if _EXPORTED_FIELD in line and "data" not in line:
        raise InvalidJob("data", "is missing: export with --reveal, and only jobs that are JSON can be published again")
    if not (line.keys() >= {"data", "attributes"} and line.keys() <= {"data", "attributes", _EXPORTED_FIELD}):
        return text, {}
    try:
        own = msgspec.convert(line["attributes"], dict[str, str])
    except msgspec.ValidationError:
        raise InvalidJob("attributes", "must be an object whose values are strings") from None
    return msgspec.json.encode(line["data"]), own
