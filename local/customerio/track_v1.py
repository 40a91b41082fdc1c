"""Track API v1. Each call becomes the v2 operation that says the same, so that both obey one set of rules.

The answer is 200 `{}`, 400 `{"meta": {"errors": [...]}}` or 401. 200 means accepted, not applied: a segment or a person
that does not exist changes nothing and answers 200. Rules: https://docs.customer.io/integrations/api/track/
"""

from collections.abc import Callable
from typing import Any

from local.customerio import limits
from local.customerio.exchange import (
    ApiRequest,
    ApiResponse,
    ItemError,
    encode,
    error_response,
    json_object,
    json_response,
)
from local.customerio.gateway import Endpoint, Routes
from local.customerio.items import Errors, Item, check, check_device, check_event
from local.customerio.people import Person, key_of
from local.customerio.state import State
from local.customerio.workspace import Workspace

type Body = dict[str, Any]
type Operation = Callable[[State, ApiRequest, Body], Errors]

_ENVIRONMENT_ID = 1
_HOSTS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
_CIO = "cio_"
_EVENT_TYPES = ("event", "page", "screen")
_PUSH_EVENTS = ("opened", "converted", "delivered")
_SEGMENT_ID_TYPES = ("id", "email", "cio_id")


def add_routes(routes: Routes) -> None:
    customer = "/api/v1/customers/{identifier}"
    routes.add("GET", "/auth", _auth, needs_key=False)
    routes.add("GET", "/api/v1/accounts/region", _region, any_region=True)
    routes.add("PUT", customer, _operation(_identify))
    routes.add("DELETE", customer, _operation(_person_operation("delete")))
    routes.add("POST", customer + "/suppress", _operation(_person_operation("suppress")))
    routes.add("POST", customer + "/unsuppress", _operation(_person_operation("unsuppress")))
    routes.add("PUT", customer + "/devices", _operation(_add_device))
    routes.add("DELETE", customer + "/devices/{device_id}", _operation(_delete_device))
    routes.add("POST", customer + "/events", _operation(_event))
    routes.add("POST", "/api/v1/events", _operation(_anonymous_event))
    routes.add("POST", "/api/v1/merge_customers", _operation(_merge))
    routes.add("POST", "/api/v1/segments/{segment_id}/add_customers", _operation(_add_to_segment))
    routes.add("POST", "/api/v1/segments/{segment_id}/remove_customers", _operation(_remove_from_segment))
    # Browsers and apps report these themselves, without credentials. The Ruby client leaves the prefix out.
    routes.add("POST", "/api/v1/metrics", _metrics, needs_key=False)
    routes.add("POST", "/api/v1/push/events", _push_event, needs_key=False)
    routes.add("POST", "/push/events", _push_event, needs_key=False)
    routes.add("POST", "/unsubscribe/{delivery_id}", _unsubscribe, needs_key=False)


def _auth(_request: ApiRequest, _workspace: Workspace) -> ApiResponse:
    """Operators report 200 for wrong credentials too; `accounts/region` is the check that works."""
    return json_response({"meta": {"message": "nice credentials."}})


def _region(_request: ApiRequest, workspace: Workspace) -> ApiResponse:
    region = workspace.region
    return json_response({"url": _HOSTS[region], "region": region, "environment_id": _ENVIRONMENT_ID})


