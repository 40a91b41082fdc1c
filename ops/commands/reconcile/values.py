"""One text for each value, whichever side it comes from: JSON here, the cells of a CSV file at Customer.io."""

import re
from typing import Any

import msgspec

from shared.jobs.sync import TOPIC_PREFIX

EMAIL = "email"
UNSUBSCRIBED = "unsubscribed"
PREFERENCES = "cio_subscription_preferences"

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Customer.io takes true in any case, 1 and "1" as unsubscribed, and everything else as subscribed.
_UNSUBSCRIBED = frozenset({"true", "1"})
_OPT_INS = frozenset({"marketing_opt_in", "transactional_opt_in"})
# The form of booleans in an export is not documented.
_ALTERNATES = {"true": "1", "false": "0"}


def is_consent(name: str) -> bool:
    return name == UNSUBSCRIBED or name in _OPT_INS or name.startswith(PREFERENCES)


def opts_out(name: str, value: Any) -> bool:
    """Whether a value of the record says that the person does not want messages."""
    return value is True if name == UNSUBSCRIBED else is_consent(name) and value is False


def wanted_text(name: str, value: Any) -> tuple[str, str | None]:
    """The text of a record's value, empty for null, and another one that means the same in an export, or None."""
    text = _text(value)
    if name == UNSUBSCRIBED:
        return str(text in _UNSUBSCRIBED).lower(), None
    if name == EMAIL:
        return text.lower(), None
    return text, _ALTERNATES.get(text) if isinstance(value, bool) else None


def found_texts(cells: dict[str, str], names: set[str]) -> dict[str, str]:
    """The texts of the wanted attributes out of one person's cells; what is empty is left out."""
    found = {name: _text(cells[name]) for name in names if cells.get(name)}
    if EMAIL in found:
        found[EMAIL] = found[EMAIL].lower()
    found[UNSUBSCRIBED] = str(cells.get(UNSUBSCRIBED, "").lower() in _UNSUBSCRIBED).lower()
    if any(name.startswith(TOPIC_PREFIX) for name in names):
        found |= {
            f"{TOPIC_PREFIX}{topic}": _text(value) for topic, value in _topics(cells.get(PREFERENCES, "")).items()
        }
    return {name: text for name, text in found.items() if name in names and text}


def columns(names: set[str]) -> list[str]:
    """The attributes to ask an export for."""
    return sorted({PREFERENCES if name.startswith(PREFERENCES) else name for name in names} | {UNSUBSCRIBED})


def _topics(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    topics = found.get("topics") if isinstance(found, dict) else None
    return {name: value for name, value in topics.items() if value is not None} if isinstance(topics, dict) else {}


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case str():
            return _text_of_text(value)
        case _:
            return msgspec.json.encode(value, order="deterministic").decode()


def _text_of_text(text: str) -> str:
    """Read what looks like JSON as JSON: an export writes every value as text."""
    if text.lower() in _ALTERNATES:
        return text.lower()
    if _NUMBER.fullmatch(text) or text[:1] in {"[", "{"}:
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return text
        return text if isinstance(value, str) else _text(value)
    return text
