"""Pauses of kinds of jobs, as their subscriptions' labels say."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops import console, deadlines
from ops.target import Target
from shared.pubsub import pause
from shared.pubsub.pause import PushState
from shared.topology import topology

if TYPE_CHECKING:
    from google.pubsub_v1 import SubscriberClient
    from google.pubsub_v1.types import Subscription

# Kinds that can be paused: those whose function calls Customer.io.
KINDS = tuple(kind for kind, topic in topology().topics.items() if topic.rate is not None)


@dataclass(frozen=True, slots=True)
class Lane:
    """One push subscription and whether it is paused.

    Args:
        kind: Kind of job.
        subscription: ``projects/P/subscriptions/S``.
        labels: All of its labels.
        state: What its labels say.
        pushes: Whether it has a push config.
    """

    kind: str
    subscription: str
    labels: dict[str, str]
    state: PushState
    pushes: bool


def lanes(subscriber: "SubscriberClient", target: Target, kinds: Iterable[str]) -> list[Lane]:
    """Read the push subscriptions of ``kinds``.

    Raises:
        GoogleAPIError: if Pub/Sub refuses or does not answer.
    """
    found = []
    for kind in kinds:
        for name in topology().topics[kind].push_subscriptions:
            request = {"subscription": target.subscription(name)}
            answer = subscriber.get_subscription(request=request, timeout=deadlines.QUERY_SECONDS, retry=None)
            found.append(_lane(kind, answer))
    return found


def _lane(kind: str, found: "Subscription") -> Lane:
    labels = dict(found.labels)
    return Lane(kind, found.name, labels, pause.decode(labels), bool(found.push_config.push_endpoint))


def sentence(state: PushState) -> str:
    """Describe a pause: who and why, since when, until when."""
    by = "an operator" if state.paused_by == "operator" else "control"
    until = f", until {_clock(state.until)}" if state.until else ""
    return f"paused by {by} ({state.reason or 'no reason given'}), since {_clock(state.since)}{until}"


def shown(kind: str, state: PushState) -> str:
    """Describe a pause of a kind in lines of at most 80 columns."""
    return f"{kind}: {sentence(state).replace('), since', ')\n    since')}"


def as_json(kind: str, state: PushState) -> dict[str, object]:
    return {
        "kind": kind,
        "by": state.paused_by,
        "reason": state.reason,
        "since": _iso(state.since),
        "until": _iso(state.until) if state.until else None,
    }


def of_kinds(found: Iterable[Lane]) -> dict[str, PushState]:
    """The pause of each paused kind: that of the lane which was paused first."""
    paused: dict[str, PushState] = {}
    for lane in found:
        if lane.state.paused_by and (lane.kind not in paused or lane.state.since < paused[lane.kind].since):
            paused[lane.kind] = lane.state
    return paused


def _clock(seconds: int) -> str:
    return console.clock_time(datetime.fromtimestamp(seconds, UTC))


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
