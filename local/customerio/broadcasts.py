"""The App API's broadcasts: POST a trigger, read its status and its errors.

Rules: https://docs.customer.io/integrations/api/app/. Customer.io does not publish whether a refused trigger counts
against the rate; here it does.
"""

from collections.abc import Mapping
from typing import Any

from local.customerio.exchange import (
    ApiRequest,
    ApiResponse,
    encode,
    json_object,
    json_response,
    next_page,
    not_found,
    page_of,
)
from local.customerio.gateway import Routes
from local.customerio.triggers import IGNORE_EMAILS, IGNORE_IDS
from local.customerio.workspace import Workspace
from shared.jobs import limits as published

type Body = dict[str, Any]

_ADD_DUPLICATES = "email_add_duplicates"
_ALL_FLAGS = frozenset({IGNORE_IDS, IGNORE_EMAILS, _ADD_DUPLICATES})
# The flags that go with each audience, from go-customerio trigger_broadcast.go. Customer.io refuses any other.
_FLAGS: Mapping[str | None, frozenset[str]] = {
    None: frozenset(),
    "recipients": frozenset(),
    "ids": frozenset({IGNORE_IDS}),
    "emails": frozenset({IGNORE_EMAILS, _ADD_DUPLICATES}),
    "per_user_data": _ALL_FLAGS,
    "data_file_url": _ALL_FLAGS,
}
_AUDIENCES = tuple(name for name in _FLAGS if name is not None)
_ERRORS_PAGE = 100


def add_routes(routes: Routes) -> None:
    triggers = "/v1/campaigns/{id}/triggers"
    routes.add("POST", triggers, _trigger, rate="broadcast")
    routes.add("GET", triggers + "/{trigger_id}", _status)
    routes.add("GET", triggers + "/{trigger_id}/errors", _errors)
    routes.add("GET", "/v1/broadcasts/{id}/triggers", _list)


def _trigger(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    broadcast = request.path["id"]
    if not broadcast.isdecimal():
        return not_found()
    body = json_object(request.body)
    problem = ("the body is not a JSON object", "") if body is None else _problem(body)
    if body is None or problem is not None:
        detail, field = problem or ("", "")
        return _unprocessable(f"{detail} trigger {workspace.triggers.next_id}", field)
    accepted = workspace.triggers.accept(int(broadcast), body)
    return ApiResponse(body=encode({"id": accepted.id}), items=1)


def _status(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    known = workspace.triggers.find(request.path["id"], request.path["trigger_id"])
    return not_found() if known is None else json_response(known.status)


def _errors(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    known = workspace.triggers.find(request.path["id"], request.path["trigger_id"])
    if known is None:
        return not_found()
    start, limit = page_of(request, _ERRORS_PAGE, _ERRORS_PAGE)
    following = next_page(start, limit, len(known.errors))
    return json_response({"errors": known.errors[start : start + limit], "next": following})


def _list(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    triggers = workspace.triggers.of_broadcast(request.path["id"])
    return json_response({"triggers": [trigger.status for trigger in triggers]})


def _unprocessable(detail: str, field: str) -> ApiResponse:
    pointer = f"/data/attributes/{field}"
    return json_response({"errors": [{"detail": detail, "source": {"pointer": pointer}, "status": "422"}]}, 422)


def _problem(body: Body) -> tuple[str, str] | None:
    """Return the first problem of a trigger's body and its field, or None."""
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
    if len(value) > published.MAX_BROADCAST_RECIPIENTS:
        return f"{audience} cannot be more than {published.MAX_BROADCAST_RECIPIENTS}", audience
    if audience == "per_user_data":
        good = all(isinstance(entry, dict) and ("id" in entry) != ("email" in entry) for entry in value)
        return None if good else ("every per_user_data entry needs either id or email", audience)
    good = all(isinstance(entry, str | int) and not isinstance(entry, bool) for entry in value)
    return None if good else (f"{audience} must hold texts", audience)
