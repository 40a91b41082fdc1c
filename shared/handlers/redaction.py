"""Freeing a message of Customer.io's from the values of the job that it quotes: it goes into logs and attributes."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_MARK = "[redacted]"
# Shorter values are words like "pro", which a message may hold by chance and which tell nothing about a person.
_SHORTEST = 6
_EMAIL = re.compile(r"[^\s\"'<>:,;]+@[^\s\"'<>:,;]+")


def redacted(message: str, data: bytes) -> str:
    """``message`` without the values of the JSON in ``data``, and without anything like an email address."""
    message = without_addresses(message)
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return message
    for value in sorted(set(_values(body)), key=len, reverse=True):
        if len(value) >= _SHORTEST:
            message = message.replace(value, _MARK)
    return message


def without_addresses(text: str) -> str:
    """``text`` without anything like an email address: an attribute's name can be one."""
    return _EMAIL.sub(_MARK, text)


def _values(node: Any) -> Iterator[str]:
    # Not by recursion: JSON may be nested deeper than Python's stack.
    left = [node]
    while left:
        match left.pop():
            case dict() as branch:
                left += branch.values()
            case list() as branch:
                left += branch
            case str() | int() | float() as leaf:
                yield str(leaf)
