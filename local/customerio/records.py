"""The record of every request: metadata of the newest, bodies of the newest up to a number of bytes."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from local.customerio.wire import Answer, Auth, BatchError, Call, Host, ItemError

REQUESTS_KEPT: Final = 200_000
BODY_BYTES_KEPT: Final = 256 << 20


class Request(msgspec.Struct):
    """`n` counts from 1 in the order of the answers, `time` is the arrival in unix seconds.

    `status` is None when the connection was reset instead. `body` is None when there was none, or once its bytes were
    given up.
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


class Records:
    """Bounded twice, because a flood of small requests and a few of huge ones fill memory in different ways."""

    def __init__(self, requests: int = REQUESTS_KEPT, body_bytes: int = BODY_BYTES_KEPT) -> None:
        self._kept: deque[Request] = deque(maxlen=requests)
        self._with_body: deque[Request] = deque()
        self._body_bytes = 0
        self._body_limit = body_bytes
        self._numbers = itertools.count(1)

    def add(self, call: Call, status: int | None, answer: Answer, arrived: float) -> None:
        oldest = self._kept[0] if len(self._kept) == self._kept.maxlen else None
        record = Request(
            next(self._numbers),
            call.method,
            call.path,
            call.host,
            call.auth,
            status,
            call.body or None,
            arrived,
            answer.items,
            answer.errors,
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
        """JSON of the requests with n > `number`, oldest first."""
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
