"""Messages that were "sent", and the reporting webhooks that tell what became of them.

A word in the address decides what becomes of a message, so that a test or a demo can ask for any outcome. The word is
looked for in the local part of an email address, otherwise in the recipient and the person's identifiers:

    drop         dropped: the address is suppressed
    bounce       sent, bounced
    spam         sent, delivered, opened, spammed
    unsubscribe  sent, delivered, opened, unsubscribed
    (none)       sent, delivered, opened, and clicked for every fourth delivery

A channel reports only the metrics that Customer.io documents for it. Inbox messages report nothing, because no object
type is documented for them.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from local.customerio.ids import new_ulid

type Channel = Literal["email", "push", "sms", "whatsapp", "inbox_message", "in_app"]
type Status = Literal["sent", "drafted", "scheduled", "failed", "undeliverable"]

CHANNELS: Final[tuple[Channel, ...]] = ("email", "push", "sms", "whatsapp", "inbox_message", "in_app")
_NO_RECIPIENT: Final = "the message has no recipient"
# Every fourth delivery is clicked.
CLICKED_EVERY: Final = 4

_METRICS_BY_CHANNEL: Final[Mapping[Channel, frozenset[str]]] = {
    "email": frozenset(
        {"drafted", "sent", "delivered", "opened", "clicked", "bounced", "dropped", "spammed", "unsubscribed"}
    ),
    "push": frozenset({"sent", "delivered", "opened", "clicked", "bounced", "dropped"}),
    "sms": frozenset({"sent", "delivered", "clicked", "bounced"}),
    "whatsapp": frozenset({"sent", "delivered", "opened", "clicked", "bounced", "dropped"}),
    "in_app": frozenset({"sent", "opened", "clicked"}),
    "inbox_message": frozenset(),
}
_METRICS_BY_WORD: Final[Mapping[str, tuple[str, ...]]] = {
    "drop": ("dropped",),
    "bounce": ("sent", "bounced"),
    "spam": ("sent", "delivered", "opened", "spammed"),
    "unsubscribe": ("sent", "delivered", "opened", "unsubscribed"),
}
# Whether a mail client or a security scanner, not a person, opened or clicked.
_EMAIL_MACHINE_FLAGS: Final[Mapping[str, Mapping[str, bool]]] = {
    "opened": {"proxied": False, "prefetched": False, "synthetic": False},
    "clicked": {"machine": False},
}
_ENGAGED: Final = ("sent", "delivered", "opened")
_FAILURES: Final[Mapping[str, str]] = {
    "bounced": "550 5.5.0 Requested action not taken: mailbox unavailable",
    "dropped": "the recipient is suppressed",
    "failed": _NO_RECIPIENT,
    "undeliverable": "the person is unsubscribed",
}

_NO_RECIPIENT_BY_CHANNEL: Final[Mapping[Channel, str]] = {
    "push": "the person has no device",
    "sms": "the person has no phone number",
    "whatsapp": "the person has no phone number",
}


class Delivery(msgspec.Struct):
    """One message.

    `recipients` are the devices of a push. `metrics` lists what was reported so far, in order, and `reported_at` the
    unix time in seconds of each metric's first report.
    """

    delivery_id: str
    channel: Channel
    queued_at: int
    identifiers: Mapping[str, str | None]
    recipient: str | None
    subject: str | None
    origin: dict[str, Any]
    message_data: Any = None
    recipients: list[dict[str, Any]] | None = None
    status: Status = "sent"
    metrics: list[str] = []
    reported_at: dict[str, int] = {}

    def reported(self, metric: str, at: int) -> None:
        self.metrics.append(metric)
        self.reported_at.setdefault(metric, at)


class Deliveries:
    """The newest deliveries by id.

    Args:
        limit: Number of deliveries kept; the oldest is forgotten for a new one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_id: dict[str, Delivery] = {}
        self._added = 0

    def __iter__(self) -> Iterator[Delivery]:
        return iter(list(self._by_id.values()))

    def find(self, delivery_id: str) -> Delivery | None:
        return self._by_id.get(delivery_id)

    def add(self, delivery: Delivery) -> list[str]:
        """Keep the delivery. Returns the metrics that it will report, in order."""
        self._added += 1
        self._by_id[delivery.delivery_id] = delivery
        if len(self._by_id) > self._limit:
            del self._by_id[next(iter(self._by_id))]
        return _metrics(delivery, clicked=self._added % CLICKED_EVERY == 0)

    def redact(self, cio_id: str) -> None:
        """Keep that there were messages to a person, and nothing of to whom and what about."""
        for delivery in self._by_id.values():
            if delivery.identifiers.get("cio_id") == cio_id:
                delivery.identifiers = dict.fromkeys(delivery.identifiers)
                delivery.recipient = delivery.subject = delivery.message_data = delivery.recipients = None

    def add_metric(self, delivery_id: str, metric: str) -> None:
        """Note a metric that the application reports. An unknown delivery is ignored, as at Customer.io."""
        delivery = self._by_id.get(delivery_id)
        if delivery is not None:
            delivery.reported(metric, int(time.time()))


