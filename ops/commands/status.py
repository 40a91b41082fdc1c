"""``status``: how many messages wait in each lane, and which kinds are paused."""

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from ops import backlog, clients, console, deadlines, pauses
from ops.backlog import Backlog, BacklogSource
from ops.commands.forget import open_receipts
from ops.errors import OperatorError, sentence
from ops.option_groups import with_option_groups
from ops.target import Target, Where
from shared.pubsub.pause import PushState
from shared.topology import topology


@with_option_groups
def status(
    where: Where,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Show how many messages wait in each lane, the age of the oldest, and which kinds are paused and why.

    In the cloud the numbers come from Cloud Monitoring and are some minutes old.
    """
    if watch and as_json:
        raise typer.BadParameter("cannot be combined with --json, which prints one document", param_hint="--watch")
    target = where.target()
    source = _source(target)
    if not watch:
        _show(target, source, as_json=as_json)
        return
    try:
        while True:
            console.out().clear()
            _show(target, source, as_json=False)
            time.sleep(deadlines.WATCH_LOCAL_SECONDS if target.is_local else deadlines.WATCH_CLOUD_SECONDS)
    except KeyboardInterrupt:
        return  # the way to end it


def _show(target: Target, source: BacklogSource, *, as_json: bool) -> None:
    lanes = [
        (kind, lane, target.subscription(name))
        for kind, shape in topology().topics.items()
        for lane, name in (
            *((hop.lane, hop.subscription) for hop in shape.hops),
            ("dead-letter", shape.dead_letter_name),
        )
    ]
    known = source.backlogs([subscription for _, _, subscription in lanes])
    if not known:
        raise OperatorError("Nothing is known about these subscriptions: run `python -m ops doctor`.")
    paused = _paused(target)
    rows = [(kind, lane, name, known.get(name, Backlog(None, None))) for kind, lane, name in lanes]
    if as_json:
        console.print_json(
            {
                "lanes": [
                    {
                        "kind": kind,
                        "lane": lane,
                        "subscription": name,
                        "backlog": found.messages,
                        "oldest_seconds": found.oldest_seconds,
                    }
                    for kind, lane, name, found in rows
                ],
                "pauses": None if paused is None else [pauses.as_json(*each) for each in paused.items()],
            }
        )
        return
    table = console.table("kind", "lane", "backlog", "oldest")
    for kind, lane, _, found in rows:
        table.add_row(kind, lane, _count(found), _oldest(found))
    console.out().print(table)
    for kind, state in (paused or {}).items():
        print(pauses.shown(kind, state))
    if line := _open_receipts(target):
        print(line)


def _paused(target: Target) -> Mapping[str, PushState] | None:
    """Read the pauses. None, and a note, if Pub/Sub does not show them: the backlog comes from elsewhere."""
    try:
        with clients.subscriber(target) as subscriber:
            return pauses.of_kinds(pauses.lanes(subscriber, target, pauses.KINDS))
    except Exception as error:
        if (text := sentence(error)) is None:
            raise
        console.note(f"Pauses are not known. {text}")
        return None


def _open_receipts(target: Target) -> str:
    """A line about people who are not wholly forgotten; empty too where the ledger may not be asked."""
    try:
        return open_receipts(target)
    except OperatorError:
        return ""


def _source(target: Target) -> BacklogSource:
    if target.pubsub_emulator is None:
        return backlog.CloudMonitoring(target.project, clients.monitoring())
    if url := target.environment.get("PUBSUB_ADMIN_URL"):
        return backlog.LocalBroker(url)
    # An emulator that is away is the more useful thing to say.
    clients.publisher(target).transport.close()  # type: ignore[no-untyped-call]
    raise OperatorError(
        f"The Pub/Sub at {target.pubsub_emulator} reports no backlog: PUBSUB_ADMIN_URL is not set. For the local stack "
        "load all of .local/stack.env; other emulators have no such numbers."
    )


def _count(found: Backlog) -> str:
    return "?" if found.messages is None else str(found.messages)


def _oldest(found: Backlog) -> str:
    if found.oldest_seconds is None:
        return "?"
    return console.age(found.oldest_seconds) if found.messages else "-"
