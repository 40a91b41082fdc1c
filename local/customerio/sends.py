"""The App API's transactional sends.

Rules: https://docs.customer.io/integrations/api/app/
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from local.customerio import limits
from local.customerio.deliveries import CHANNELS, Channel, Delivery, Status
from local.customerio.events import unix_seconds
from local.customerio.exchange import ApiRequest, ApiResponse, encode, error_response, json_object
from local.customerio.gateway import Routes
from local.customerio.ids import new_delivery_id
from local.customerio.people import Person, key_of
from local.customerio.send_rules import attachment_bytes, send_problem
from local.customerio.workspace import Workspace

type Body = dict[str, Any]


def add_routes(routes: Routes) -> None:
    for channel in CHANNELS:
        routes.add("POST", f"/v1/send/{channel}", partial(_send, channel=channel), rate="send")


def _send(request: ApiRequest, workspace: Workspace, *, channel: Channel) -> ApiResponse:
    body = json_object(request.body)
    if body is None:
        return error_response(400, "the body is not a JSON object")
    problem = send_problem(body, channel)
    if problem is not None:
        return error_response(400, problem)
    if attachment_bytes(body) > limits.MAX_ATTACHMENT_BYTES:
        return error_response(413, f"attachments are larger than {limits.MAX_ATTACHMENT_BYTES} bytes")
    person = workspace.state.people.find(key_of(body["identifiers"]))
    delivery = _delivery(body, channel, person)
    workspace.state.counts.sends[channel] += 1
    workspace.engagement.start(delivery)
    return ApiResponse(body=encode({"delivery_id": delivery.delivery_id, "queued_at": delivery.queued_at}), items=1)


def _delivery(body: Body, channel: Channel, person: Person | None) -> Delivery:
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
