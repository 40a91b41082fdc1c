"""Fault injection, so that tests can show what survives it. Set through the admin surface."""

from random import Random
from typing import Annotated, Literal

import msgspec

from local.deadlines import DEFAULT_FAULT_DELAY_SECONDS

FaultKind = Literal["duplicate", "drop_ack", "delay", "reorder", "refuse_publish"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One kind of fault.

    - ``duplicate``: An acknowledged message is delivered once more.
    - ``drop_ack``: An acknowledgement is lost. The message counts as unanswered at once, and is retried.
    - ``delay``: A published message is held back for ``seconds`` (real ones: the time scale does not apply).
    - ``reorder``: A published message is overtaken by the next one, or held for 1 s if none comes. Messages of one
      ordering key keep their order on a subscription with ordering: Pub/Sub keeps that promise too.
    - ``refuse_publish``: A publish request is answered UNAVAILABLE, and none of its messages is kept.

    Attributes:
        kind: Which fault, as above.
        share: Probability of the fault at each opportunity, 0 to 1. The default is always.
        seed: Seed of the random numbers that decide. The same seed and order of arrival give the same faults.
        subscription: Id or full name of the only subscription affected; not for ``refuse_publish``.
        topic: Id or full name of the only topic affected.
        seconds: Length of a ``delay``.
    """

    kind: FaultKind
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    subscription: str | None = None
    topic: str | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] = DEFAULT_FAULT_DELAY_SECONDS

    def __post_init__(self) -> None:
        if self.kind == "refuse_publish" and self.subscription is not None:
            raise ValueError("refuse_publish happens on a topic: leave subscription out")


class _ActiveFault:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.injected = 0
        self._random = Random(fault.seed)  # noqa: S311 - repeatable, not secret

    def draw(self, topic: str, subscription: str) -> bool:
        fault = self.fault
        if not (_matches(fault.topic, topic) and _matches(fault.subscription, subscription)):
            return False
        if self._random.random() >= fault.share:
            return False
        self.injected += 1
        return True


class Faults:
    """The active faults. ``active`` is False without any, so that the usual path costs one attribute look-up."""

    def __init__(self) -> None:
        self._faults: list[_ActiveFault] = []
        self.active = False

    def replace(self, faults: list[Fault]) -> None:
        """Activate exactly ``faults``, each from the start of its seed."""
        self._faults = [_ActiveFault(fault) for fault in faults]
        self.active = bool(faults)

    def draw(self, kind: FaultKind, *, topic: str, subscription: str = "") -> Fault | None:
        """Return the fault of ``kind`` to inject at this opportunity, if any."""
        for active in self._faults:
            if active.fault.kind == kind and active.draw(topic, subscription):
                return active.fault
        return None

    def report(self) -> list[dict[str, object]]:
        """Return the active faults, each with the number of times it was ``injected``."""
        return [{**msgspec.to_builtins(active.fault), "injected": active.injected} for active in self._faults]


def _matches(wanted: str | None, full_name: str) -> bool:
    return wanted is None or full_name == wanted or full_name.rpartition("/")[2] == wanted
