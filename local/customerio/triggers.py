"""Triggers of broadcasts: accepted at once, processed a moment later, their errors kept.

While a trigger is not processed its `processed_at` is null. One missing person fails the whole broadcast: nobody gets
it, and the errors name each line. `data_file_url` is accepted and not fetched. Without an audience a broadcast goes to
everybody, at most to 10,000 people.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from local.customerio.deliveries import Delivery
from local.customerio.engagement import Engagement
from local.customerio.filters import matches
from local.customerio.ids import new_delivery_id, new_ulid
from local.customerio.people import Person, key_of
from local.customerio.state import State
from shared.jobs import limits as published

type Body = dict[str, Any]

IGNORE_IDS = "id_ignore_missing"
IGNORE_EMAILS = "email_ignore_missing"


class Trigger(msgspec.Struct):
    """Times are unix seconds; `processed_at` is None while the trigger waits."""

    id: int
    broadcast_id: int
    created_at: int
    processed_at: int | None = None
    errors: list[str] = []

    @property
    def status(self) -> dict[str, int | None]:
        return {
            "id": self.id,
            "broadcast_id": self.broadcast_id,
            "created_at": self.created_at,
            "processed_at": self.processed_at,
        }


class Triggers:
    """All triggers, oldest first.

    Args:
        state: Where people and counts are.
        engagement: Takes the messages of a broadcast.
        seconds: How long processing takes; 0 processes at once.
    """

    def __init__(self, state: State, engagement: Engagement, seconds: float) -> None:
        self._state = state
        self._engagement = engagement
        self._seconds = seconds
        self._triggers: list[Trigger] = []
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def next_id(self) -> int:
        return len(self._triggers) + 1

    @property
    def pending(self) -> int:
        """Triggers that are not processed yet."""
        return len(self._timers)

    def accept(self, broadcast_id: int, body: Body) -> Trigger:
        """Accept a checked body; it is processed after a moment."""
        trigger = Trigger(self.next_id, broadcast_id, int(time.time()))
        self._triggers.append(trigger)
        self._state.counts.broadcasts += 1
        if self._seconds:
            self._later(trigger, body)
        else:
            self._process(trigger, body)
        return trigger

    def find(self, broadcast_id: str, trigger_id: str) -> Trigger | None:
        number = int(trigger_id) if trigger_id.isdecimal() else 0
        trigger = self._triggers[number - 1] if 1 <= number <= len(self._triggers) else None
        return trigger if trigger is not None and str(trigger.broadcast_id) == broadcast_id else None

    def of_broadcast(self, broadcast_id: str) -> list[Trigger]:
        return [trigger for trigger in self._triggers if str(trigger.broadcast_id) == broadcast_id]

    def cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _later(self, trigger: Trigger, body: Body) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self._process(trigger, body)

        timer = asyncio.get_running_loop().call_later(self._seconds, due)
        self._timers.add(timer)

    def _process(self, trigger: Trigger, body: Body) -> None:
        people, trigger.errors = _audience(self._state, body)
        trigger.processed_at = int(time.time())
        for person in () if trigger.errors else people:
            self._engagement.start(_delivery(trigger, person, body))


def _delivery(trigger: Trigger, person: Person, body: Body) -> Delivery:
    number = trigger.broadcast_id
    delivery = Delivery(
        new_delivery_id(),
        "email",
        int(time.time()),
        person.identifiers,
        person.email,
        f"Broadcast {number}",
        {"broadcast_id": number, "trigger_id": trigger.id, "action_id": number, "journey_id": new_ulid()},
        body.get("data"),
    )
    delivery.status = "undeliverable" if person.unsubscribed else "sent" if person.email else "failed"
    return delivery


def _audience(state: State, body: Body) -> tuple[list[Person], list[str]]:
    """The people a broadcast goes to, and an error for each person who is missing although that is not ignored."""
    if "data_file_url" in body:
        return [], []
    entries = _entries(body)
    if entries is None:
        wanted = body.get("recipients")
        people = [person for person in state.people if wanted is None or matches(wanted, person, state.segments)]
        return people[: published.MAX_BROADCAST_RECIPIENTS], []
    people, errors = [], []
    for line, identifiers in enumerate(entries, 1):
        person = state.people.find(key_of(identifiers))
        if person is not None:
            people.append(person)
        elif body.get(IGNORE_IDS if "id" in identifiers else IGNORE_EMAILS) is not True:
            errors.append(f"line {line}: no such person")
    return people, errors


def _entries(body: Body) -> Iterable[Mapping[str, Any]] | None:
    if "ids" in body:
        return [{"id": value} for value in body["ids"]]
    if "emails" in body:
        return [{"email": value} for value in body["emails"]]
    if "per_user_data" in body:
        return [{kind: entry[kind] for kind in ("id", "email") if kind in entry} for entry in body["per_user_data"]]
    return None
