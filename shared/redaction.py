"""Frees Customer.io's words from the values of the job that they quote, before they go into logs and attributes."""

import hashlib
import re
from collections.abc import Iterator
from itertools import groupby

import msgspec

_MARK = "[redacted]"
_LEFT_OUT = "Customer.io's words are left out: the job is too large to tell them from its values"
# Shorter values are words like "pro", which a message may hold by chance and which tell nothing about a person.
_MIN_VALUE = 6
# A message may quote a part of a value. Fewer characters in a row than this are alike by chance.
_MIN_RUN = 12
# Characters of a message that are kept, and that are looked at.
_MAX_KEPT, _MAX_READ = 1_000, 2_000
# Characters that are looked for: of one value, because a quotation starts with its beginning, and of all together.
# Searching them takes some milliseconds, and more would hold up every other push.
_MAX_VALUE, _MAX_SEARCHED = 2_000, 100_000
_MAX_JOB_BYTES = 400_000
_EMAIL = re.compile(r"[^\s\"'<>:,;]+@[^\s\"'<>:,;]+")
# Seven digits or more, however they are grouped: a phone number. Sizes and statuses are shorter.
_PHONE = re.compile(r"\+?\d(?:[\s().\-/]{0,3}\d){6,}")
_WORD = re.compile(r"\w+")
# Fields whose values say who somebody is, however short they are.
_PERSONAL = re.compile(
    r"name|mail|phone|mobile|address|street|city|zip|birth|token|^(id|ids|to|cc|bcc|from)$|_id$", re.IGNORECASE
)
_IMPERSONAL = frozenset({"transactional_message_id", "broadcast_id", "object_type_id"})
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# A ULID, a UUID, or a hash in hex: it holds nothing personal.
_OPAQUE = re.compile(
    r"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-f]{64}"
)


def redacted(message: str, data: bytes) -> str:
    """``message`` without the values of the JSON in ``data``, and without anything like an email address or a phone.

    A value is found as it is, escaped as in JSON, in other letter case, and in parts of at least 12 characters. Names
    and identifiers are found however short they are. What is long is cut.
    """
    if len(data) > _MAX_JOB_BYTES:
        return _LEFT_OUT if message else ""
    values = _Values(data)
    if values.size > _MAX_SEARCHED:
        return _LEFT_OUT if message else ""
    text = _unescaped(message[:_MAX_READ])
    hidden = bytearray(len(text))
    for start, end in _spans(text, values):
        hidden[start:end] = b"\1" * (end - start)
    # A value that the cut goes through may be too short to be found in what is left.
    end = min(_MAX_KEPT, len(text) - _MIN_RUN) if len(message) > _MAX_READ else _MAX_KEPT
    runs = groupby(zip(text[:end], hidden, strict=False), key=lambda pair: pair[1])
    return "".join(_MARK if is_hidden else "".join(character for character, _ in run) for is_hidden, run in runs)


def without_addresses(text: str) -> str:
    """``text`` without anything like an email address: an attribute's name can be one."""
    return _EMAIL.sub(_MARK, text)


def loggable_key(key: str) -> str:
    """A key for a log or an attribute: as it is when it is a ULID, a UUID or a hash, otherwise hashed.

    A foreign ``job_id`` or ordering key may be an email address, or an order of somebody's.
    """
    return key if _OPAQUE.fullmatch(key) else "hashed-" + hashlib.sha256(key.encode(errors="replace")).hexdigest()[:16]


class _Values:
    """Values of a job's body, as a message may quote them; all in lower case."""

    def __init__(self, data: bytes) -> None:
        self.whole: set[str] = set()
        self.personal: set[str] = set()
        self.size = 0
        for value, is_personal in _leaves(data):
            text = _lower(_unescaped(value[:_MAX_VALUE]))
            if text in self.whole or text in self.personal:
                continue
            self.size += len(text)
            if self.size > _MAX_SEARCHED:
                return
            if len(text) >= _MIN_VALUE:
                self.whole.add(text)
            elif is_personal and text.strip():
                self.personal.add(text)


def _spans(text: str, values: _Values) -> Iterator[tuple[int, int]]:
    for pattern in (_EMAIL, _PHONE):
        for found in pattern.finditer(text):
            yield found.span()
    lower = _lower(text)
    for found in _WORD.finditer(lower):
        if found[0] in values.personal:
            yield found.span()
    yield from _short_values(lower, values)
    yield from _runs(lower, values)


def _short_values(lower: str, values: _Values) -> Iterator[tuple[int, int]]:
    """Values below 12 characters as a whole: each piece of the text is looked up, however many values there are."""
    short = {value for value in values.whole if len(value) < _MIN_RUN}
    short |= {value for value in values.personal if not _WORD.fullmatch(value)}
    for length in {len(value) for value in short}:
        for start in range(len(lower) - length + 1):
            if lower[start : start + length] in short:
                yield start, start + length


def _runs(lower: str, values: _Values) -> Iterator[tuple[int, int]]:
    """Parts of at least 12 characters that the text and a value have in common, whole values included."""
    places: dict[str, list[int]] = {}
    for start in range(len(lower) - _MIN_RUN + 1):
        places.setdefault(lower[start : start + _MIN_RUN], []).append(start)
    for value in values.whole:
        for offset in range(len(value) - _MIN_RUN + 1):
            for start in places.pop(value[offset : offset + _MIN_RUN], ()):
                yield start, start + _MIN_RUN


def _lower(text: str) -> str:
    """Lower case, character by character, so that positions stay: "İ" alone would become two."""
    lower = text.lower()
    return (
        lower if len(lower) == len(text) else "".join(each.lower() if len(each.lower()) == 1 else each for each in text)
    )


def _unescaped(text: str) -> str:
    """``text`` as it was before it was quoted, however often: in JSON, in JSON within JSON, as Go quotes."""
    while (plain := _ESCAPE.sub(_character, text)) != text:
        text = plain
    # Both halves of a pair are one character.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)


def _leaves(data: bytes) -> Iterator[tuple[str, bool]]:
    """Every text and number of a body, and whether its field says who somebody is."""
    # Imported here: the webhook and archive, which redact no job, would pay for the forms of all jobs at their start.
    from .jobs import KINDS_AND_ACTIONS  # noqa: PLC0415

    try:
        left = [(msgspec.json.decode(data), False)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    # Not by recursion: JSON may be nested deeper than Python's stack.
    while left:
        branch, is_personal = left.pop()
        match branch:
            case dict():
                left += [(value, is_personal or _is_personal(name)) for name, value in branch.items()]
            case list():
                left += [(value, is_personal) for value in branch]
            case bool():
                pass
            case str() | int() | float() if branch not in KINDS_AND_ACTIONS:
                yield str(branch), is_personal


def _is_personal(field: str) -> bool:
    return field not in _IMPERSONAL and _PERSONAL.search(field) is not None
