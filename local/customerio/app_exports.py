"""The App API's exports of people and deliveries: create, poll, get a link, download.

Rules: https://docs.customer.io/integrations/api/app/. The link needs no key and is valid for 15 minutes.
Customer.io does not publish the columns of deliveries, so a client should find columns by name.
"""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import Any

from local.customerio.app_messages import message_type
from local.customerio.deliveries import Delivery
from local.customerio.exchange import (
    ApiRequest,
    ApiResponse,
    error_response,
    json_object,
    json_response,
    not_found,
)
from local.customerio.exports import Export, ExportType, Rows
from local.customerio.filters import attribute, attribute_text, filter_problem, matches
from local.customerio.gateway import Routes
from local.customerio.workspace import Workspace

type Body = dict[str, Any]

_PERSON_COLUMNS = ("id", "email", "cio_id", "unsubscribed", "cio_subscription_preferences")
_DELIVERY_COLUMNS = ("delivery_id", "customer_id", "type", "recipient", "subject", "created")
_METRICS = (
    "created",
    "attempted",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "converted",
    "bounced",
    "spammed",
    "unsubscribed",
    "dropped",
    "failed",
    "undeliverable",
)
# Exactly one of these says which deliveries are exported.
_ORIGINS = ("newsletter_id", "campaign_id", "transactional_message_id", "action_id")


def add_routes(routes: Routes) -> None:
    routes.add("GET", "/v1/exports", _list)
    routes.add("POST", "/v1/exports/customers", _create_customers)
    routes.add("POST", "/v1/exports/deliveries", _create_deliveries)
    routes.add("GET", "/v1/exports/{export_id}", _one)
    routes.add("GET", "/v1/exports/{export_id}/download", _link)
    routes.add("GET", "/exports/{export_id}.csv", _download, needs_key=False)


def _list(_request: ApiRequest, workspace: Workspace) -> ApiResponse:
    # Recorded live responses have null, not an empty list, where there is nothing (customerio-node test fixtures).
    return json_response({"exports": [export.report() for export in workspace.exports] or None})


def _one(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    export = workspace.exports.find(request.path["export_id"])
    return not_found() if export is None else json_response({"export": export.report()})


def _link(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    """A signed link. Before the export is done the answer has no `url`, as others saw at Customer.io."""
    export = workspace.exports.find(request.path["export_id"])
    if export is None:
        return not_found()
    if not export.is_done:
        return json_response({})
    export.downloads += 1
    return json_response({"url": request.base_url + workspace.exports.link(export)})


def _download(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    expires, signature = request.query.get("expires", ""), request.query.get("signature", "")
    if not workspace.exports.is_signed(request.path["export_id"], expires, signature):
        return error_response(403, "the link is not valid, or no longer: ask for another")
    export = workspace.exports.find(request.path["export_id"])
    return not_found() if export is None else ApiResponse(body=_csv(export), headers={"Content-Type": "text/csv"})


def _csv(export: Export) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(export.rows())
    return text.getvalue().encode()


def _create_customers(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    body = json_object(request.body)
    if body is None or "filters" not in body:
        return error_response(400, "filters is required")
    problem = filter_problem(body["filters"]) or _attributes_problem(body)
    if problem is not None:
        return error_response(400, f"filters {problem}")
    return _created(workspace, "customers", lambda: _people(workspace, body))


def _create_deliveries(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    body = json_object(request.body)
    origins = [name for name in _ORIGINS if body is not None and name in body]
    if body is None or len(origins) != 1:
        return error_response(400, f"exactly one of {', '.join(_ORIGINS)} is required")
    if body.get("metric", "created") not in _METRICS:
        return error_response(400, f"metric must be one of {', '.join(_METRICS)}")
    problem = _attributes_problem(body)
    if problem is not None:
        return error_response(400, problem)
    return _created(workspace, "deliveries", lambda: _deliveries(workspace, body, origins[0]))


def _attributes_problem(body: Body) -> str | None:
    names = body.get("attributes", [])
    good = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return None if good else "attributes must be a list of names"


def _created(workspace: Workspace, kind: ExportType, rows: Rows) -> ApiResponse:
    return json_response({"export": workspace.exports.create(kind, rows).report()})


def _people(workspace: Workspace, body: Body) -> Iterator[list[str]]:
    columns = list(dict.fromkeys(chain(_PERSON_COLUMNS, body.get("attributes", []))))
    yield columns
    for person in workspace.state.people:
        if matches(body["filters"], person, workspace.state.segments):
            yield [_cell(attribute(person, name)) for name in columns]


def _deliveries(workspace: Workspace, body: Body, origin: str) -> Iterator[list[str]]:
    names = body.get("attributes", [])
    yield [*_DELIVERY_COLUMNS, *_METRICS[1:], *names]
    for delivery in workspace.state.deliveries:
        if str(delivery.origin.get(origin)) != str(body[origin]) or not _in_time(delivery, body):
            continue
        metric = body.get("metric", "created")
        if metric != "created" and metric not in delivery.reported_at:
            continue
        cio_id = delivery.identifiers.get("cio_id")
        person = None if cio_id is None else workspace.state.people.find(("cio_id", cio_id))
        yield [
            *_delivery_cells(delivery),
            *(_cell(None if person is None else attribute(person, name)) for name in names),
        ]


def _delivery_cells(delivery: Delivery) -> list[str]:
    values = (
        delivery.delivery_id,
        delivery.identifiers.get("id") or "",
        message_type(delivery),
        delivery.recipient,
        delivery.subject,
        delivery.queued_at,
    )
    return [_cell(value) for value in (*values, *(delivery.reported_at.get(metric) for metric in _METRICS[1:]))]


def _in_time(delivery: Delivery, body: Body) -> bool:
    """Times are those of creation, not of sending."""
    start, end = body.get("start") or 0, body.get("end") or delivery.queued_at
    return bool(start <= delivery.queued_at <= end)


def _cell(value: Any) -> str:
    return "" if value is None else attribute_text(value)
