"""The receipt as a person or a program reads it, with what outlives it."""

from datetime import datetime, timedelta
from typing import Any

from ops import console, deadlines
from ops.target import Target
from shared.deadlines import TOMBSTONE_RETENTION_DAYS
from shared.receipt import Receipt


def document(target: Target, receipt: Receipt) -> dict[str, Any]:
    """One JSON document."""
    last = max((each.at for each in receipt.stores.values()), default=receipt.forgotten_at)
    return {
        "person": receipt.person,
        "state": "complete" if receipt.due is None else "open",
        "forgotten_at": receipt.forgotten_at,
        "due": receipt.due,
        "restored_at": receipt.restored_at,
        "stores": {name: {"count": each.count, "at": each.at} for name, each in receipt.stores.items()},
        "outlives": [{"what": what, "until": until} for what, until in _outlives(target, receipt.forgotten_at, last)],
    }


def show(target: Target, receipt: Receipt) -> None:
    """Print a receipt for a person."""
    out, made = console.out(), document(target, receipt)
    state = "complete" if receipt.due is None else f"open, the rest is due at {console.clock_time(receipt.due)}"
    out.print(console.plain(f"receipt {receipt.person}: {state}"), soft_wrap=True)
    table = console.table("store", "count", "searched")
    for name, each in receipt.stores.items():
        table.add_row(name, str(each.count), console.clock_time(each.at))
    out.print(table)
    out.print(console.plain("What outlives it:"))
    for each in made["outlives"]:
        until = console.clock_time(each["until"]) if each["until"] else "kept"
        out.print(console.plain(f"  {each['what']}: {until}"), soft_wrap=True)


def _outlives(target: Target, began: datetime, last: datetime) -> list[tuple[str, datetime | None]]:
    def after(moment: datetime, days: float) -> datetime:
        return moment + timedelta(days=days)

    common: list[tuple[str, datetime | None]] = [
        (
            "messages that wait in Pub/Sub, dropped when they are delivered",
            after(began, deadlines.PUBSUB_RETENTION_DAYS),
        ),
        ("tombstones: hashes of the identifiers", after(began, TOMBSTONE_RETENTION_DAYS)),
        ("this receipt: hashes and numbers", None),
        ("Customer.io's suppression list", None),
    ]
    if target.is_local:
        return [*common, ("log lines with a hash of the key, until the stack is started again", None)]
    return [
        *common,
        ("log lines with a hash of the key (30 days, unless you changed the bucket)", after(began, deadlines.LOG_DAYS)),
        ("BigQuery's time travel and fail-safe copies", after(last, deadlines.BIGQUERY_COPIES_DAYS)),
        ("claims of sends whose job id holds an @: hashes", after(began, deadlines.CLAIM_DAYS)),
    ]
