"""Customer.io's conditions that the console can switch on, each a list of the simulator's faults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local import deadlines

WORKING = "working"
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Args:
        name: Name in URLs.
        label: Name on the switch.
        effect: What Customer.io answers, and what one sees.
        faults: Body of ``PUT /_sim/faults``.
    """

    name: str
    label: str
    effect: str
    faults: Sequence[Mapping[str, Any]]


CONDITIONS = (
    Condition(WORKING, "Working", "Answers as Customer.io does.", ()),
    Condition("down", "Down", "Answers 503. Jobs wait in their lane and are retried.", ({"status": 503},)),
    Condition(
        "slow",
        "Slow",
        f"Answers after {deadlines.CONSOLE_SLOW_ANSWER_SECONDS:g} s.",
        ({"delay": deadlines.CONSOLE_SLOW_ANSWER_SECONDS},),
    ),
    Condition(
        "rate-limited",
        "Rate limited",
        "Answers 429 above 2 requests a second.",
        ({"rate": 2.0, "retry_after": 1.0},),
    ),
    Condition("wrong-key", "Wrong key", "Answers 401, as if the API key was revoked.", ({"status": 401},)),
    Condition("forbidden", "Forbidden", "Answers 403, as if the key lacked permission.", ({"status": 403},)),
)


def current(faults: Sequence[Mapping[str, Any]]) -> str:
    """Name the condition that the simulator's present faults make; ``OTHER`` for faults that somebody else set."""
    return next((each.name for each in CONDITIONS if list(each.faults) == list(faults)), OTHER)


def faults_of(name: str) -> Sequence[Mapping[str, Any]] | None:
    """Give the faults of a condition, or None if there is no such condition."""
    return next((each.faults for each in CONDITIONS if each.name == name), None)
