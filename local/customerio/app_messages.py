"""The App API's reads of deliveries, which it calls messages.

Rules: https://docs.customer.io/integrations/api/app/
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from local.customerio import limits
from local.customerio.deliveries import Delivery, failure_message
from local.customerio.exchange import ApiRequest, ApiResponse, json_response, next_page, not_found, page_of
from local.customerio.gateway import Routes
from local.customerio.workspace import Workspace

type Wanted = Callable[[Delivery], bool]

# The App API calls an SMS by the name of the service that carries it.
_TYPES: Mapping[str, str] = {"sms": "twilio"}


def add_routes(routes: Routes) -> None:
    routes.add("GET", "/v1/messages", _all)
    routes.add("GET", "/v1/messages/{delivery_id}", _one)
    routes.add("GET", "/v1/transactional/{id}/messages", _transactional)
    routes.add("GET", "/v1/broadcasts/{id}/messages", _broadcast)


def message(delivery: Delivery) -> dict[str, Any]:
    """A delivery as the App API shows it. A transactional one names no parent: its ids are all null."""
    person = delivery.identifiers
    return {
        "id": delivery.delivery_id,
        "deduplicate_id": f"{delivery.delivery_id}:{delivery.queued_at}",
        "customer_id": person.get("id") or person.get("cio_id") or "",
        "customer_identifiers": {name: person.get(name) for name in ("id", "email", "cio_id")},
        "recipient": delivery.recipient,
        "subject": delivery.subject,
        "type": message_type(delivery),
        "created": delivery.queued_at,
        "metrics": {"created": delivery.queued_at, **delivery.reported_at},
        "failure_message": next((text for name in delivery.metrics if (text := failure_message(delivery, name))), None),
        "campaign_id": None,
        "action_id": delivery.origin.get("action_id"),
        "parent_action_id": None,
        "newsletter_id": None,
        "content_id": None,
        "broadcast_id": delivery.origin.get("broadcast_id"),
        "trigger_event_id": None,
        "forgotten": False,
    }


def message_type(delivery: Delivery) -> str:
    return _TYPES.get(delivery.channel, delivery.channel)


def messages_page(request: ApiRequest, workspace: Workspace, wanted: Wanted) -> ApiResponse:
    """One page of the wanted messages, newest first, narrowed by the query's `type`, `metric`, `start_ts`, `end_ts`."""
    start, limit = page_of(request, limits.DEFAULT_PAGE, limits.MAX_PAGE)
    narrowed = _narrowed(request.query)
    found = [each for each in workspace.state.deliveries if wanted(each) and narrowed(each)]
    found.reverse()
    page = [message(delivery) for delivery in found[start : start + limit]]
    return json_response({"messages": page, "next": next_page(start, limit, len(found))})


def _narrowed(query: Mapping[str, str]) -> Wanted:
    since, until = (query.get(name, "") for name in ("start_ts", "end_ts"))
    earliest = int(since) if since.isdecimal() else 0
    latest = int(until) if until.isdecimal() else int(time.time()) + 1

    def wanted(delivery: Delivery) -> bool:
        return (
            query.get("type") in (None, message_type(delivery))
            and (query.get("metric") in (None, "created") or query["metric"] in delivery.reported_at)
            and earliest <= delivery.queued_at <= latest
        )

    return wanted


def _all(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    return messages_page(request, workspace, lambda _: True)


def _one(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    delivery = workspace.state.deliveries.find(request.path["delivery_id"])
    return not_found() if delivery is None else json_response({"message": message(delivery)})


def _transactional(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    return _by_origin(request, workspace, "transactional_message_id")


def _broadcast(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    return _by_origin(request, workspace, "broadcast_id")


def _by_origin(request: ApiRequest, workspace: Workspace, name: str) -> ApiResponse:
    wanted = request.path["id"]
    return messages_page(request, workspace, lambda delivery: str(delivery.origin.get(name)) == wanted)
