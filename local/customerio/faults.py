"""Faults on demand: what a test or an operator wants the simulator to do wrong.

A fault is a JSON object. It names what it does, at least one of:

    status   answer this HTTP status instead, with `body` if given (text is sent as it is)
    reset    reset the connection instead of answering
    rate     answer 429, or `status`, above this many requests per second
    delay    wait this many seconds before the answer
    items    refuse operations of a Track v2 request: see ItemFault

It may say when it acts, and acts where all of these hold: `path` is a prefix of the path, `host` is track or app, a
random draw with `seed` falls into `share` (0 to 1) of the requests, the unix time is before `until`, and fewer than
`count` requests were hit. `after_accept` applies the request first, so that the caller cannot know its outcome.
`retry_after` adds that header, in seconds. When several faults act, their delays add up and the first one that answers
wins.
"""

import random
import time
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from local.customerio.exchange import Host, ItemError, Rejection
from local.customerio.rates import TokenBucket

type Share = Annotated[float, Meta(ge=0, le=1)]

_RATE_LIMITED: Final = 429


class ItemFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Refusal of operations, chosen by `index` from 0, by `match` (a text in their JSON as sent) or by `share`."""

    reason: str = "invalid"
    field: str = "attributes"
    message: str = "injected fault"
    index: list[Annotated[int, Meta(ge=0)]] | None = None
    match: Annotated[str, Meta(min_length=1)] | None = None
    share: Share | None = None

    def __post_init__(self) -> None:
        if self.index is None and self.match is None and self.share is None:
            raise ValueError("items needs one of index, match, share")


class Fault(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One fault, as described above. `count` goes down each time it acts."""

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
            raise ValueError("a fault needs one of status, delay, reset, items, rate")


class Effect(msgspec.Struct):
    """Effect of the faults on one request. Without `status` and `reset` its ordinary answer comes after `delay` s."""

    delay: float = 0.0
    status: int | None = None
    reset: bool = False
    after_accept: bool = False
    retry_after: float | None = None
    body: Any = None
    reject: Rejection | None = None

    @property
    def responds(self) -> bool:
        return self.reset or self.status is not None


class _ActiveFault:
    """A fault with its random numbers and its token bucket, which holds one second's worth of requests."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._random = random.Random(fault.seed)  # noqa: S311 - a seed makes it repeatable
        self._bucket = None if fault.rate is None else TokenBucket(fault.rate, fault.rate)

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
        return self._bucket is not None and not self._bucket.take()

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
        self._active: list[_ActiveFault] = []

    def replace(self, body: bytes) -> None:
        """Replace all faults by those of a JSON body, one fault or a list.

        Raises:
            msgspec.DecodeError: if the body is not JSON or not a fault; the message says where and why.
        """
        faults = msgspec.json.decode(body, type=list[Fault] | Fault)
        self._active = [_ActiveFault(fault) for fault in (faults if isinstance(faults, list) else [faults])]

    def clear(self) -> None:
        self._active = []

    def report(self) -> list[Fault]:
        return [active.fault for active in self._active]

    def effect_on(self, host: Host, path: str) -> Effect | None:
        """Return the effect of the faults on a request, or None if none acts on it."""
        acting = [active for active in self._active if active.acts_on(host, path)]
        if not acting:
            return None
        effect = Effect()
        for active in acting:
            _add(effect, active)
        if any(active.fault.items is not None for active in acting):
            effect.reject = _first_rejection(acting)
        return effect


def _add(effect: Effect, active: _ActiveFault) -> None:
    fault = active.fault
    effect.delay += fault.delay or 0.0
    limited = active.over_rate()
    if effect.responds:
        return
    if limited:
        effect.status, effect.after_accept = fault.status or _RATE_LIMITED, False
    elif fault.rate is None:
        effect.status, effect.reset, effect.after_accept = fault.status, fault.reset, fault.after_accept
    effect.retry_after, effect.body = fault.retry_after, fault.body


def _first_rejection(acting: Iterable[_ActiveFault]) -> Rejection:
    def reject(index: int, item: bytes) -> ItemError | None:
        return next((error for active in acting if (error := active.rejection(index, item)) is not None), None)

    return reject
