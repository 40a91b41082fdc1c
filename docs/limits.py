"""The numbers of ``docs/limits.md``, read from the code, the topology and Terraform that keep them."""

import re
from pathlib import Path
from typing import Final

from shared import attributes, deadlines
from shared.customerio import track
from shared.handlers import idempotency, webhook
from shared.jobs import limits
from shared.topology import Rate, topology

TEMPLATE: Final = Path(__file__).with_name("limits.template.md")
_SUBSCRIPTION: Final = Path(__file__).parents[1] / "terraform" / "modules" / "job" / "main.tf"
_KIB: Final = 1024
_THOUSAND: Final = 1000
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def page() -> str:
    """Fill the template."""
    return TEMPLATE.read_text().format_map(_job() | _rates_and_lanes() | _times())


def _job() -> dict[str, str]:
    return {
        "track_data": _size(limits.MAX_TRACK_DATA_BYTES),
        "item": _size(limits.MAX_ITEM_BYTES),
        "send_data": _size(limits.MAX_SEND_DATA_BYTES),
        "id": _count(limits.MAX_ID_BYTES),
        "value": _count(limits.MAX_ATTRIBUTE_VALUE_BYTES),
        "attributes": _count(limits.MAX_ATTRIBUTES),
        "event_name": _count(limits.MAX_EVENT_NAME_BYTES),
        "recipients": _count(limits.MAX_EMAIL_RECIPIENTS),
        "attachments": _size(limits.MAX_ATTACHMENT_BYTES),
        "broadcast_people": _count(limits.MAX_BROADCAST_RECIPIENTS),
        "nesting": _count(limits.MAX_NESTING),
        "brackets": _count(limits.MAX_BRACKETS),
        "commas": _count(limits.MAX_COMMAS),
        "broadcast_brackets": _count(limits.MAX_BROADCAST_BRACKETS),
        "broadcast_commas": _count(limits.MAX_BROADCAST_COMMAS),
        "attribute_name": _count(attributes.MAX_KEY_BYTES),
        "attribute_value": _count(attributes.MAX_VALUE_BYTES),
        "message_attributes": _count(attributes.MAX_ATTRIBUTES),
    }


def _rates_and_lanes() -> dict[str, str]:
    known = topology()
    lanes = {}
    for name, lane in known.lanes.items():
        lanes[f"{name}_attempts"] = _count(lane.attempts)
        lanes[f"{name}_backoff"] = f"{_time(lane.minimum_backoff_seconds)} to {_time(lane.maximum_backoff_seconds)}"
    return {
        **lanes,
        **{f"{name}_rate": _rate(rate) for name, rate in known.rates.items()},
        "batch_items": _count(track.MAX_BATCH_ITEMS),
        "batch_bytes": _size(track.MAX_BATCH_BYTES),
        "unknown_outcomes": _count(idempotency.MAX_UNKNOWN_OUTCOMES),
        "concurrency": _count(known.functions["send"].concurrency),
        "cloud_run": _time(known.functions["send"].timeout_seconds),
        "dead_letter": _count(known.dead_letter.retention_days),
    }


def _times() -> dict[str, str]:
    retention = re.search(r'message_retention_duration = "(\d+)s"', _SUBSCRIPTION.read_text())
    if retention is None:
        raise ValueError(f"{_SUBSCRIPTION.name} does not say how long a subscription keeps a message")
    return {
        "waiting": _count(int(retention[1]) // _DAY),
        "pause_after": _time(deadlines.PAUSE_AFTER_SECONDS),
        "first_probe": _time(deadlines.PROBE_MIN_WAIT_SECONDS),
        "longest_probe": _time(deadlines.PROBE_MAX_WAIT_SECONDS),
        "ledger": _count(deadlines.LEDGER_RETENTION_DAYS),
        "secret": _time(deadlines.SECRET_KEPT_SECONDS),
        "signing_key": _time(deadlines.SIGNING_KEY_KEPT_SECONDS),
        "push": _time(deadlines.PUSH_SECONDS),
        "request": _time(deadlines.APP_REQUEST_SECONDS),
        "shutdown": _time(deadlines.SHUTDOWN_SECONDS),
        "webhook_timeout": _time(deadlines.WEBHOOK_TIMEOUT_SECONDS),
        "webhook_answer": _time(deadlines.WEBHOOK_ANSWER_SECONDS),
        "unsigned": _size(webhook.MAX_UNSIGNED_BYTES),
        "signed": _size(webhook.MAX_BODY_BYTES),
        "event": _size(webhook.MAX_EVENT_BYTES),
        "exit": _time(deadlines.PUBLISHER_EXIT_SECONDS),
        "unreachable": _time(deadlines.PUBLISHER_UNREACHABLE_SECONDS),
    }


def _count(number: int) -> str:
    return f"{number:,}"


def _rate(rate: Rate) -> str:
    every = "a second" if rate.per_seconds == 1 else f"in {_time(rate.per_seconds)}"
    return f"{rate.requests:,} {every}"


def _size(size: int) -> str:
    """Write a size with the unit that it was chosen in: 32 KiB, 500 KB."""
    for unit, factor in (("MiB", _KIB**2), ("MB", _THOUSAND**2), ("KiB", _KIB), ("KB", _THOUSAND)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size:,} bytes"


def _time(seconds: float) -> str:
    for unit, factor in (("hours", _HOUR), ("minutes", _MINUTE)):
        if seconds > factor and seconds % factor == 0:
            return f"{seconds / factor:g} {unit}"
    return f"{seconds:g} s"
