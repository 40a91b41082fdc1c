"""Messages that were "sent", and the reporting webhooks that tell their fate.

A word in the address decides it, so that a test or a demo can ask for any outcome. It is looked for in the local part
of an email address, otherwise in the recipient and the person's identifiers:

    drop         dropped: the address is suppressed
    bounce       sent, bounced
    spam         sent, delivered, opened, spammed
    unsubscribe  sent, delivered, opened, unsubscribed
    (none)       sent, delivered, opened, and clicked for every fourth delivery

A channel reports only the metrics that Customer.io documents for it. No object type is documented for inbox messages:
they report nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from local.customerio.ids import new_ulid

type Channel = Literal["email", "push", "sms", "whatsapp", "inbox_message", "in_app"]
type Status = Literal["sent", "drafted", "scheduled", "failed", "undeliverable"]

CHANNELS: Final[tuple[Channel, ...]] = ("email", "push", "sms", "whatsapp", "inbox_message", "in_app")
CLICKED_EVERY: Final = 4

_METRICS: Final[Mapping[Channel, frozenset[str]]] = {
    "email": frozenset(
        {"drafted", "sent", "delivered", "opened", "clicked", "bounced", "dropped", "spammed", "unsubscribed"}
    ),
    "push": frozenset({"sent", "delivered", "opened", "clicked", "bounced", "dropped"}),
    "sms": frozenset({"sent", "delivered", "clicked", "bounced"}),
    "whatsapp": frozenset({"sent", "delivered", "opened", "clicked", "bounced", "dropped"}),
    "in_app": frozenset({"sent", "opened", "clicked"}),
    "inbox_message": frozenset(),
}
_FATES: Final[Mapping[str, tuple[str, ...]]] = {
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
    "failed": "the message has no recipient",
    "undeliverable": "the person is unsubscribed",
}


class Delivery(msgspec.Struct):
    """One message. `recipients` are the devices of a push; `metrics` lists what was reported, in order."""

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


class Deliveries:
    """The newest deliveries by id."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_id: dict[str, Delivery] = {}
        self._added = 0

    def __iter__(self) -> Iterator[Delivery]:
        return iter(list(self._by_id.values()))

    def add(self, delivery: Delivery) -> list[dict[str, Any]]:
        """Keep it; returns the reporting webhooks it causes, in order."""
        self._added += 1
        self._by_id[delivery.delivery_id] = delivery
        if len(self._by_id) > self._limit:
            del self._by_id[next(iter(self._by_id))]
        delivery.metrics = _metrics(delivery, clicked=self._added % CLICKED_EVERY == 0)
        return [_event(delivery, metric) for metric in delivery.metrics]

    def add_metric(self, delivery_id: str, metric: str) -> None:
        """Reported by the application itself. Unknown deliveries are accepted, as Customer.io does."""
        if delivery_id in self._by_id:
            self._by_id[delivery_id].metrics.append(metric)


def _metrics(delivery: Delivery, *, clicked: bool) -> list[str]:
    match delivery.status:
        case "scheduled":
            return []
        case "drafted":
            fate: tuple[str, ...] = ("drafted",)
        case "failed" | "undeliverable":
            return [delivery.status] if _METRICS[delivery.channel] else []
        case "sent":
            text = _marked_text(delivery)
            fate = next((fate for word, fate in _FATES.items() if word in text), _ENGAGED)
            if clicked and fate is _ENGAGED:
                fate = (*_ENGAGED, "clicked")
    return [metric for metric in fate if metric in _METRICS[delivery.channel]]


def _marked_text(delivery: Delivery) -> str:
    if delivery.channel == "email":
        return (delivery.recipient or "").partition("@")[0].lower()
    devices = (device["device_id"] for device in delivery.recipients or ())
    known = (value for value in delivery.identifiers.values() if value)
    return " ".join([delivery.recipient or "", *devices, *known]).lower()


def _event(delivery: Delivery, metric: str) -> dict[str, Any]:
    """One reporting webhook in the shape of its channel and metric: https://docs.customer.io/integrations/api/webhooks/."""
    data: dict[str, Any] = {
        "customer_id": delivery.identifiers.get("id") or delivery.identifiers.get("cio_id") or "",
        "delivery_id": delivery.delivery_id,
        "identifiers": delivery.identifiers,
        **delivery.origin,
    }
    if metric in _FAILURES and delivery.channel != "push":
        data["failure_message"] = _FAILURES[metric]
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
        "timestamp": delivery.queued_at,
        "data": data,
    }


def _push_recipients(delivery: Delivery, metric: str) -> dict[str, Any]:
    if metric in ("failed", "undeliverable"):
        return {"failure_message": _FAILURES[metric]}
    devices = delivery.recipients or []
    if metric == "bounced":
        devices = [device | {"failure_message": "Unregistered"} for device in devices]
    return {"recipients": devices}
