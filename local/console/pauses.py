"""Pauses of kinds of jobs on the page, by the same functions as the commands ``pause``, ``resume`` and ``status``."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from local.console.flow import Values
from ops import pauses
from ops.commands.pause import pause_kinds, resume_kinds
from ops.pauses import Lane
from ops.target import Target
from shared.pubsub import pause as labels_of
from shared.topology import topology

_REASON = "console"


def values(project: str, subscriptions: Sequence[Mapping[str, Any]]) -> Values:
    """Say of each kind whether it is paused, by whom and since when.

    Args:
        project: Google Cloud project.
        subscriptions: Every subscription of the project, in the form of Pub/Sub's REST surface.
    """
    paused = pauses.of_kinds(_lanes(project, subscriptions))
    shown: Values = {}
    for kind in pauses.KINDS:
        state = paused.get(kind)
        shown[f"pause.{kind}.some"] = "no" if state is None else "yes"
        shown[f"pause.{kind}.words"] = "" if state is None else pauses.sentence(state)
        shown[f"pause.{kind}.action"] = "pause" if state is None else "resume"
        shown[f"pause.{kind}.label"] = "Pause" if state is None else "Resume"
    return shown


def change(target: Target, kind: str, action: str) -> str:
    """Pause or resume a kind, and say so. It blocks.

    Raises:
        OperatorError: if Pub/Sub does not answer, or push does not come back.
    """
    if action == "resume":
        resume_kinds(target, [kind])
        return f"{kind} pushes again."
    pause_kinds(target, [kind], labels_of.pause_for_operator(_REASON, time.time(), 0))
    return f"{kind} is paused. Its jobs wait until you resume it."


def _lanes(project: str, subscriptions: Sequence[Mapping[str, Any]]) -> list[Lane]:
    by_name = {each["name"]: each for each in subscriptions}
    found = []
    for kind in pauses.KINDS:
        for name in topology().topics[kind].push_subscriptions:
            if subscription := by_name.get(f"projects/{project}/subscriptions/{name}"):
                labels = dict(subscription.get("labels", {}))
                pushes = bool(subscription.get("pushConfig", {}).get("pushEndpoint"))
                found.append(Lane(kind, subscription["name"], labels, labels_of.decode(labels), pushes))
    return found
