"""The App API: transactional sends, broadcasts, addresses.

Rules: https://docs.customer.io/integrations/api/app/
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from local.customerio import limits
from local.customerio.broadcasts import Broadcasts
from local.customerio.deliveries import CHANNELS, Channel, Delivery, Status
from local.customerio.events import unix_seconds
from local.customerio.ids import new_delivery_id
from local.customerio.items import Errors, check_identifiers
from local.customerio.people import Person, key_of
from local.customerio.wire import Answer, Call, encode, json_object, meta_error, unauthorized
from local.customerio.world import World

type Report = Callable[[Mapping[str, Any]], None]
type Body = dict[str, Any]

_IDENTIFIERS = ("id", "email", "cio_id")
_TEXTS = ("from", "reply_to", "subject", "preheader", "body", "body_plain", "body_amp", "title", "message", "language")
_FLAGS = ("disable_message_retention", "queue_draft", "send_to_unsubscribed", "tracked", "disable_css_preprocessing")
_SOUNDS = ("default", "none")
# https://docs.customer.io/integrations/data-out/connections/webhooks/
_ADDRESSES = {
    "us": "35.188.196.183 104.198.177.219 104.154.232.87 130.211.229.195 104.198.221.24 104.197.27.15 35.194.9.154 "
    "104.154.144.51 104.197.210.12 35.225.6.73",
    "eu": "34.76.143.229 34.78.91.47 34.77.94.252 35.187.188.242 34.78.122.90 35.195.137.235 130.211.108.156 "
    "104.199.50.18 34.78.44.80 35.205.31.154",
}


class AppApi:
    def __init__(self, world: World, broadcasts: Broadcasts, report: Report, region: str) -> None:
        self._world = world
        self._broadcasts = broadcasts
        self._report = report
        self._region = region

    def answer(self, call: Call) -> Answer:  # noqa: PLR0911 - one per endpoint
        """Answer one request. Sends and broadcasts answer 401 unless the bearer key is right."""
        match call.method, call.parts:
            case "POST", ("v1", "send", channel) if channel in CHANNELS:
                return self._send(call, channel)
            case "POST", ("v1", "campaigns", campaign, "triggers"):
                return self._broadcasts.trigger(call, campaign)
            case "GET", ("v1", "campaigns", campaign, "triggers", trigger):
                return self._broadcasts.status(call, campaign, trigger)
            case "GET", ("v1", "campaigns", campaign, "triggers", trigger, "errors"):
                return self._broadcasts.errors(call, campaign, trigger)
            case "GET", ("v1", "broadcasts", campaign, "triggers"):
                return self._broadcasts.listing(call, campaign)
            case "GET", ("v1", "info", "ip_addresses"):
                return self._ip_addresses(call)
            case "GET", ("v1", "workspaces"):
                return self._workspaces(call)
            case _:
                return meta_error(404, "not found")

    def _workspaces(self, call: Call) -> Answer:
        if call.auth != "ok":
            return unauthorized()
        return Answer(body=encode({"workspaces": [{"id": 1, "name": "local"}]}))

    def _ip_addresses(self, call: Call) -> Answer:
        if call.auth != "ok":
            return unauthorized()
        return Answer(body=encode({"ip_addresses": _ADDRESSES[self._region].split()}))

    def _send(self, call: Call, channel: Channel) -> Answer:
        if call.auth != "ok":
            return unauthorized()
        body = json_object(call.body)
        if body is None:
            return meta_error(400, "the body is not a JSON object")
        problem = _problem(body, channel)
        if problem is not None:
            return meta_error(400, problem)
        if _attachments_bytes(body) > limits.ATTACHMENTS_BYTES:
            return meta_error(413, f"attachments are larger than {limits.ATTACHMENTS_BYTES} bytes")
        delivery = self._deliver(body, channel)
        self._world.counts.sends[channel] += 1
        for event in self._world.deliveries.add(delivery):
            self._report(event)
        return Answer(body=encode({"delivery_id": delivery.delivery_id, "queued_at": delivery.queued_at}), items=1)

    def _deliver(self, body: Body, channel: Channel) -> Delivery:
        person = self._world.people.find(key_of(body["identifiers"]))
        message = body.get("transactional_message_id", 1)
        delivery = Delivery(
            new_delivery_id(),
            channel,
            int(time.time()),
            {kind: str(value) for kind, value in body["identifiers"].items()} if person is None else person.identifiers,
            _recipient(body, channel, person),
            body.get("subject", f"Transactional message {message}") if channel == "email" else None,
            {"transactional_message_id": message},
            body.get("message_data"),
            _devices(body, person) if channel == "push" else None,
        )
        delivery.status = _status(body, delivery, person)
        return delivery


def _status(body: Body, delivery: Delivery, person: Person | None) -> Status:
    if body.get("queue_draft") is True:
        return "drafted"
    if body.get("send_at", 0) > delivery.queued_at:
        return "scheduled"
    if person is not None and person.unsubscribed and body.get("send_to_unsubscribed") is False:
        return "undeliverable"
    if not delivery.recipients if delivery.channel == "push" else delivery.recipient is None:
        return "failed"
    return "sent"


def _recipient(body: Body, channel: Channel, person: Person | None) -> str | None:
    if channel == "push":
        return None
    if channel in ("in_app", "inbox_message"):
        return str(next(iter(body["identifiers"].values())))
    return body.get("to") or (person.phone if person is not None else None)


def _devices(body: Body, person: Person | None) -> list[dict[str, Any]]:
    known = {} if person is None else person.devices
    to = body.get("to", "all")
    tokens = list(known) if to == "all" else sorted(known, key=_last_used(known))[-1:] if to == "last_used" else [to]
    return [{"device_id": token, "device_platform": known.get(token, {}).get("platform")} for token in tokens]


def _last_used(devices: Mapping[str, Mapping[str, Any]]) -> Callable[[str], int]:
    return lambda token: unix_seconds(devices[token].get("last_used")) or 0


def _problem(body: Body, channel: Channel) -> str | None:
    """The first published rule that the body of a send breaks, or None."""
    errors: Errors = []
    check_identifiers(body.get("identifiers"), _IDENTIFIERS, "identifiers", errors)
    if errors:
        return f"{errors[0].field}: {errors[0].message}"
    return (
        _template_problem(body, channel)
        or _type_problem(body)
        or _schedule_problem(body)
        or _recipient_problem(body, channel)
        or _channel_problem(body, channel)
    )


def _template_problem(body: Body, channel: Channel) -> str | None:
    template = body.get("transactional_message_id")
    if template is None:
        if channel != "email":
            return "transactional_message_id: is required"
        missing = [field for field in ("body", "subject", "from") if not body.get(field)]
        return f"{missing[0]}: is required without transactional_message_id" if missing else None
    if isinstance(template, bool) or not isinstance(template, int | str) or template == "":
        return "transactional_message_id: must be a number or a name"
    return None


def _type_problem(body: Body) -> str | None:
    for field in _TEXTS:
        if not isinstance(body.get(field, ""), str):
            return f"{field}: must be text"
    for field in _FLAGS:
        if not isinstance(body.get(field, False), bool):
            return f"{field}: must be true or false"
    if not isinstance(body.get("message_data", {}), dict):
        return "message_data: must be an object"
    attachments = body.get("attachments", {})
    if not isinstance(attachments, dict) or not all(isinstance(content, str) for content in attachments.values()):
        return "attachments: must be an object of base64 texts by file name"
    return None


def _schedule_problem(body: Body) -> str | None:
    send_at = body.get("send_at", 0)
    if isinstance(send_at, bool) or not isinstance(send_at, int):
        return "send_at: must be a unix time in seconds"
    if send_at > time.time() + limits.SEND_AT_SECONDS_AHEAD:
        return "send_at: cannot be more than 90 days ahead"
    return None


def _recipient_problem(body: Body, channel: Channel) -> str | None:
    to = body.get("to")
    if (to is not None or channel == "email") and (not isinstance(to, str) or not to):
        return "to: must be a non-blank text"
    recipients = sum(text.count(",") + 1 for field in ("to", "bcc") if isinstance(text := body.get(field), str))
    if channel == "email" and recipients > limits.RECIPIENTS_PER_EMAIL:
        return f"to, bcc: cannot be more than {limits.RECIPIENTS_PER_EMAIL} recipients"
    return None


def _channel_problem(body: Body, channel: Channel) -> str | None:
    if channel == "push" and body.get("sound", "default") not in _SOUNDS:
        return "sound: must be default or none"
    if channel == "email" and not encode(body.get("headers", "")).isascii():
        return "headers: must be ASCII"
    return None


def _attachments_bytes(body: Body) -> int:
    """Decoded size: base64 writes three bytes as four characters, the last of them possibly padding."""
    return sum(len(content) * 3 // 4 - content[-2:].count("=") for content in body.get("attachments", {}).values())
