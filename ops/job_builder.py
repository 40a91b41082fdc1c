"""From what an operator gives to a job that can be published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ops.jobs import check, read_person
from shared.jobs import InvalidJob, new_ulid
from shared.topology import topology

# What an exported dead letter has beside what is published.
_EXPORTED = "dead_letter"


@dataclass(frozen=True, slots=True)
class Job:
    """A job that its function would take."""

    data: bytes = field(repr=False)
    attributes: dict[str, str] = field(repr=False)
    ordering_key: str = field(repr=False)


def job(kind: str, text: bytes, given: Mapping[str, str]) -> Job:
    """Check one job and complete it.

    Args:
        kind: of job.
        text: its body as JSON, or ``{"data": body, "attributes": {...}}`` as ``dead-letters export`` writes it.
        given: attributes; those of ``text`` come before them.

    Raises:
        InvalidJob: it can never succeed.
    """
    data, own = _unwrapped(text)
    attributes = {"job_id": new_ulid(), **given, **own}
    persons = check(kind, data, attributes)
    return Job(data, attributes, persons[0] if topology().topics[kind].ordered else "")


def body(kind: str, person: str | None, name: str | None, values: Mapping[str, Any]) -> bytes:
    """The body of a job from flags: ``values`` are attributes of the person or event, or fields of anything else."""
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


def values(assignments: Iterable[str]) -> dict[str, Any]:
    """``["plan=pro", "vip=true", "total=3"]`` as a mapping. A value is JSON where it is, otherwise text.

    Raises:
        ValueError: one has no name or no ``=``.
    """
    return dict(_assignment(text) for text in assignments)


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = "must be NAME=VALUE"
        raise ValueError(message)
    try:
        return name, msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return name, value


def _unwrapped(text: bytes) -> tuple[bytes, dict[str, str]]:
    try:
        line = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text, {}  # the check of the body says what is wrong
    if not isinstance(line, dict):
        return text, {}
    if _EXPORTED in line and "data" not in line:
        raise InvalidJob("data", "is missing: export with --reveal, and only jobs that are JSON can be published again")
    if not (line.keys() >= {"data", "attributes"} and line.keys() <= {"data", "attributes", _EXPORTED}):
        return text, {}
    try:
        own = msgspec.convert(line["attributes"], dict[str, str])
    except msgspec.ValidationError:
        raise InvalidJob("attributes", "must be an object of texts") from None
    return msgspec.json.encode(line["data"]), own
