"""``status``: how many messages wait in each lane."""

import time
from typing import Annotated

import typer

from ops import backlog, clients, console, deadlines
from ops.backlog import Backlog, BacklogSource
from ops.errors import OperatorError
from ops.option_groups import with_option_groups
from ops.target import Target, Where
from shared.topology import topology


@with_option_groups
def status(
    where: Where,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Show how many messages wait in each lane, and the age of the oldest.

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
                ]
            }
        )
        return
    table = console.table("kind", "lane", "backlog", "oldest")
    for kind, lane, _, found in rows:
        table.add_row(kind, lane, _count(found), _oldest(found))
    console.out().print(table)


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
