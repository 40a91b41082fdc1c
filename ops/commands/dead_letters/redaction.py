"""The part of a job that may be shown without ``--reveal``: its shape, not its values."""

import re
from typing import Any

import msgspec

from shared.redaction import loggable_key

# Names such as plan or order-total. Any other name, such as an email address used as a key, is treated as a value.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
# Top-level fields whose values say what a job is, and nothing about a person.
_SHOWN_FIELDS = frozenset({"type", "action", "broadcast_id", "transactional_message_id", "metric", "object_type"})
_SHOWN_ATTRIBUTES = frozenset({"channel", "expires_at", "delivery_guarantee"})


def shape_of(data: bytes) -> Any:
    """Replace every value in a job's body by its kind and size, except for those that say which job it is."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"<not JSON, {len(data)} bytes>"
    shape = _shape(body)
    if isinstance(body, dict):
        shape |= {name: body[name] for name in _SHOWN_FIELDS & body.keys() if _is_plain(body[name])}
    return shape


def _is_plain(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and _NAME.fullmatch(value) is not None)


def _shape(body: Any) -> Any:
    # Iterative, because a body may nest deeper than Python may recurse.
    root = [body]
    pending: list[tuple[Any, Any]] = [(root, 0)]
    while pending:
        container, position = pending.pop()
        node = container[position]
        match node:
            case dict():
                copied: Any = {_name(key): value for key, value in node.items()}
                pending.extend((copied, key) for key in copied)
            case list():
                copied = list(node)
                pending.extend((copied, index) for index in range(len(copied)))
            case _:
                copied = _leaf(node)
        container[position] = copied
    return root[0]


def _leaf(value: Any) -> Any:
    match value:
        case str():
            return f"<text, {len(value)} characters>"
        case None:
            return None
        case bool():
            return "<true or false>"
        case _:
            return "<number>"


def _name(key: str) -> str:
    return key if _NAME.fullmatch(key) else f"<name, {len(key)} characters>"


def attributes(given: dict[str, str], *, reveal: bool) -> dict[str, str]:
    """Select what to show of attributes: all with ``reveal``, otherwise our own values and the size of others."""
    if reveal:
        return given
    return {name: _attribute(name, value) for name, value in given.items()}


def _attribute(name: str, value: str) -> str:
    if name == "job_id":
        return loggable_key(value)
    return value if name in _SHOWN_ATTRIBUTES else f"<text, {len(value)} characters>"
