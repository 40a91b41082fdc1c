"""The log of requests: the newest 200,000, and the bodies of the newest among them up to 256 MiB."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from local.customerio.exchange import ApiRequest, ApiResponse, Auth, BatchError, Host, ItemError

MAX_REQUESTS: Final = 200_000
MAX_BODY_BYTES: Final = 256 << 20


class LoggedRequest(msgspec.Struct):
    """`n` counts from 1 in the order of the responses, `time` is the arrival in unix seconds.

    `status` is None if the connection was reset instead. `body` is None if there was none, or if it was dropped to
    make room for newer ones.
    """

    n: int
    method: str
    path: str
    host: Host
    auth: Auth
    status: int | None
    body: bytes | None
    time: float
    items: int | None
    errors: tuple[ItemError | BatchError, ...]


class RequestLog:
    """A log with two bounds, because many small requests and a few huge ones fill memory in different ways.

    Args:
        requests: Number of requests kept.
        body_bytes: Bytes of bodies kept; the oldest bodies are dropped first.
    """

    def __init__(self, requests: int = MAX_REQUESTS, body_bytes: int = MAX_BODY_BYTES) -> None:
        self._kept: deque[LoggedRequest] = deque(maxlen=requests)
        self._with_body: deque[LoggedRequest] = deque()
        self._body_bytes = 0
        self._body_limit = body_bytes
        self._numbers = itertools.count(1)

    def add(self, request: ApiRequest, status: int | None, response: ApiResponse, arrived: float) -> None:
        oldest = self._kept[0] if len(self._kept) == self._kept.maxlen else None
        record = LoggedRequest(
            next(self._numbers),
            request.method,
            request.url,
            request.host,
            request.auth,
            status,
            request.body or None,
            arrived,
            response.items,
            response.errors,
        )
        self._kept.append(record)
        if oldest is not None and self._with_body and self._with_body[0] is oldest:
            self._drop_oldest_body()
        if record.body is not None:
            self._with_body.append(record)
            self._body_bytes += len(record.body)
        while self._body_bytes > self._body_limit:
            self._drop_oldest_body()

    def since(self, number: int) -> Iterator[dict[str, Any]]:
        """The requests with n > `number` as JSON values, oldest first."""
        for record in [record for record in self._kept if record.n > number]:
            yield {**msgspec.structs.asdict(record), "body": _decoded(record.body)}

    def _drop_oldest_body(self) -> None:
        record = self._with_body.popleft()
        self._body_bytes -= len(record.body or b"")
        record.body = None


def _decoded(body: bytes | None) -> Any:
    if body is None:
        return None
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