def _metrics(delivery: Delivery, *, clicked: bool) -> list[str]:
    match delivery.status:
        case "scheduled":
            return []
        case "drafted":
            metrics: tuple[str, ...] = ("drafted",)
        case "failed" | "undeliverable":
            return [delivery.status] if _METRICS_BY_CHANNEL[delivery.channel] else []
        case "sent":
            text = _marked_text(delivery)
            metrics = next((metrics for word, metrics in _METRICS_BY_WORD.items() if word in text), _ENGAGED)
            if clicked and metrics is _ENGAGED:
                metrics = (*_ENGAGED, "clicked")
    return [metric for metric in metrics if metric in _METRICS_BY_CHANNEL[delivery.channel]]


def _marked_text(delivery: Delivery) -> str:
    if delivery.channel == "email":
        return (delivery.recipient or "").partition("@")[0].lower()
    devices = (device["device_id"] for device in delivery.recipients or ())
    known = (value for value in delivery.identifiers.values() if value)
    return " ".join([delivery.recipient or "", *devices, *known]).lower()


def reporting_event(delivery: Delivery, metric: str, at: int) -> dict[str, Any]:
    """One reporting webhook in the shape of its channel and metric; `at` is its unix time in seconds.

    Source: https://docs.customer.io/integrations/api/webhooks/
    """
    data: dict[str, Any] = {
        "customer_id": delivery.identifiers.get("id") or delivery.identifiers.get("cio_id") or "",
        "delivery_id": delivery.delivery_id,
        "identifiers": delivery.identifiers,
        **delivery.origin,
    }
    if metric in _FAILURES and delivery.channel != "push":
        data["failure_message"] = failure_message(delivery, metric)
    if metric == "clicked":
        data |= {"href": "https://example.com/", "link_id": 1}
    data |= _EMAIL_MACHINE_FLAGS.get(metric, {}) if delivery.channel == "email" else {}
    if delivery.channel == "push":
        data |= _push_recipients(delivery, metric)
    elif delivery.recipient is not None and (delivery.channel, metric) != ("in_app", "opened"):
        data["recipient"] = delivery.recipient
    if delivery.channel == "email":
        data["subject"] = delivery.subject
    return {
        "event_id": new_ulid(),
        "object_type": delivery.channel,
        "metric": metric,
        "timestamp": at,
        "data": data,
    }


def failure_message(delivery: Delivery, metric: str) -> str | None:
    """Why a delivery failed, in Customer.io's manner, or None if the metric is no failure."""
    if metric == "failed":
        return _NO_RECIPIENT_BY_CHANNEL.get(delivery.channel, _NO_RECIPIENT)
    return _FAILURES.get(metric)


def _push_recipients(delivery: Delivery, metric: str) -> dict[str, Any]:
    if metric in ("failed", "undeliverable"):
        return {"failure_message": failure_message(delivery, metric)}
    devices = delivery.recipients or []
    if metric == "bounced":
        devices = [device | {"failure_message": "Unregistered"} for device in devices]
    return {"recipients": devices}
