"""Python values as Customer.io's JSON: what has one meaning is converted, what has several is refused."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from .checks import check_timestamp
from .errors import InvalidJob


def plain(value: Any, field: str = "") -> Any:
    """``value`` with aware datetimes as unix seconds, tuples as lists, and subclasses of text and numbers as those.

    Raises:
        InvalidJob: it holds a naive datetime, a date, NaN, infinity, or something that is no JSON.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return _number(value, field)
        case str():
            return _text(value, field)
        case datetime():
            return unix_seconds(value, field)
        case date():
            raise InvalidJob(field, "must be an aware datetime or text: a date alone is no instant")
        case Mapping():
            return {_name(name, field): plain(each, f"{field}.{name}".lstrip(".")) for name, each in value.items()}
        case list() | tuple():
            return [plain(each, f"{field}[{number}]") for number, each in enumerate(value)]
        case _:
            raise InvalidJob(field, f"must be JSON: {type(value).__name__} has no one meaning there, convert it first")


def unix_seconds(when: datetime | int, field: str) -> int:
    """Unix seconds of an aware datetime, or of what are unix seconds already."""
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise InvalidJob(
                field, "must be a datetime with a time zone: nobody can tell which instant a naive one means"
            )
        return math.floor(when.timestamp())
    check_timestamp(when, field)
    return when


def _number(value: float, field: str) -> int | float:
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value):
        raise InvalidJob(field, "must be a finite number")
    return float(value)


def _text(value: str, field: str) -> str:
    if not _is_unicode(value):
        raise InvalidJob(field, "must be text that UTF-8 can write: it holds half a surrogate pair")
    # str() of an enum's member would be its name.
    return str.__str__(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(name: Any, field: str) -> str:
    if not isinstance(name, str):
        raise InvalidJob(field, f"must have text as names, not {type(name).__name__}")
    if not _is_unicode(name):
        raise InvalidJob(field, "has a name that UTF-8 cannot write")
    return name
