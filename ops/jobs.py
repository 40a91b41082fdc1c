"""Jobs as the functions judge them, and whom they are about."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from shared.attributes import JobAttributes
from shared.events import NotAnEventError, read_event
from shared.jobs import InvalidJob, parse, subjects
from shared.jobs.operation import person_key
from shared.outcome import Failed

Guarantee = Literal["at_least_once", "at_most_once"]
"""Values of ``delivery_guarantee``."""

_IDENTIFIERS = ("id", "email", "phone", "cio_id", "anonymous_id")


def check(kind: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Check a job as its function does.

    Returns:
        Keys of the persons that it is about, such as ``id:42``; the one it is ordered by comes first.

    Raises:
        InvalidJob: it can never succeed.
    """
    persons = _parse(kind, data, attributes)
    guarantee = attributes.get("delivery_guarantee")
    if guarantee is not None and guarantee not in get_args(Guarantee):
        raise InvalidJob("delivery_guarantee", f"must be one of {', '.join(get_args(Guarantee))}")
    if (late := expiry(attributes)) is not None:
        raise InvalidJob("expires_at", late.message)
    return persons


def expiry(attributes: Mapping[str, str]) -> Failed | None:
    """What a function would say now of the attribute ``expires_at``; None when it does not object."""
    try:
        return JobAttributes.decode({"expires_at": attributes["expires_at"]}).expired(datetime.now(UTC))
    except KeyError:
        return None
    except InvalidJob as error:
        return Failed(error_class="invalid_job", reason="invalid", field=error.field, message=error.problem)


def persons(kind: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Keys of the persons that a job or an event names, also when it cannot succeed as it is."""
    try:
        return tuple(filter(None, [read_event(data).person])) if kind == "events" else _parse(kind, data, attributes)
    except (InvalidJob, NotAnEventError):
        return _named(data)


def read_person(text: str) -> tuple[str, str]:
    """Name and value of an identifier as operators write it: ``id:42``, ``email:a@example.com``, or the value alone."""
    name, colon, value = text.partition(":")
    if colon and name in _IDENTIFIERS:
        return name, value
    return ("email" if "@" in text else "id"), text


def _parse(kind: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, ...]:
    return subjects(parse(kind, data, attributes))


def _named(data: bytes) -> tuple[str, ...]:
    """What looks like an identifier in a body of which nothing is certain."""
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
