"""Freeing a message of Customer.io's from the values of the job that it quotes: it goes into logs and attributes."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from .jobs import KINDS_AND_ACTIONS

_MARK = "[redacted]"
# Shorter values are words like "pro", which a message may hold by chance and which tell nothing about a person.
_SHORTEST = 6
# A message may quote a part of a value. Fewer characters in a row than that are alike by chance.
_RUN = 12
# Characters of a message that are worth keeping, and how many are looked at.
_KEPT, _READ = 1_000, 2_000
# Characters that are looked for in parts: of one value, because a quotation starts with its beginning, and of all, for
# the sake of the time.
_QUOTABLE, _SEARCHED = 20_000, 500_000
_EMAIL = re.compile(r"[^\s\"'<>:,;]+@[^\s\"'<>:,;]+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def redacted(message: str, data: bytes) -> str:
    """``message`` without the values of the JSON in ``data``, and without anything like an email address.

    A value is found as it is, escaped as in JSON, and in parts of at least 12 characters. What is long is cut.
    """
    text = _unescaped(message[:_READ])
    hidden = bytearray(len(text))
    for start, end in _spans(text, {_unescaped(value[:_QUOTABLE]) for value in _values(data)}):
        hidden[start:end] = b"\1" * (end - start)
    # Of a value that the cut went through, what is left may be too short to be found.
    end = min(_KEPT, len(text) - _RUN) if len(message) > _READ else _KEPT
    runs = groupby(zip(text[:end], hidden, strict=False), key=lambda pair: pair[1])
    return "".join(_MARK if is_hidden else "".join(character for character, _ in run) for is_hidden, run in runs)


def without_addresses(text: str) -> str:
    """``text`` without anything like an email address: an attribute's name can be one."""
    return _EMAIL.sub(_MARK, text)


def _spans(text: str, values: Iterable[str]) -> Iterator[tuple[int, int]]:
    for found in _EMAIL.finditer(text):
        yield found.span()
    for value in values:
        start = text.find(value) if len(value) >= _SHORTEST else -1
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + 1)
    all_values = "\0".join(values)[:_SEARCHED]
    for start in range(len(text) - _RUN + 1):
        if text[start : start + _RUN] in all_values:
            yield start, start + _RUN


def _unescaped(text: str) -> str:
    """``text`` as it was before it was quoted, however often: in JSON, in JSON within JSON, as Go quotes."""
    while (plain := _ESCAPE.sub(_character, text)) != text:
        text = plain
    # Both halves of a pair are one character.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)


def _values(data: bytes) -> Iterator[str]:
    try:
        left = [msgspec.json.decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    # Not by recursion: JSON may be nested deeper than Python's stack.
    while left:
        match left.pop():
            case dict() as branch:
                left += branch.values()
            case list() as branch:
                left += branch
            case str() | int() | float() as leaf if leaf not in KINDS_AND_ACTIONS:
                yield str(leaf)
