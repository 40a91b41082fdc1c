"""Faults on demand: what a test or an operator asks the simulator to do wrong.

A fault is a JSON object. What it does, at least one of:

    status   answer this HTTP status instead, with `body` if given (a text is sent as it is)
    reset    reset the connection instead of answering
    rate     answer 429, or `status`, above this many requests per second
    delay    wait this many seconds before the answer
    items    refuse operations of a Track v2 request: see ItemFault

When it does it, all optional, all must hold: `path` a prefix, `host` track or app, `share` of the requests from 0 to 1
drawn with `seed`, `until` a unix time, `count` a number of requests. `after_accept` applies the request first, so that
the caller cannot know its fate. `retry_after` adds that header, in seconds. Of several faults all delays add up, and
the first that answers wins.
"""

import random
import time
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from local.customerio.wire import Host, ItemError, Rejection

type Share = Annotated[float, Meta(ge=0, le=1)]

_RATE_LIMITED: Final = 429


class ItemFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which operations are refused, and how: by `index` from 0, by a `match` in their JSON as sent, or by `share`."""

    reason: str = "invalid"
    field: str = "attributes"
    message: str = "injected fault"
    index: list[Annotated[int, Meta(ge=0)]] | None = None
    match: Annotated[str, Meta(min_length=1)] | None = None
    share: Share | None = None

    def __post_init__(self) -> None:
        if self.index is None and self.match is None and self.share is None:
            msg = "items needs one of index, match, share"
            raise ValueError(msg)


class Fault(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """See the module's text. `count` goes down as it acts."""

    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    delay: Annotated[float, Meta(gt=0, le=600)] | None = None
    reset: bool = False
    items: ItemFault | None = None
    rate: Annotated[float, Meta(gt=0)] | None = None
    retry_after: Annotated[float, Meta(ge=0)] | None = None
    share: Share | None = None
    seed: int | None = None
    until: float | None = None
    count: Annotated[int, Meta(ge=0)] | None = None
    path: str | None = None
    host: Host | None = None
    after_accept: bool = False
    body: Any = None

    def __post_init__(self) -> None:
        if self.status is None and self.delay is None and not self.reset and self.items is None and self.rate is None:
            msg = "a fault needs one of status, delay, reset, items, rate"
            raise ValueError(msg)


class Verdict(msgspec.Struct):
    """What the faults make of one request. `status` None and no `reset`: the ordinary answer, after `delay` seconds."""

    delay: float = 0.0
    status: int | None = None
    reset: bool = False
    after_accept: bool = False
    retry_after: float | None = None
    body: Any = None
    reject: Rejection | None = None

    @property
    def answers(self) -> bool:
        return self.reset or self.status is not None


class _Active:
    """A fault with its dice and its token bucket, which holds one second's worth of requests."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._random = random.Random(fault.seed)  # noqa: S311 - repeatable dice are the point of a seed
        self._tokens = max(1.0, fault.rate or 0.0)
        self._filled_at = time.monotonic()

    def acts_on(self, host: Host, path: str) -> bool:
        fault = self.fault
        if fault.host not in (None, host) or (fault.path is not None and not path.startswith(fault.path)):
            return False
        if fault.count == 0 or (fault.until is not None and time.time() >= fault.until):
            return False
        if fault.share is not None and self._random.random() >= fault.share:
            return False
        if fault.count is not None:
            fault.count -= 1
        return True

    def over_rate(self) -> bool:
        rate = self.fault.rate
        if rate is None:
            return False
        now = time.monotonic()
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1:
            return True
        self._tokens -= 1
        return False

    def rejection(self, index: int, item: bytes) -> ItemError | None:
        items = self.fault.items
        if items is None:
            return None
        hit = (
            (items.index is not None and index in items.index)
            or (items.match is not None and items.match.encode() in item)
            or (items.share is not None and self._random.random() < items.share)
        )
        return ItemError(items.reason, items.field, items.message) if hit else None


class Faults:
    def __init__(self) -> None:
        self._active: list[_Active] = []

    def replace(self, body: bytes) -> None:
        """Take one fault or a list of them instead of all present ones.

        Raises:
            msgspec.DecodeError: The body is not JSON, or not a fault: the message says where and why.
        """
        faults = msgspec.json.decode(body, type=list[Fault] | Fault)
        self._active = [_Active(fault) for fault in (faults if isinstance(faults, list) else [faults])]

    def clear(self) -> None:
        self._active = []

    def report(self) -> list[Fault]:
        return [active.fault for active in self._active]

    def judge(self, host: Host, path: str) -> Verdict | None:
        """What happens to this request, or None if no fault acts on it."""
        acting = [active for active in self._active if active.acts_on(host, path)]
        if not acting:
            return None
        verdict = Verdict()
        for active in acting:
            _add(verdict, active)
        if any(active.fault.items is not None for active in acting):
            verdict.reject = _first_rejection(acting)
        return verdict


def _add(verdict: Verdict, active: _Active) -> None:
    fault = active.fault
    verdict.delay += fault.delay or 0.0
    limited = active.over_rate()
    if verdict.answers:
        return
    if limited:
        verdict.status, verdict.after_accept = fault.status or _RATE_LIMITED, False
    elif fault.rate is None:
        verdict.status, verdict.reset, verdict.after_accept = fault.status, fault.reset, fault.after_accept
    verdict.retry_after, verdict.body = fault.retry_after, fault.body


def _first_rejection(acting: Iterable[_Active]) -> Rejection:
    def reject(index: int, item: bytes) -> ItemError | None:
        return next((error for active in acting if (error := active.rejection(index, item)) is not None), None)

    return reject
