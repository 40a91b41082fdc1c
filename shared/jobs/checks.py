"""Checks that every kind of job shares: that it is JSON of the documented form, and within the published limits.

The body that is sent is the one that came, with defaults added. Fields that we do not know pass through, because
Customer.io adds some; a broadcast is the exception (see ``broadcast.py``).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import InvalidJob
from . import limits

Body = dict[str, Any]
Form = TypeVar("Form")

_decode = msgspec.json.Decoder().decode
_PATH = re.compile(r"^(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_VALUE = re.compile(r"Invalid enum value .*", re.DOTALL)
_GOT = re.compile(r"got `(\w+)`$")
# A name that can be repeated in a message. Anything else may be a value that somebody used as a name.
_FIELD_NAME = re.compile(r"[a-z_]{1,40}")
# msgspec's names for JSON types, as we print them.
_JSON_TYPES = {
    "str": "a string",
    "float": "a decimal number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
}
_INSTANTS = frozenset({"timestamp", "last_used", "send_at"})
# "A leading + followed by up to 15 digits". No country code begins with 0.
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
# Re-encoding can make a body up to four times longer: msgspec writes 1e15 as 1000000000000000.0. Defaults, an event id
# and its timestamp add at most 1 KB.
_MAX_REENCODING_FACTOR = 4
_MAX_ADDED_BYTES = 1024


def check_data_size(data: bytes, limit: int) -> None:
    """Refuse a message's data by its length, before anything is parsed.

    Raises:
        InvalidJob: if the data has more than ``limit`` bytes.
    """
    if len(data) > limit:
        raise InvalidJob("body", f"must be at most {limit} bytes; it has {len(data)}")


def read_object(data: bytes, *, max_brackets: int = limits.MAX_BRACKETS, max_commas: int = limits.MAX_COMMAS) -> Body:
    """Decode one JSON object from a message's data (UTF-8 bytes).

    Args:
        data: The data.
        max_brackets: Opening brackets and braces that the data may hold, those in texts included.
        max_commas: Commas that the data may hold, those in texts included.

    Raises:
        InvalidJob: if the data is not a JSON object, has too many parts, or nests deeper than 500 levels.
    """
    brackets = data.count(b"{") + data.count(b"[")
    if brackets > max_brackets:
        raise InvalidJob("body", f"must have at most {max_brackets} objects and arrays; it has {brackets}")
    if (commas := data.count(b",")) > max_commas:
        raise InvalidJob("body", f"must have at most {max_commas} commas; it has {commas}")
    try:
        body = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The parser's text may quote the body.
        raise InvalidJob("body", "must be JSON in UTF-8, without NaN or Infinity") from None
    if not isinstance(body, dict):
        raise InvalidJob("body", f"must be a JSON object, not {_json_type(body)}")
    # Most bodies have fewer brackets than levels are allowed, and need not be walked.
    if brackets > limits.MAX_NESTING and _is_deeper(body, limits.MAX_NESTING):
        raise InvalidJob("body", f"must be nested at most {limits.MAX_NESTING} levels deep")
    return body


# Applications run this on Python 3.11, which has no `def check_form[Form]`.
def check_form(body: object, form: type[Form]) -> Form:  # noqa: UP047
    """Convert ``body`` to ``form``: types, required fields, nesting. Unknown fields pass unless the form forbids them.

    Raises:
        InvalidJob: if a field is missing or has another type.
    """
    try:
        return msgspec.convert(body, form)
    except msgspec.ValidationError as error:
        raise _invalid_job(str(error)) from None


def check_identifiers(
    identifiers: Mapping[str, Any], names: Iterable[str], field: str = "identifiers"
) -> tuple[str, str]:
    """Find the one identifier that is given.

    Returns:
        Its name, and its value as text: Customer.io stores numbers as text.

    Raises:
        InvalidJob: if there is none or more than one, or its value is empty, too long or not of its form.
    """
    given = [(name, identifiers[name]) for name in names if identifiers.get(name) is not None]
    if len(given) != 1:
        listed = ", ".join(names)
        problem = f"must have exactly one of {listed}; it has {len(given)}"
        raise InvalidJob(field, problem)
    name, value = given[0]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidJob(f"{field}.{name}", f"must be text or a whole number, not {_json_type(value)}")
    text = str(value)
    check_id(text, f"{field}.{name}")
    if name == "email":
        check_email(text, f"{field}.email")
    if name == "phone" and not _PHONE.fullmatch(text):
        raise InvalidJob(f"{field}.phone", "must be E.164: + and up to 15 digits")
    return name, text


def check_email(text: str, field: str) -> None:
    if "@" not in text:
        raise InvalidJob(field, "must be an email address")


def check_id(text: str, field: str) -> None:
    check_not_empty(text, field)
    check_bytes(text, limits.MAX_ID_BYTES, field)


def check_not_empty(text: str, field: str) -> None:
    if not text.strip():
        raise InvalidJob(field, "must not be empty")


def check_bytes(text: str, limit: int, field: str) -> None:
    # A character is one to four bytes: most texts need not be encoded to be counted.
    if len(text) * 4 > limit and (size := len(text.encode())) > limit:
        raise InvalidJob(field, f"must be at most {limit} bytes; it has {size}")


def check_attributes(attributes: Mapping[str, Any], field: str = "attributes") -> None:
    """Check the attributes of a person or an object against their limits."""
    if len(attributes) > limits.MAX_ATTRIBUTES:
        raise InvalidJob(field, f"must be at most {limits.MAX_ATTRIBUTES} attributes; it has {len(attributes)}")
    longest = limits.MAX_ATTRIBUTE_NAME_BYTES
    for name, value in attributes.items():
        if len(name) * 4 > longest and (size := len(name.encode())) > longest:
            raise InvalidJob(field, f"has a name of {size} bytes; a name has at most {longest}")
        if isinstance(value, str):
            check_bytes(value, limits.MAX_ATTRIBUTE_VALUE_BYTES, f"{field}.{name}")


def check_timestamp(value: Any, field: str = "timestamp") -> None:
    """Check that ``value`` is unix seconds or None: Customer.io silently reads anything else as "now"."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJob(field, f"must be unix seconds as a whole number, not {_json_type(value)}")
    if value >= limits.MAX_TIMESTAMP:
        raise InvalidJob(field, "must be unix seconds; this looks like milliseconds")
    if value <= limits.MIN_TIMESTAMP:
        raise InvalidJob(field, f"must be unix seconds after {limits.MIN_TIMESTAMP}")


