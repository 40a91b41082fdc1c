"""API-triggered broadcasts: audiences, the one-per-ten-seconds limit, triggers and their errors.

A trigger is processed at once. `data_file_url` is accepted and not fetched; without an audience the broadcast goes to
everyone, at most 10,000 people. Customer.io does not publish whether refused requests count against the limit: here
they do.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from local.customerio import limits
from local.customerio.deliveries import Delivery
from local.customerio.ids import new_delivery_id, new_ulid
from local.customerio.people import Person, key_of
from local.customerio.wire import Answer, Call, encode, json_object, meta_error, unauthorized
from local.customerio.world import World

type Report = Callable[[Mapping[str, Any]], None]
type Body = dict[str, Any]

_IGNORE_IDS, _IGNORE_EMAILS, _DUPLICATES = "id_ignore_missing", "email_ignore_missing", "email_add_duplicates"
_ALL_FLAGS = frozenset({_IGNORE_IDS, _IGNORE_EMAILS, _DUPLICATES})
# Which flags go with which audience: go-customerio trigger_broadcast.go; extra ones are refused.
_FLAGS: Mapping[str | None, frozenset[str]] = {
    None: frozenset(),
    "recipients": frozenset(),
    "ids": frozenset({_IGNORE_IDS}),
    "emails": frozenset({_IGNORE_EMAILS, _DUPLICATES}),
    "per_user_data": _ALL_FLAGS,
    "data_file_url": _ALL_FLAGS,
}
_AUDIENCES = tuple(name for name in _FLAGS if name is not None)
_PAGE = 100


class Trigger(msgspec.Struct, frozen=True):
    """Times are unix seconds."""

    id: int
    broadcast_id: int
    created_at: int
    processed_at: int
    errors: list[str]


class Broadcasts:
    def __init__(self, world: World, report: Report, pause_seconds: float) -> None:
        self._world = world
        self._report = report
        self._pause = pause_seconds
        self._next_at = 0.0
        self._triggers: list[Trigger] = []

    def trigger(self, call: Call, campaign: str) -> Answer:
        """POST /v1/campaigns/{broadcast_id}/triggers: 200 `{"id"}`, 401, 404, 422, 429."""
        if call.auth != "ok":
            return unauthorized()
        now = time.monotonic()
        if now < self._next_at:
            return meta_error(429, "too many requests")
        self._next_at = now + self._pause
        if not campaign.isdecimal():
            return meta_error(404, "not found")
        number = len(self._triggers) + 1
        body = json_object(call.body)
        problem = ("the body is not a JSON object", "") if body is None else _problem(body)
        if body is None or problem is not None:
            detail, field = problem or ("", "")
            return _unprocessable(f"{detail} trigger {number}", field)
        self._run(number, int(campaign), body)
        return Answer(body=encode({"id": number}), items=1)

    def status(self, call: Call, campaign: str, trigger: str) -> Answer:
        known = self._find(campaign, trigger)
        if call.auth != "ok":
            return unauthorized()
        if known is None:
            return meta_error(404, "not found")
        return Answer(body=encode(_facts(known)))

    def errors(self, call: Call, campaign: str, trigger: str) -> Answer:
        known = self._find(campaign, trigger)
        if call.auth != "ok":
            return unauthorized()
        if known is None:
            return meta_error(404, "not found")
        start, limit = _number(call.query.get("start"), 0), _number(call.query.get("limit"), _PAGE)
        end = start + limit
        following = str(end) if end < len(known.errors) else ""
        return Answer(body=encode({"errors": known.errors[start:end], "next": following}))

    def listing(self, call: Call, campaign: str) -> Answer:
        if call.auth != "ok":
            return unauthorized()
        triggers = [_facts(trigger) for trigger in self._triggers if str(trigger.broadcast_id) == campaign]
        return Answer(body=encode({"triggers": triggers}))

    def _find(self, campaign: str, trigger: str) -> Trigger | None:
        number = _number(trigger, 0)
        known = self._triggers[number - 1] if 1 <= number <= len(self._triggers) else None
        return known if known is not None and str(known.broadcast_id) == campaign else None

    def _run(self, number: int, campaign: int, body: Body) -> None:
        people, errors = _audience(self._world, body)
        now = int(time.time())
        self._triggers.append(Trigger(number, campaign, now, now, errors))
        self._world.counts.broadcasts += 1
        # One missing person fails the whole broadcast.
        for person in () if errors else people:
            delivery = Delivery(
                new_delivery_id(),
                "email",
                now,
                person.identifiers,
                person.email,
                f"Broadcast {campaign}",
                {"broadcast_id": campaign, "trigger_id": number, "action_id": campaign, "journey_id": new_ulid()},
                body.get("data"),
            )
            delivery.status = "undeliverable" if person.unsubscribed else "sent" if person.email else "failed"
            for event in self._world.deliveries.add(delivery):
                self._report(event)


def _facts(trigger: Trigger) -> dict[str, int]:
    return {
        "id": trigger.id,
        "broadcast_id": trigger.broadcast_id,
        "created_at": trigger.created_at,
        "processed_at": trigger.processed_at,
    }


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default


def _unprocessable(detail: str, field: str) -> Answer:
    pointer = f"/data/attributes/{field}"
    return Answer(422, encode({"errors": [{"detail": detail, "source": {"pointer": pointer}, "status": "422"}]}))


def _problem(body: Body) -> tuple[str, str] | None:
    """What is wrong with a trigger's body, and the field, or None."""
    audiences = [name for name in _AUDIENCES if name in body]
    if len(audiences) > 1:
        return f"cannot combine {' and '.join(audiences)}", audiences[1]
    audience = audiences[0] if audiences else None
    for flag in sorted(_ALL_FLAGS & body.keys()):
        if flag not in _FLAGS[audience]:
            return f"{flag} is not allowed with {audience or 'the default audience'}", flag
        if not isinstance(body[flag], bool):
            return f"{flag} must be true or false", flag
    if not isinstance(body.get("data", {}), dict):
        return "data must be an object", "data"
    return None if audience is None else _audience_problem(audience, body[audience])


