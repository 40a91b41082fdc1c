"""What every kind of job checks: that it is JSON of the documented form, and the published limits.

The body that is sent is the one that came, with defaults added: fields that we do not know pass through, because
Customer.io adds some.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from . import limits
from .errors import InvalidJob

Body = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_PATH = re.compile(r"^(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_VALUE = re.compile(r"Invalid enum value .*", re.DOTALL)
_GOT = re.compile(r"got `(\w+)`$")
# What msgspec calls the types of JSON.
_KINDS = {
    "str": "a string",
    "float": "a decimal number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
}
_INSTANTS = frozenset({"timestamp", "last_used", "send_at"})
# "A leading + followed by up to 15 digits", of which none begins a country's code with 0.
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
# Of a body that is written anew, and the bytes that defaults, an event's id and its time add to it.
_GROWTH = 4
_ADDED = 1024


def read_object(data: bytes) -> Body:
    """The JSON object in ``data``.

    Raises:
        InvalidJob: it is none, or is nested too deeply.
    """
    try:
        body = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The parser's text may quote the body.
        raise InvalidJob("body", "must be JSON in UTF-8, without NaN or Infinity") from None
    if not isinstance(body, dict):
        raise InvalidJob("body", f"must be a JSON object, not {_kind(body)}")
    # Most bodies have fewer brackets than that, and need not be walked.
    if data.count(b"{") + data.count(b"[") > limits.NESTING and _is_deeper(body, limits.NESTING):
        raise InvalidJob("body", f"must be nested at most {limits.NESTING} levels deep")
    return body


def check_form[T](body: object, form: type[T]) -> T:
    """``body`` as ``form``: types, required fields, nesting. Unknown fields are let through.

    Raises:
        InvalidJob: it does not fit.
    """
    try:
        return msgspec.convert(body, form)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None


def check_identifiers(
    identifiers: Mapping[str, Any], names: Iterable[str], field: str = "identifiers"
) -> tuple[str, str]:
    """The one identifier's name and value, as text; numbers are written as text, as Customer.io stores them.

    Raises:
        InvalidJob: none, several, empty or too long.
    """
    given = [(name, identifiers[name]) for name in names if identifiers.get(name) is not None]
    if len(given) != 1:
        listed = ", ".join(names)
        problem = f"must have exactly one of {listed}; it has {len(given)}"
        raise InvalidJob(field, problem)
    name, value = given[0]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidJob(f"{field}.{name}", f"must be text or a whole number, not {_kind(value)}")
    text = str(value)
    check_id(text, f"{field}.{name}")
    if name == "email" and "@" not in text:
        raise InvalidJob(f"{field}.email", "must be an email address")
    if name == "phone" and not _PHONE.fullmatch(text):
        raise InvalidJob(f"{field}.phone", "must be E.164: + and up to 15 digits")
    return name, text


def check_id(text: str, field: str) -> None:
    if not text.strip():
        raise InvalidJob(field, "must not be empty")
    check_bytes(text, limits.ID_BYTES, field)


def check_bytes(text: str, limit: int, field: str) -> None:
    # A character is one to four bytes: most texts need not be encoded to be counted.
    if len(text) * 4 > limit and (size := len(text.encode())) > limit:
        raise InvalidJob(field, f"must be at most {limit} bytes; it has {size}")


def check_attributes(attributes: Mapping[str, Any], field: str = "attributes") -> None:
    """Limits of the attributes of a person or an object."""
    if len(attributes) > limits.ATTRIBUTES:
        raise InvalidJob(field, f"must be at most {limits.ATTRIBUTES} attributes; it has {len(attributes)}")
    for name, value in attributes.items():
        if len(name) * 4 > limits.ATTRIBUTE_NAME_BYTES and len(name.encode()) > limits.ATTRIBUTE_NAME_BYTES:
            problem = f"has a name of {len(name.encode())} bytes; a name has at most {limits.ATTRIBUTE_NAME_BYTES}"
            raise InvalidJob(field, problem)
        if isinstance(value, str):
            check_bytes(value, limits.ATTRIBUTE_VALUE_BYTES, f"{field}.{name}")


def check_timestamp(value: Any, field: str = "timestamp") -> None:
    """Unix seconds: Customer.io silently takes anything else for now."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJob(field, f"must be unix seconds as a whole number, not {_kind(value)}")
    if value >= limits.LATEST_TIMESTAMP:
        raise InvalidJob(field, "must be unix seconds; this looks like milliseconds")
    if value <= limits.EARLIEST_TIMESTAMP:
        raise InvalidJob(field, f"must be unix seconds after {limits.EARLIEST_TIMESTAMP}")


def check_size(data: bytes, body: Body) -> None:
    """The size of one Track item, which is ``body`` as it will be sent."""
    # Most bodies need not be encoded to be measured: written anew, 1e15 becomes 1000000000000000.0, and nothing grows
    # by more than that.
    if (
        len(data) * _GROWTH > limits.ITEM_BYTES - _ADDED
        and (size := len(msgspec.json.encode(body))) > limits.ITEM_BYTES
    ):
        raise InvalidJob("body", f"must be at most {limits.ITEM_BYTES} bytes; it has {size}")


def _is_deeper(body: Body, levels: int) -> bool:
    level: list[Any] = [body]
    for _ in range(levels):
        below = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
        level = [child for child in below if isinstance(child, dict | list)]
    return bool(level)


def _explained(text: str) -> InvalidJob:
    match = _PATH.match(text)
    problem, path = (match["problem"], match["path"] or "") if match else ("does not have the documented form", "")
    if missing := _MISSING.fullmatch(problem):
        return InvalidJob(f"{path}.{missing[1]}".lstrip("."), "is required")
    if path.rpartition(".")[2] in _INSTANTS and (got := _GOT.search(problem)):
        return InvalidJob(path, f"must be unix seconds as a whole number, not {_KINDS.get(got[1], got[1])}")
    problem = _VALUE.sub("is not one of the documented values", problem).replace("`", "")
    return InvalidJob(path or "body", problem[:1].lower() + problem[1:])


def _kind(value: Any) -> str:  # noqa: PLR0911 - one word per type of JSON
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "a number"
        case float():
            return "a decimal number"
        case list():
            return "an array"
        case _:
            return "an object"