def check_item_size(body: Body, data_bytes: int) -> None:
    """Check the size of one Track item.

    Args:
        body: The item as it will be sent.
        data_bytes: Length of the message's data. A short one makes measuring unnecessary.
    """
    if (
        data_bytes * _MAX_REENCODING_FACTOR > limits.MAX_ITEM_BYTES - _MAX_ADDED_BYTES
        and (size := len(msgspec.json.encode(body))) > limits.MAX_ITEM_BYTES
    ):
        raise InvalidJob("body", f"must be at most {limits.MAX_ITEM_BYTES} bytes; it has {size}")


def _is_deeper(body: Body, levels: int) -> bool:
    level: list[Any] = [body]
    for _ in range(levels):
        below = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
        level = [child for child in below if isinstance(child, dict | list)]
    return bool(level)


def _invalid_job(text: str) -> InvalidJob:
    """Translate msgspec's message."""
    match = _PATH.match(text)
    problem, path = (match["problem"], match["path"] or "") if match else ("does not have the documented form", "")
    if missing := _MISSING.fullmatch(problem):
        return InvalidJob(f"{path}.{missing[1]}".lstrip("."), "is required")
    if unknown := _UNKNOWN.fullmatch(problem):
        if not _FIELD_NAME.fullmatch(unknown[1]):
            return InvalidJob(path or "body", "has a field that is not documented")
        return InvalidJob(f"{path}.{unknown[1]}".lstrip("."), "is not a documented field: a misspelt one?")
    if path.rpartition(".")[2] in _INSTANTS and (got := _GOT.search(problem)):
        return InvalidJob(path, f"must be unix seconds as a whole number, not {_JSON_TYPES.get(got[1], got[1])}")
    problem = _VALUE.sub("is not one of the documented values", problem).replace("`", "")
    return InvalidJob(path or "body", problem[:1].lower() + problem[1:])


def _json_type(value: Any) -> str:  # noqa: PLR0911 - one word per JSON type
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