def _audience_problem(audience: str, value: object) -> tuple[str, str] | None:
    if audience == "recipients":
        if value == {}:
            return "empty recipients filter is not valid", audience
        return None if isinstance(value, dict) else ("recipients must be a filter object", audience)
    if audience == "data_file_url":
        return None if isinstance(value, str) and value else ("data_file_url must be a URL", audience)
    return _list_problem(audience, value)


def _list_problem(audience: str, value: object) -> tuple[str, str] | None:
    if not isinstance(value, list) or not value:
        return f"{audience} must be a non-empty list", audience
    if len(value) > limits.BROADCAST_AUDIENCE:
        return f"{audience} cannot be more than {limits.BROADCAST_AUDIENCE}", audience
    if audience == "per_user_data":
        good = all(isinstance(entry, dict) and ("id" in entry) != ("email" in entry) for entry in value)
        return None if good else ("every per_user_data entry needs either id or email", audience)
    good = all(isinstance(entry, str | int) and not isinstance(entry, bool) for entry in value)
    return None if good else (f"{audience} must hold texts", audience)


def _audience(world: World, body: Body) -> tuple[list[Person], list[str]]:
    """The people a broadcast goes to, and one error for each who is missing and may not be."""
    if "data_file_url" in body:
        return [], []
    entries = _entries(body)
    if entries is None:
        wanted = body.get("recipients")
        people = [person for person in world.people if wanted is None or _matches(wanted, person)]
        return people[: limits.BROADCAST_AUDIENCE], []
    people, errors = [], []
    for line, identifiers in enumerate(entries, 1):
        person = world.people.find(key_of(identifiers))
        if person is not None:
            people.append(person)
        elif body.get(_IGNORE_IDS if "id" in identifiers else _IGNORE_EMAILS) is not True:
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


def _matches(wanted: Any, person: Person) -> bool:
    """A recipients filter. There are no segments here, so nobody is in one."""
    match wanted:
        case {"and": [*parts]}:
            return all(_matches(part, person) for part in parts)
        case {"or": [*parts]}:
            return any(_matches(part, person) for part in parts)
        case {"not": part}:
            return not _matches(part, person)
        case {"attribute": {"field": field, "operator": "exists"}}:
            return field in person.attributes
        case {"attribute": {"field": field, "operator": "eq", "value": value}}:
            return bool(person.attributes.get(field) == value)
        case _:
            return False
