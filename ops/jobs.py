"""Check jobs as the functions do, and find the persons they are about."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.attributes import JobAttributes
from shared.events import NotAnEventError, read_event
from shared.jobs import InvalidJob, parse, subjects
from shared.jobs.operation import person_key

_IDENTIFIERS = ("id", "email", "phone", "cio_id", "anonymous_id")


def check(kind: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Check a job as its function does.

    Returns:
        Keys of the persons the job is about, such as ``id:42``; the person it is ordered by comes first.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    persons = _parse(kind, data, attributes)
    if (problem := expiry_problem(attributes)) is not None:
        raise InvalidJob("expires_at", problem)
    JobAttributes.decode(attributes)
    return persons


def expiry_problem(attributes: Mapping[str, str]) -> str | None:
    """Judge the attribute ``expires_at`` as a function would now; None if the job may be done."""
    now = datetime.now(UTC)
    try:
        read = JobAttributes.decode({name: attributes[name] for name in ("expires_at",) if name in attributes})
    except InvalidJob as error:
        return error.problem
    if read.expires_at is None or (expired := read.expired(now)) is None:
        return None
    return f"{expired.message}, {_ago((now - read.expires_at).total_seconds())}"


def persons(kind: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Find the keys of the persons that a job or event names, even if it is invalid. An outcome names nobody."""
    if kind == "outcomes":
        return ()
    try:
        return tuple(filter(None, [read_event(data).person])) if kind == "events" else _parse(kind, data, attributes)
    except (InvalidJob, NotAnEventError):
        return _named(data)


def read_person(text: str) -> tuple[str, str]:
    """Read an identifier as operators write it: ``id:42``, ``email:a@example.com``, or a value alone.

    A value alone is an email address if it contains ``@``, otherwise an id.
    """
    name, colon, value = text.partition(":")
    if colon and name in _IDENTIFIERS:
        return name, value
    return ("email" if "@" in text else "id"), text


def _ago(seconds: float) -> str:
    for unit, size in (("year", 31_557_600), ("day", 86_400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // size):
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _parse(kind: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, ...]:
    return subjects(parse(kind, data, JobAttributes.decode(attributes)))


def _named(data: bytes) -> tuple[str, ...]:
    """Find what looks like identifiers in a body that could not be parsed."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    if not isinstance(body, dict):
        return ()
    identifiers: Any = body.get("identifiers", body)
    if not isinstance(identifiers, dict):
        return ()
    return tuple(
        person_key(name, str(identifiers[name]))
        for name in _IDENTIFIERS
        if isinstance(identifiers.get(name), str | int) and not isinstance(identifiers[name], bool)
    )
