"""Misbehaviour on demand, so that tests can show what survives it. Set through the admin surface."""

from random import Random
from typing import Annotated, Literal

import msgspec

FaultKind = Literal["duplicate", "drop_ack", "delay", "reorder", "refuse_publish"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One kind of misbehaviour.

    - ``duplicate``: a message that was acknowledged is delivered once more.
    - ``drop_ack``: an acknowledgement is lost: the message counts as not acknowledged in time, at once, and is retried.
    - ``delay``: a published message is held back for ``seconds`` (real ones: the time scale does not apply).
    - ``reorder``: a published message is overtaken by the next one, or held for 1 s when none comes. Never within an
      ordering key of a subscription with ordering: Pub/Sub keeps that promise too.
    - ``refuse_publish``: a publish request is answered UNAVAILABLE and nothing of it is kept.

    Attributes:
        share: of the chances there are, how many are taken: 0 to 1.
        seed: with the order of arrival, decides which ones.
        subscription: id or full name of the only subscription concerned; not for ``refuse_publish``.
        topic: id or full name of the only topic concerned.
        seconds: of ``delay``.
    """

    kind: FaultKind
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    subscription: str | None = None
    topic: str | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 1.0

    def __post_init__(self) -> None:
        if self.kind == "refuse_publish" and self.subscription is not None:
            message = "refuse_publish happens on a topic: it takes no subscription"
            raise ValueError(message)


class _ArmedFault:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.struck = 0
        self._random = Random(fault.seed)  # noqa: S311 - repeatable, not secret

    def strikes(self, topic: str, subscription: str) -> bool:
        fault = self.fault
        if not (_names(fault.topic, topic) and _names(fault.subscription, subscription)):
            return False
        if self._random.random() >= fault.share:
            return False
        self.struck += 1
        return True


class Faults:
    """The faults that are on. ``active`` is false on the usual path, which then costs one attribute look-up."""

    def __init__(self) -> None:
        self._armed: list[_ArmedFault] = []
        self.active = False

    def replace(self, faults: list[Fault]) -> None:
        """Turn on exactly ``faults``, each from the start of its seed."""
        self._armed = [_ArmedFault(fault) for fault in faults]
        self.active = bool(faults)

    def strike(self, kind: FaultKind, *, topic: str, subscription: str = "") -> Fault | None:
        """The first fault of ``kind`` that takes this chance."""
        for armed in self._armed:
            if armed.fault.kind == kind and armed.strikes(topic, subscription):
                return armed.fault
        return None

    def report(self) -> list[dict[str, object]]:
        """The faults that are on, each with how often it has ``struck``."""
        return [{**msgspec.to_builtins(armed.fault), "struck": armed.struck} for armed in self._armed]


def _names(wanted: str | None, full_name: str) -> bool:
    return wanted is None or full_name == wanted or full_name.rpartition("/")[2] == wanted
