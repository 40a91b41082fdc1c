"""The App API's manual segments: create, list, count, members, delete.

Rules: https://docs.customer.io/integrations/api/app/. The Track API adds and removes people.
"""

from typing import Any

from local.customerio import limits
from local.customerio.exchange import (
    ApiRequest,
    ApiResponse,
    error_response,
    json_object,
    json_response,
    next_page,
    not_found,
    page_of,
)
from local.customerio.gateway import Routes
from local.customerio.people import Person
from local.customerio.segments import Segment
from local.customerio.workspace import Workspace


def add_routes(routes: Routes) -> None:
    segment = "/v1/segments/{segment_id}"
    routes.add("GET", "/v1/segments", _list)
    routes.add("POST", "/v1/segments", _create)
    routes.add("GET", segment, _one)
    routes.add("DELETE", segment, _delete)
    routes.add("GET", segment + "/customer_count", _count)
    routes.add("GET", segment + "/membership", _members)


def segment_summary(segment: Segment) -> dict[str, Any]:
    return {"id": segment.id, "name": segment.name, "description": segment.description}


def _details(segment: Segment) -> dict[str, Any]:
    return {
        **segment_summary(segment),
        "deduplicate_id": f"{segment.id}:{segment.updated_at}",
        "state": "finished",
        "progress": None,
        "type": "manual",
        "tags": None,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
    }


def _find(request: ApiRequest, workspace: Workspace) -> Segment | None:
    number = request.path["segment_id"]
    return workspace.state.segments.find(int(number)) if number.isdecimal() else None


def _list(_request: ApiRequest, workspace: Workspace) -> ApiResponse:
    return json_response({"segments": [_details(segment) for segment in workspace.state.segments]})


def _create(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    fields = (json_object(request.body) or {}).get("segment")
    name = fields.get("name") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(name, str) or not name:
        return error_response(400, "segment.name is required")
    segment = workspace.state.segments.create(name, str(fields.get("description") or ""))
    return json_response({"segment": _details(segment)})


def _one(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    segment = _find(request, workspace)
    return not_found() if segment is None else json_response({"segment": _details(segment)})


def _delete(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    segment = _find(request, workspace)
    if segment is None:
        return not_found()
    workspace.state.segments.delete(segment.id)
    return ApiResponse(204, b"")


def _members_of(segment: Segment, workspace: Workspace) -> list[Person]:
    """Members who still exist: a deleted person leaves every segment."""
    found = (workspace.state.people.find(("cio_id", cio_id)) for cio_id in segment.members)
    return [person for person in found if person is not None]


def _count(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    segment = _find(request, workspace)
    if segment is None:
        return not_found()
    return json_response({"segment_id": segment.id, "count": len(_members_of(segment, workspace))})


def _members(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    segment = _find(request, workspace)
    if segment is None:
        return not_found()
    start, limit = page_of(request, limits.MAX_PAGE, limits.MAX_MEMBERSHIP_PAGE)
    members = _members_of(segment, workspace)
    page = members[start : start + limit]
    return json_response(
        {
            "segment_id": segment.id,
            "ids": [person.id or "" for person in page],
            "identifiers": [person.identifiers for person in page],
            "next": next_page(start, limit, len(members)),
        }
    )
