"""``pause`` and ``resume``: the operator's switch for a kind of job."""

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ops import clients, console, deadlines, pauses
from ops.errors import OperatorError
from ops.option_groups import with_option_groups
from ops.target import Target, Where
from shared import control_message
from shared.pubsub import pause as labels_of
from shared.pubsub.pause import PushState
from shared.topology import topology

if TYPE_CHECKING:
    from google.pubsub_v1 import SubscriberClient

_ALL = "all"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# A subscription keeps a message for 7 days.
_MAX_FOR_SECONDS = 7 * _UNITS["d"]
# The second round finds what control changed in the moment of the first.
_MAX_ROUNDS = 3


def _kind(text: str) -> str:
    known = [*pauses.KINDS, _ALL]
    if text not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}")
    return text


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= _MAX_FOR_SECONDS:
        raise typer.BadParameter("must be a time such as 30m, 2h or 3d, at most 7d: Pub/Sub keeps a job no longer")
    return seconds


KindArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND", callback=_kind, help="Kind of job: identify, track, send, broadcast, sync or all of them."
    ),
]


@with_option_groups
def pause(
    kind: KindArgument,
    where: Where,
    for_seconds: Annotated[
        int | None,
        typer.Option(
            "--for", parser=_seconds, metavar="TIME", help="End the pause by itself, e.g. after 30m, 2h or 3d."
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="A few words for whoever looks at it later.")] = "by-hand",
    as_json: console.JsonOption = False,
) -> None:
    """Stop pushing a kind of job, at once. Its jobs wait, spend no attempts and expire after 7 days.

    What is under way is finished. Only ``resume`` or the end of --for ends the pause.
    """
    target = where.target()
    now = time.time()
    state = labels_of.pause_for_operator(reason, now, now + for_seconds if for_seconds else 0)
    kinds = _kinds(kind)
    pause_kinds(target, kinds, state)
    if as_json:
        console.print_json({"paused": [pauses.as_json(each, state) for each in kinds]})
        return
    for each in kinds:
        print(pauses.shown(each, state))
    if not for_seconds:
        console.note(f"Resume within 7 days, or Pub/Sub drops the oldest jobs: python -m ops resume {kind}")


@with_option_groups
def resume(kind: KindArgument, where: Where, as_json: console.JsonOption = False) -> None:
    """Push a paused kind of job again, and wait until it does.

    If Customer.io still turns its jobs away, the functions have it paused again within a minute.
    """
    paused = resume_kinds(where.target(), _kinds(kind))
    if as_json:
        console.print_json({"resumed": paused})
        return
    for each in _kinds(kind):
        print(f"{each}: {'pushes again' if each in paused else 'was not paused'}")


def pause_kinds(target: Target, kinds: Sequence[str], state: PushState) -> None:
    """Pause kinds of jobs, and write down why.

    Args:
        target: Where they are.
        kinds: Kinds of jobs.
        state: What to write into the labels.

    Raises:
        OperatorError: if a subscription may not be changed, does not answer, or is changed by others all the time.
    """
    subscriber = clients.subscriber(target)
    for number in range(_MAX_ROUNDS):
        found = pauses.lanes(subscriber, target, kinds)
        undone = [lane for lane in found if number == 0 or lane.state != state or lane.pushes]
        if not undone:
            return
        for lane in undone:
            # One request, so that a subscription is never paused without its mark, whenever Ctrl-C comes.
            _update(subscriber, lane.subscription, labels=labels_of.encode(state, lane.labels), push_config={})
    raise OperatorError("Somebody else changes these subscriptions at the same time: run the command again.")


def resume_kinds(target: Target, kinds: Sequence[str]) -> list[str]:
    """Take the mark off paused kinds, and wait until they push.

    Returns:
        Those of them that were paused.

    Raises:
        OperatorError: if a subscription may not be changed, does not answer, or does not push in time.
    """
    subscriber = clients.subscriber(target)
    found = pauses.lanes(subscriber, target, kinds)
    paused = sorted({lane.kind for lane in found if lane.state.paused_by or not lane.pushes})
    for lane in found:
        if lane.state.paused_by:
            _update(subscriber, lane.subscription, labels=labels_of.encode(PushState(), lane.labels))
    if paused:
        _tick(target)
        _wait_for_push(subscriber, target, paused)
    return paused


def _update(subscriber: "SubscriberClient", name: str, **fields: object) -> None:
    from google.api_core.exceptions import PermissionDenied  # noqa: PLC0415

    request = {"subscription": {"name": name, **fields}, "update_mask": {"paths": sorted(fields)}}
    try:
        subscriber.update_subscription(request=request, timeout=deadlines.QUERY_SECONDS, retry=clients.short_retry())
    except PermissionDenied:
        short = name.rpartition("/")[2]
        raise OperatorError(f"You may not change {short}: ask for it (Terraform's `operators` may).") from None


def _tick(target: Target) -> None:
    """Have control look at all pauses now."""
    topic = target.topic(topology().topics["control"].name)
    message = {"data": control_message.encode(control_message.Tick())}
    request = {"topic": topic, "messages": [message]}
    clients.publisher(target).publish(request=request, timeout=deadlines.QUERY_SECONDS, retry=clients.short_retry())


def _wait_for_push(subscriber: "SubscriberClient", target: Target, kinds: list[str]) -> None:
    until = time.monotonic() + deadlines.RESUME_SECONDS
    while missing := [lane for lane in pauses.lanes(subscriber, target, kinds) if not lane.pushes]:
        if time.monotonic() > until:
            names = ", ".join(lane.subscription.rpartition("/")[2] for lane in missing)
            raise OperatorError(
                f"The mark is gone, but {names} does not push after {deadlines.RESUME_SECONDS:g} s: control does it "
                "within a minute if it runs (`python -m ops logs control`); otherwise run `terraform apply`."
            )
        time.sleep(deadlines.RESUME_POLL_SECONDS)


def _kinds(kind: str) -> list[str]:
    return list(pauses.KINDS) if kind == _ALL else [kind]
