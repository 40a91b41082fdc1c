"""A request and its answer as the handlers see them: plain values, no sockets."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

type Host = Literal["track", "app"]
type Auth = Literal["ok", "bad", "none"]

# Recorded live answers are `{}` and a newline, three bytes (customerio-node, test/fixtures/responses).
EMPTY = b"{}\n"


class ItemError(msgspec.Struct, frozen=True):
    """Why one operation was refused, in the words of a Track v2 error."""

    reason: str
    field: str
    message: str


class BatchError(msgspec.Struct, frozen=True):
    """One entry of a 207 answer: `batch_index` counts from 0."""

    batch_index: int
    reason: str
    field: str
    message: str


type Rejection = Callable[[int, bytes], ItemError | None]


class Call(msgspec.Struct, frozen=True):
    """One request: `parts` are the percent-decoded segments of the path, `reject` comes from an injected item fault."""

    host: Host
    method: str
    path: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    auth: Auth
    body: bytes
    reject: Rejection | None = None


class Answer(msgspec.Struct, frozen=True):
    """`items` is the number of operations asked for, `errors` says which were refused."""

    status: int = 200
    body: bytes = EMPTY
    items: int | None = None
    errors: tuple[ItemError | BatchError, ...] = ()
    headers: Mapping[str, str] = {}


def encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def meta_error(status: int, message: str) -> Answer:
    """The envelope of Track v1 and of the App API: `{"meta": {"error": "..."}}`."""
    return Answer(status, encode({"meta": {"error": message}}))


def unauthorized() -> Answer:
    return meta_error(401, "Unauthorized request")


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object; an empty body counts as an empty one, anything else is None."""
    if not body:
        return {}
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None
