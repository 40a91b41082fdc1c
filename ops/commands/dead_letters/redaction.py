"""What may be seen of a job without ``--reveal``: its shape, not its values."""

import re
from typing import Any

import msgspec

from shared.redaction import loggable_key

# Names such as plan or order-total. Others, such as an email address used as a key, are values.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
# Values that say what a job is, and nothing about whom.
_TELLING = frozenset({"type", "action", "broadcast_id", "transactional_message_id", "metric", "object_type"})
_PLAIN_ATTRIBUTES = frozenset({"channel", "expires_at", "delivery_guarantee"})


def shape_of(data: bytes) -> Any:
    """A job's body with every value replaced by its kind and size, but for what says which job it is."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"<not JSON, {len(data)} bytes>"
    if not isinstance(body, dict):
        return _shape(body)
    return {_name(key): value if _tells(key, value) else _shape(value) for key, value in body.items()}


def _tells(name: str, value: Any) -> bool:
    if name not in _TELLING:
        return False
    return isinstance(value, int) or (isinstance(value, str) and _NAME.fullmatch(value) is not None)


def _shape(node: Any) -> Any:
    match node:
        case dict():
            return {_name(key): _shape(value) for key, value in node.items()}
        case list():
            return [_shape(value) for value in node]
        case str():
            return f"<text, {len(node)} characters>"
        case None:
            return None
        case bool():
            return "<true or false>"
        case _:
            return "<number>"


def _name(key: str) -> str:
    return key if _NAME.fullmatch(key) else f"<name, {len(key)} characters>"


def attributes(given: dict[str, str], *, reveal: bool) -> dict[str, str]:
    """Attributes for showing: ours as they are, of others the size of the value."""
    if reveal:
        return given
    return {name: _attribute(name, value) for name, value in given.items()}


def _attribute(name: str, value: str) -> str:
    if name == "job_id":
        return loggable_key(value)
    return value if name in _PLAIN_ATTRIBUTES else f"<text, {len(value)} characters>"
