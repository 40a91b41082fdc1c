"""``backfill events``: what webhooks should have reported and did not, read from Customer.io's list of deliveries."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ops import clients, console
from ops.app_api import Account, AppAPI
from ops.commands.dead_letters.options import instant_option
from ops.option_groups import with_option_groups
from ops.publishing import ConfirmedPublisher, Outgoing, batches
from ops.scratch_tables import Tables, open_tables
from ops.target import Target, Where
from shared.attributes import encode_received_at
from shared.events import event_attributes, read_event
from shared.topology import topology

app = typer.Typer(no_args_is_help=True, help="Bring back what is missing in BigQuery.")

_BATCH_EVENTS = 500
_COLUMNS = {"delivery_id": "STRING", "metric": "STRING", "body": "STRING"}
# Webhooks call these otherwise. https://docs.customer.io/integrations/api/webhooks/
_OBJECT_TYPES = {"twilio": "sms"}
# Of the times in a delivery's metrics, this one is no event.
_NO_EVENTS = frozenset({"created"})
_FAILURES = frozenset({"bounced", "dropped", "failed", "undeliverable", "deferred"})
_ORIGINS = ("campaign_id", "newsletter_id", "broadcast_id", "action_id", "parent_action_id", "content_id")
_MISSING = """
SELECT listed.body
FROM {listed} AS listed
LEFT JOIN (
  SELECT DISTINCT delivery_id, metric FROM `EVENTS`
  WHERE event_time >= TIMESTAMP_SECONDS(SINCE) OR event_time IS NULL
) AS known ON known.delivery_id = listed.delivery_id AND known.metric = listed.metric
WHERE known.metric IS NULL
"""


@app.callback()
def _backfill() -> None:
    """Bring back what is missing in BigQuery."""


@app.command()
@with_option_groups
def events(
    since: Annotated[
        datetime,
        typer.Option(
            parser=instant_option, metavar="AGE|TIME", help="Deliveries created from then on, e.g. 3d or 2026-05-01."
        ),
    ],
    account: Account,
    where: Where,
    before: Annotated[
        datetime | None,
        typer.Option(parser=instant_option, metavar="AGE|TIME", help="Deliveries created before then.  [default: now]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the missing events and publish none.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Publish the events of deliveries that BigQuery does not have, each once.

    Run it when webhooks arrive again: what is still on its way counts as missing.
    Customer.io lists deliveries of the last six months, with the first time of each metric.
    """
    target = account.on(where.target())
    until = before or datetime.now(UTC)
    with (
        tempfile.TemporaryDirectory(prefix="backfill-") as folder,
        AppAPI(target) as app_api,
        open_tables(target, "backfill") as tables,
    ):
        file = Path(folder) / "listed"
        deliveries, listed = _write(app_api.messages(int(since.timestamp()), int(until.timestamp())), file)
        tables.load("listed", _COLUMNS, file)
        table = f"{target.project}.{target.dataset}.events"
        missing = _MISSING.replace("EVENTS", table).replace("SINCE", str(int(since.timestamp())))
        tables.create("missing", missing)
        count = tables.number("SELECT COUNT(*) AS n FROM {missing}")
        failed = 0 if dry_run else _publish(tables, target)
    counts = {
        "deliveries": deliveries,
        "events": listed,
        "missing": count,
        "published": 0 if dry_run else count - failed,
    }
    if as_json:
        console.print_json(counts)
    else:
        print(", ".join(f"{number} {name}" for name, number in counts.items()))
    if failed:
        raise typer.Exit(1)


def event(delivery: Mapping[str, Any], metric: str, at: int) -> dict[str, Any]:
    """One event of a delivery, as its webhook would have reported it, as far as the list of deliveries tells.

    Its id follows from delivery and metric: published twice, it is one event.
    """
    identity = f"{delivery['id']}\0{metric}".encode()
    data: dict[str, Any] = {
        "delivery_id": delivery["id"],
        "customer_id": delivery.get("customer_id"),
        "identifiers": delivery.get("customer_identifiers"),
        "recipient": delivery.get("recipient"),
        "subject": delivery.get("subject"),
        "failure_message": delivery.get("failure_message") if metric in _FAILURES else None,
        **{name: delivery.get(name) for name in _ORIGINS},
    }
    kind = str(delivery.get("type") or "")
    return {
        "event_id": f"backfill-{hashlib.sha256(identity).hexdigest()[:32]}",
        "object_type": _OBJECT_TYPES.get(kind, kind),
        "metric": metric,
        "timestamp": at,
        "data": {name: value for name, value in data.items() if value is not None} | {"backfilled": True},
    }


def _write(deliveries: Iterator[dict[str, Any]], path: Path) -> tuple[int, int]:
    """Write one line per event to ``path``; the numbers of deliveries and of events."""
    count = events = 0
    with path.open("wb") as file:
        for count, delivery in enumerate(deliveries, 1):  # noqa: B007 - the number of deliveries
            for metric, at in (delivery.get("metrics") or {}).items():
                # Beside the times there are counts, such as human_opened, which are no events.
                if metric in _NO_EVENTS or metric.startswith(("human_", "prefetch_")) or not isinstance(at, int):
                    continue
                body = msgspec.json.encode(event(delivery, metric, at)).decode()
                file.write(
                    msgspec.json.encode({"delivery_id": str(delivery["id"]), "metric": metric, "body": body}) + b"\n"
                )
                events += 1
    return count, events


def _publish(tables: Tables, target: Target) -> int:
    """Publish the missing events; how many were not published."""
    topic = target.topic(topology().topics["events"].name)
    bodies = (row["body"].encode() for row in tables.query("SELECT body FROM {missing}"))
    failed = 0
    with ConfirmedPublisher(clients.publisher(target)) as publisher:
        for batch in batches(bodies, _BATCH_EVENTS, len):
            problems = publisher.publish([_outgoing(topic, body) for body in batch])
            failed += len(problems) - problems.count("")
            if publisher.is_unreachable:
                raise clients.pubsub_unreachable(target)
    return failed


def _outgoing(topic: str, body: bytes) -> Outgoing:
    attributes = event_attributes(read_event(body)) | encode_received_at(datetime.now(UTC))
    return Outgoing(topic, body, attributes, "")