def _metrics(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    return _add_metric(request, workspace, "metric")


def _push_event(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    body = json_object(request.body) or {}
    if body.get("event") not in _PUSH_EVENTS:
        return error_response(400, "event must be opened, converted or delivered")
    return _add_metric(request, workspace, "event")


def _add_metric(request: ApiRequest, workspace: Workspace, field: str) -> ApiResponse:
    body = json_object(request.body)
    if body is None or not isinstance(body.get("delivery_id"), str) or not isinstance(body.get(field), str):
        return error_response(400, f"delivery_id and {field} are required")
    workspace.state.deliveries.add_metric(body["delivery_id"], body[field])
    return ApiResponse()


def _unsubscribe(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    """Unsubscribe whoever got a delivery. An unknown delivery answers 200 and changes nothing."""
    body = json_object(request.body)
    if body is None or body.get("unsubscribe") is not True:
        return error_response(400, "unsubscribe must be true")
    delivery = workspace.state.deliveries.find(request.path["delivery_id"])
    cio_id = None if delivery is None else delivery.identifiers.get("cio_id")
    person = None if cio_id is None else workspace.state.people.find(("cio_id", cio_id))
    if person is not None:
        person.attributes["unsubscribed"] = True
    return ApiResponse()


def _operation(operation: Operation) -> Endpoint:
    """The endpoint of an operation that takes a JSON object and says what is wrong with it."""

    def endpoint(request: ApiRequest, workspace: Workspace) -> ApiResponse:
        body = json_object(request.body)
        if body is None:
            return error_response(400, "the body is not a JSON object")
        errors = operation(workspace.state, request, body)
        if not errors:
            return ApiResponse(items=1)
        workspace.state.counts.rejected(1)
        texts = [f"{error.field}: {error.message}" for error in errors]
        return ApiResponse(400, encode({"meta": {"errors": texts}}), 1, tuple(errors))

    return endpoint


def identifiers_of(identifier: str) -> dict[str, str]:
    """The identifier of a path, whose kind shows in its shape: an email has an @, a cio_id the prefix cio_."""
    if identifier.startswith(_CIO):
        return {"cio_id": identifier.removeprefix(_CIO)}
    return {"email" if "@" in identifier else "id": identifier}


def _person_operation(action: str) -> Operation:
    return lambda state, request, _body: _apply(state, _item(request, action))


def _item(request: ApiRequest, action: str, **fields: Any) -> Item:
    return {
        "type": "person",
        "action": action,
        "identifiers": identifiers_of(request.path["identifier"]),
        **fields,
    }


def _apply(state: State, item: Item) -> Errors:
    errors = check(item)
    if not errors:
        state.apply(item)
    return errors


def _identify(state: State, request: ApiRequest, body: Body) -> Errors:
    relations = body.pop("cio_relationships", None)
    item = _item(request, "identify", attributes=body, timestamp=body.get("_timestamp"))
    if relations is None:
        return _apply(state, item)
    action = relations.get("action") if isinstance(relations, dict) else None
    if action not in ("add_relationships", "delete_relationships"):
        return [ItemError("invalid", "cio_relationships.action", "must be add_relationships or delete_relationships")]
    related = _item(request, action, cio_relationships=relations.get("relationships"))
    return check(related) or _apply(state, item) or _apply(state, related)


def _merge(state: State, _request: ApiRequest, body: Body) -> Errors:
    return _apply(state, {"type": "person", "action": "merge", **body})


def _add_device(state: State, request: ApiRequest, body: Body) -> Errors:
    errors: Errors = []
    device = body.get("device")
    check_device(device, "id", errors)
    if errors or not isinstance(device, dict):
        return errors
    renamed = {("token" if name == "id" else name): value for name, value in device.items()}
    return _apply(state, _item(request, "add_device", device=renamed))


def _delete_device(state: State, request: ApiRequest, _body: Body) -> Errors:
    return _apply(state, _item(request, "delete_device", device={"token": request.path["device_id"]}))


def _event(state: State, request: ApiRequest, body: Body) -> Errors:
    return _event_problems(body) or _apply(state, _item(request, **_as_v2(body)))


def _anonymous_event(state: State, _request: ApiRequest, body: Body) -> Errors:
    """Record an event that waits for whoever turns out to have its anonymous_id; without one it is an invitation."""
    errors = _event_problems(body)
    if errors:
        return errors
    item: Item = {"type": "person", **_as_v2(body)}
    if body.get("anonymous_id") is not None:
        item["identifiers"] = {"anonymous_id": body["anonymous_id"]}
        return _apply(state, item)
    check_event(item, errors)
    if not errors:
        state.counts.item("person", item["action"], state.record_event(item))
    return errors


def _event_problems(body: Body) -> Errors:
    """Refuse what only v1 refuses; the other rules are checked on the v2 form."""
    if body.get("type", "event") not in _EVENT_TYPES:
        return [ItemError("invalid", "type", "must be event, page or screen")]
    if len(encode(body.get("data"))) > limits.MAX_V1_EVENT_DATA_BYTES:
        return [ItemError("invalid", "data", f"cannot be larger than {limits.MAX_V1_EVENT_DATA_BYTES} bytes")]
    return []


def _as_v2(body: Body) -> dict[str, Any]:
    kept: dict[str, Any] = {name: body[name] for name in ("name", "id", "timestamp") if name in body}
    return {"action": body.get("type", "event"), "attributes": body.get("data") or {}, **kept}


def _add_to_segment(state: State, request: ApiRequest, body: Body) -> Errors:
    errors, people = _segment_people(state, request, body)
    if not errors:
        state.segments.change(int(request.path["segment_id"]), add=people)
    return errors


def _remove_from_segment(state: State, request: ApiRequest, body: Body) -> Errors:
    errors, people = _segment_people(state, request, body)
    if not errors:
        state.segments.change(int(request.path["segment_id"]), remove=people)
    return errors


def _segment_people(state: State, request: ApiRequest, body: Body) -> tuple[Errors, list[Person]]:
    """The people whom a segment call names. People who do not exist are left out, as at Customer.io."""
    id_type = request.query.get("id_type", "id")
    ids = body.get("ids")
    if not request.path["segment_id"].isdecimal():
        return [ItemError("invalid", "segment_id", "must be a whole number")], []
    if id_type not in _SEGMENT_ID_TYPES:
        return [ItemError("invalid", "id_type", "must be id, email or cio_id")], []
    if not isinstance(ids, list) or not 1 <= len(ids) <= limits.MAX_SEGMENT_IDS:
        return [ItemError("invalid", "ids", f"must be a list of 1 to {limits.MAX_SEGMENT_IDS} identifiers")], []
    found = (state.people.find(key_of({id_type: value})) for value in ids)
    return [], [person for person in found if person is not None]
