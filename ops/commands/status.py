"""``status``: what waits where."""

import typer

from ops import google, screen
from ops.target import EnvironmentOption, ProjectOption, Target, resolve
from ops.waiting import BrokerSource, MonitoringSource, Source, SourceError, Waiting
from shared.topology import topology


def status(project: ProjectOption = None, environment: EnvironmentOption = None) -> None:
    """Show how many messages wait in each lane, and the age of the oldest.

    In the cloud the numbers are Cloud Monitoring's and some minutes old.
    """
    target = resolve(project, environment)
    lanes = [
        (kind, lane, target.subscription(topic))
        for kind, shape in topology().topics.items()
        for lane, topic in (
            ("main", shape.name),
            ("retry", shape.retry_name),
            ("dead-letter", shape.dead_letter_name),
        )
    ]
    try:
        known = _source(target).waiting([subscription for _, _, subscription in lanes])
    except SourceError as error:
        screen.say(str(error))
        raise typer.Exit(1) from None
    rows = screen.table("kind", "lane", "backlog", "oldest")
    for kind, lane, subscription in lanes:
        waiting = known.get(subscription, Waiting(None, None))
        rows.add_row(kind, lane, _count(waiting), _oldest(waiting))
    screen.out().print(rows)
    if not known:
        screen.say("nothing is known of these subscriptions: run `python -m ops doctor`")
        raise typer.Exit(1)


def _source(target: Target) -> Source:
    if not target.on_one_machine:
        return MonitoringSource(target.project, google.monitoring())
    if url := target.environment.get("PUBSUB_ADMIN_URL"):
        return BrokerSource(url)
    message = "this Pub/Sub tells no numbers: Google's emulator has none, the local broker's are at PUBSUB_ADMIN_URL"
    raise SourceError(message)


def _count(waiting: Waiting) -> str:
    return "?" if waiting.messages is None else str(waiting.messages)


def _oldest(waiting: Waiting) -> str:
    if waiting.oldest_seconds is None:
        return "?"
    return screen.age(waiting.oldest_seconds) if waiting.messages else "-"
