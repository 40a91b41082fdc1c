"""A pause of one subscription, and the labels that keep it.

An empty push config pauses a subscription: "messages accumulate", and no attempts are spent.
https://cloud.google.com/pubsub/docs/create-push-subscription. Why, since when and until when stands in labels of the
subscription and nowhere else, so nothing can disagree with it, and it survives every restart.
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from .. import deadlines

PausedBy = Literal["", "customerio", "operator"]

# Label of each field of PushState. Labels: https://cloud.google.com/pubsub/docs/labels#requirements
_LABELS = {
    "paused_by": "cio-paused-by",
    "reason": "cio-pause-reason",
    "since": "cio-pause-since",
    "until": "cio-pause-until",
    "probe_at": "cio-probe-at",
    "in_a_row": "cio-pauses-in-a-row",
    "resumed_at": "cio-resumed-at",
}
_MAX_LABEL_LENGTH = 63
_NOT_OF_A_LABEL = re.compile(r"[^a-z0-9_-]+")


class PushState(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down about the push of one subscription. All times are unix seconds; 0 means none.

    Args:
        paused_by: Who paused it; empty while it is not paused. Only an operator ends an operator's pause.
        reason: A word, such as ``credentials_refused``.
        since: Start of the pause.
        until: End of an operator's pause; 0 if it has none.
        probe_at: Earliest time to ask whether Customer.io takes requests again.
        in_a_row: Number of pauses that followed one another without ten good minutes between them.
        resumed_at: End of the last pause that a probe ended.
    """

    paused_by: PausedBy = ""
    reason: str = ""
    since: int = 0
    until: int = 0
    probe_at: int = 0
    in_a_row: int = 0
    resumed_at: int = 0


class Pace(msgspec.Struct, frozen=True):
    """How fast pauses are probed and forgotten.

    Args:
        time_scale: Divides all times, on one machine; 1 in the cloud.
    """

    time_scale: float = 1.0

    def probe_wait(self, in_a_row: int) -> float:
        """Seconds from the start of a pause to its first probe.

        A pause that follows soon after a probe ended the last one shows that the probe says nothing about real
        requests. The wait then doubles from 1 min to 2 h, because every resumption costs a job an attempt: seven pauses
        take 127 min in all, and then there are 12 a day. In 7 days, the time that Pub/Sub keeps a message, that makes
        91 resumptions, fewer than the 95 attempts of the last lane.
        """
        doubled = deadlines.PROBE_MIN_WAIT_SECONDS * 2.0 ** min(in_a_row - 1, 20)
        return min(deadlines.PROBE_MAX_WAIT_SECONDS, doubled) / self.time_scale

    @property
    def probe_slack(self) -> float:
        """Seconds by which a tick may come early and still probe: otherwise the probe would wait for the next one."""
        return deadlines.PROBE_SLACK_SECONDS / self.time_scale

    @property
    def good_after(self) -> float:
        """Seconds after which a resumption counts as good."""
        return deadlines.RESUMED_FOR_GOOD_SECONDS / self.time_scale


def decode(labels: Mapping[str, str]) -> PushState:
    """Read the labels of a subscription. One that cannot be read counts as absent."""
    paused_by = labels.get(_LABELS["paused_by"], "")
    times = {name: _number(labels.get(_LABELS[name], "")) for name in ("since", "until", "probe_at", "resumed_at")}
    return PushState(
        # A mark of somebody we do not know is a person's: no probe ends it.
        paused_by="customerio" if paused_by == "customerio" else "operator" if paused_by else "",
        reason=labels.get(_LABELS["reason"], ""),
        in_a_row=_number(labels.get(_LABELS["in_a_row"], "")),
        **times,
    )


def encode(state: PushState, labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of a subscription with ``state`` written into them; labels of others stay."""
    kept = {name: value for name, value in labels.items() if name not in _LABELS.values()}
    ours = {label: getattr(state, field) for field, label in _LABELS.items()}
    return kept | {label: str(value) for label, value in ours.items() if value}


def label_value(text: str) -> str:
    """Make a text fit for a label: lower-case letters, digits, ``_`` and ``-``, at most 63."""
    return _NOT_OF_A_LABEL.sub("-", text.lower()).strip("-")[:_MAX_LABEL_LENGTH]


def pause_for_customerio(state: PushState, reason: str, now: float, pace: Pace) -> PushState:
    """State after a function asked for a pause. One that is paused already stays as it is."""
    if state.paused_by:
        return state
    in_a_row = state.in_a_row + 1 if _is_soon(state, now, pace) else 1
    return PushState(
        paused_by="customerio",
        reason=reason,
        since=int(now),
        probe_at=int(now + pace.probe_wait(in_a_row)),
        in_a_row=in_a_row,
    )


def pause_for_operator(reason: str, now: float, until: float = 0) -> PushState:
    """State after an operator paused, whatever it was before."""
    return PushState(paused_by="operator", reason=label_value(reason), since=int(now), until=int(until))


def is_due(state: PushState, now: float, pace: Pace) -> bool:
    """Whether to ask Customer.io now. After a probe that failed, every tick asks."""
    return state.paused_by == "customerio" and now >= state.probe_at - pace.probe_slack


def at_tick(state: PushState, now: float, pace: Pace, *, is_healthy: bool) -> PushState:
    """State after a look at it.

    Args:
        state: State before.
        now: Unix seconds.
        pace: How fast pauses are probed and forgotten.
        is_healthy: Whether a probe just found that Customer.io takes requests.
    """
    match state.paused_by:
        case "operator":
            return PushState() if state.until and now >= state.until else state
        case "customerio":
            is_over = is_healthy and is_due(state, now, pace)
            return PushState(in_a_row=state.in_a_row, resumed_at=int(now)) if is_over else state
        case _:
            return state if _is_soon(state, now, pace) else PushState()


def _is_soon(state: PushState, now: float, pace: Pace) -> bool:
    return bool(state.resumed_at) and now - state.resumed_at < pace.good_after


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
