"""Python values as JSON: a value with one meaning in JSON is converted, an ambiguous one is refused."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from ..errors import InvalidJob
from .checks import check_timestamp


def to_json(value: Any, field: str = "") -> Any:
    """Convert aware datetimes to unix seconds, tuples to lists, and subclasses of text and numbers to their base types.

    Raises:
        InvalidJob: if the value holds a naive datetime, a date, NaN, infinity, or anything else that JSON has not.
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
            raise InvalidJob(field, "must be a datetime with a time zone, or text: a date alone is not an instant")
        case Mapping():
            return {_name(name, field): to_json(each, f"{field}.{name}".lstrip(".")) for name, each in value.items()}
        case list() | tuple():
            return [to_json(each, f"{field}[{number}]") for number, each in enumerate(value)]
        case _:
            raise InvalidJob(field, f"must be a JSON value, not {type(value).__name__}: convert it first")


def unix_seconds(when: datetime | int, field: str) -> int:
    """Convert an aware datetime to unix seconds, and check an int that is unix seconds already."""
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise InvalidJob(field, "must be a datetime with a time zone: a naive one is ambiguous")
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
    # str() of an enum member may be its name instead of its value.
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
