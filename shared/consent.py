"""A person's consent as Customer.io reports it, in one form whatever webhook brought it.

=======================================  ================================================================
webhook                                  consent
=======================================  ================================================================
``unsubscribed``, ``subscribed``         to everything: email, SMS, WhatsApp and push
``cio_subscription_preferences_changed`` to one topic, or one channel, of the subscription center, each
``spammed``                              to emails, withdrawn
``bounced`` for good                     to emails, withdrawn: the address does not exist
=======================================  ================================================================

Customer.io reports changes that were made through its API, too, so an application that writes consent hears of its own
writes. https://docs.customer.io/integrations/api/webhooks/, "Customer events" and "Email events".
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .events import Event

_PREFERENCES_CHANGED = "cio_subscription_preferences_changed"
# Webhooks do not say whether a bounce is hard. SMTP's reply codes do: 5xx, and enhanced 5.x.x, are permanent.
# https://www.rfc-editor.org/rfc/rfc3463#section-3.1
_HARD_BOUNCE = re.compile(r"\s*(?:\w*\s)?5(?:\d\d|\.\d{1,3}\.\d{1,3})\b")


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """One change of consent, as it is published on `cio-consent`."""

    event_id: Annotated[str, Meta(description="id of the webhook; a repeated delivery has the same")]
    id: Annotated[str | None, Meta(description="the person's id in the application")]
    cio_id: Annotated[str | None, Meta(description="Customer.io's own id of the person")]
    email: Annotated[str | None, Meta(description="the person's address, where Customer.io gave it")]
    channel: Annotated[str | None, Meta(description="`email` or another channel; null is every channel")]
    topic: Annotated[str | None, Meta(description="topic of the subscription center; null is every topic")]
    wanted: Annotated[bool, Meta(description="whether the person wants the messages")]
    at: Annotated[str, Meta(description="when it changed, ISO 8601 in UTC")]
    source: Annotated[str, Meta(description="metric of the webhook, such as `unsubscribed` or `spammed`")]


def consents(event: Event, received_at: datetime) -> list[Consent]:
    """List the changes of consent that an event reports; empty for every other event.

    Args:
        event: The event.
        received_at: When its webhook came in, for an event without a time.
    """
    identifiers = event.data.get("identifiers")
    known: dict[str, Any] = identifiers if isinstance(identifiers, dict) else {}
    addresses = (known.get("email"), event.data.get("email_address"), event.data.get("recipient"))
    return [
        Consent(
            event_id=event.event_id,
            id=_text(known.get("id")) or _text(event.data.get("customer_id")),
            cio_id=_text(known.get("cio_id")),
            email=next(filter(None, map(_text, addresses)), None),
            channel=channel,
            topic=topic,
            wanted=wanted,
            at=(event.time or received_at).isoformat(),
            source=event.metric,
        )
        for channel, topic, wanted in _changes(event)
    ]


def consent_attributes(consent: Consent) -> dict[str, str]:
    """Make the Pub/Sub attributes by which subscriptions filter.

    They are ``source``, ``wanted``, ``channel`` and ``subscription_topic``; Google's client keeps ``topic`` for itself.
    """
    candidates = {"source": consent.source, "channel": consent.channel, "subscription_topic": consent.topic}
    named = {name: value for name, value in candidates.items() if value and value.isascii() and value.isprintable()}
    return {"event_id": consent.event_id, "wanted": str(consent.wanted).lower(), **named}


def _changes(event: Event) -> Iterator[tuple[str | None, str | None, bool]]:
    match event.metric:
        case "unsubscribed" | "subscribed":
            yield None, None, event.metric == "subscribed"
        case "spammed" if event.object_type == "email":
            yield "email", None, False
        case "bounced" if event.object_type == "email" and _HARD_BOUNCE.match(str(event.data.get("failure_message"))):
            yield "email", None, False
        case changed if changed == _PREFERENCES_CHANGED:
            yield from _preferences(event.data.get("content"))


def _preferences(content: Any) -> Iterator[tuple[str | None, str | None, bool]]:
    """Read the changed choices, which come as JSON in text, and only where the webhook sends body content."""
    try:
        preferences = msgspec.json.decode(content) if isinstance(content, str) else content
    except (msgspec.DecodeError, RecursionError):
        return
    for level in ("topics", "channels"):
        choices = preferences.get(level) if isinstance(preferences, dict) else None
        for name, wanted in choices.items() if isinstance(choices, dict) else ():
            if isinstance(wanted, bool):
                yield (None, name, wanted) if level == "topics" else (name, None, wanted)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
