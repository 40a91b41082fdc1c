"""What becomes of one message after it was sent: its webhook events, at times and rates that look like real ones."""

import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

# Times are in minutes here: the median, and how widely people spread around it (sigma of a log-normal).
_DELIVERY: Final = (0.05, 0.6)
_MACHINE_OPEN: Final = (0.4, 0.8)
_CLICK: Final = (0.7, 0.9)
_OPT_OUT: Final = (1.5, 0.8)
_CONVERSION: Final = (25.0, 0.8)
# Longest time after sending that an event is reported for, in minutes: ten days.
_LONGEST: Final = 14_400.0

# Share of people whose mail program fetches every picture, read or not, as Apple's and Gmail's do.
_SHARE_OF_MACHINES: Final = 0.38


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who gets messages.

    Args:
        number: Position among all people; decides whether a machine opens their mail.
        id: The application's id.
        domain: Domain of the email address.
    """

    number: int
    id: str
    domain: str

    @property
    def email(self) -> str:
        return f"{self.id}@{self.domain}"

    @property
    def machine_opens(self) -> bool:
        return self.number % 100 < 100 * _SHARE_OF_MACHINES


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """How people react to the messages made from one template, campaign or newsletter.

    Args:
        fields: What the events name: ``transactional_message_id``, ``campaign_id`` or ``newsletter_id``.
        subject: Subject line; empty for channels without one.
        channel: ``object_type`` of the events.
        open_share: Share of the delivered that a person opens.
        open_median: Median time from sending to that open, in minutes.
        click_share: Share of the opened that is clicked.
        opt_out_share: Share of the delivered that people unsubscribe by.
        conversion_share: Share of the clicked that ends at the campaign's goal.
    """

    fields: Mapping[str, Any]
    subject: str = ""
    channel: str = "email"
    open_share: float = 0.0
    open_median: float = 60.0
    click_share: float = 0.0
    opt_out_share: float = 0.0
    conversion_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message does not arrive.

    Args:
        metric: ``bounced`` by the receiving side, or ``dropped`` by Customer.io.
        words: The event's ``failure_message``.
    """

    metric: str
    words: str


class Draw(random.Random):
    """Chance, the same at every run with the same seed."""

    def happens(self, share: float) -> bool:
        return self.random() < share

    def later(self, than: datetime, median: float, sigma: float) -> datetime:
        """Draw a later time. Its distance has the given median, in minutes, and a long tail."""
        minutes = min(self.lognormvariate(math.log(median), sigma), _LONGEST)
        return than + timedelta(minutes=minutes)


class MessageLife:
    """Draws the events of messages and numbers them.

    Args:
        draw: Decides everything that is left to chance.
        name: Beginning of every event's id.
    """

    def __init__(self, draw: Draw, name: str) -> None:
        self._draw = draw
        self._name = name
        self._count = 0

    def events(
        self, template: Template, person: Person, delivery_id: str, sent_at: datetime, refusal: Refusal | None
    ) -> Iterator[tuple[str, datetime, bytes]]:
        """Tell a message's life: the metric, the time and the webhook's body of each event."""
        data = {
            "delivery_id": delivery_id,
            "identifiers": {"id": person.id},
            "recipient": person.email if template.channel == "email" else f"+1555{person.number:07}",
            **({"subject": template.subject} if template.subject else {}),
            **template.fields,
        }
        for metric, at, more in self._steps(template, person, sent_at, refusal):
            yield metric, at, self._event(template.channel, metric, at, {**data, **more})

    def _event(self, channel: str, metric: str, at: datetime, data: Mapping[str, Any]) -> bytes:
        self._count += 1
        event = {"event_id": f"{self._name}-{self._count}", "object_type": channel, "metric": metric}
        return json.dumps({**event, "timestamp": int(at.timestamp()), "data": data}).encode()

    def _steps(
        self, template: Template, person: Person, sent_at: datetime, refusal: Refusal | None
    ) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
        if refusal is not None and refusal.metric == "dropped":
            yield "dropped", sent_at, {"failure_message": refusal.words}
            return
        yield "sent", sent_at, {}
        arrived = self._draw.later(sent_at, *_DELIVERY)
        if refusal is not None:
            yield refusal.metric, arrived, {"failure_message": refusal.words}
            return
        yield "delivered", arrived, {}
        if template.channel != "email":
            return
        if person.machine_opens:
            yield "opened", self._draw.later(arrived, *_MACHINE_OPEN), {"prefetched": True}
        if not self._draw.happens(template.open_share):
            return
        opened = self._draw.later(arrived, template.open_median, 1.1)
        yield "opened", opened, {"prefetched": False}
        if self._draw.happens(template.opt_out_share / template.open_share):
            yield "unsubscribed", self._draw.later(opened, *_OPT_OUT), {}
        elif self._draw.happens(template.click_share):
            clicked = self._draw.later(opened, *_CLICK)
            yield "clicked", clicked, {"href": "https://shop.example/", "machine": False}
            if self._draw.happens(template.conversion_share):
                yield "converted", self._draw.later(clicked, *_CONVERSION), {}
