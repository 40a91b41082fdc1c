"""One API request and its response as plain values, without sockets."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

type Host = Literal["track", "app"]
type Auth = Literal["ok", "bad", "none"]

# Recorded live responses are `{}` and a newline, three bytes (customerio-node, test/fixtures/responses).
EMPTY_OBJECT = b"{}\n"


class ItemError(msgspec.Struct, frozen=True):
    """Why one operation was refused, in the words of a Track v2 error."""

    reason: str
    field: str
    message: str


class BatchError(msgspec.Struct, frozen=True):
    """One entry of a 207 response. `batch_index` counts from 0."""

    batch_index: int
    reason: str
    field: str
    message: str


type Rejection = Callable[[int, bytes], ItemError | None]


class ApiRequest(msgspec.Struct, frozen=True):
    """One request.

    `base_url` is the address that the client used, `url` the path and query as sent. `path` holds the variable parts of
    the route by name, percent-decoded. `reject` comes from an injected item fault and says which operations it refuses.
    """

    host: Host
    method: str
    base_url: str
    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    auth: Auth
    body: bytes
    reject: Rejection | None = None


class ApiResponse(msgspec.Struct, frozen=True):
    """One response. `items` is the number of operations in the request, `errors` says which were refused."""

    status: int = 200
    body: bytes = EMPTY_OBJECT
    items: int | None = None
    errors: tuple[ItemError | BatchError, ...] = ()
    headers: Mapping[str, str] = {}


def encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def json_response(value: object, status: int = 200) -> ApiResponse:
    return ApiResponse(status, encode(value))


def error_response(status: int, message: str) -> ApiResponse:
    """The error envelope of Track v1 and the App API: `{"meta": {"error": "..."}}`."""
    return json_response({"meta": {"error": message}}, status)


def not_found() -> ApiResponse:
    return error_response(404, "not found")


def unauthorized() -> ApiResponse:
    return error_response(401, "Unauthorized request")


def too_many_requests() -> ApiResponse:
    return error_response(429, "too many requests")


def json_object(body: bytes) -> dict[str, Any] | None:
    """Decode a JSON object. An empty body counts as `{}`; anything that is not an object is None."""
    if not body:
        return {}
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def page_of(request: ApiRequest, default: int, maximum: int) -> tuple[int, int]:
    """The `start` and `limit` of a paged read. A missing or malformed number counts as its default."""
    start, limit = (_whole_number(request.query.get(name)) for name in ("start", "limit"))
    return start or 0, min(limit or default, maximum)


def next_page(start: int, limit: int, total: int) -> str:
    """The `next` of a paged read: the `start` of the page that follows, empty at the end."""
    return str(start + limit) if start + limit < total else ""


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
