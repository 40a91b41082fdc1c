"""The App API's reads of people: by email, by filter, attributes, segments, messages.

Rules: https://docs.customer.io/integrations/api/app/. All attribute values are texts, as Customer.io shows them.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from local.customerio import limits
from local.customerio.app_messages import messages_page
from local.customerio.app_segments import segment_summary
from local.customerio.exchange import (
    ApiRequest,
    ApiResponse,
    error_response,
    json_object,
    json_response,
    not_found,
    page_of,
)
from local.customerio.filters import attribute_text, filter_problem, matches
from local.customerio.gateway import Routes
from local.customerio.people import Person, key_of
from local.customerio.workspace import Workspace

_ID_TYPES = ("id", "email", "phone", "cio_id")


def add_routes(routes: Routes) -> None:
    routes.add("GET", "/v1/customers", _by_email)
    routes.add("POST", "/v1/customers", _search)
    routes.add("POST", "/v1/customers/attributes", _attributes_of_many)
    routes.add("GET", "/v1/customers/{customer_id}/attributes", _attributes)
    routes.add("GET", "/v1/customers/{customer_id}/segments", _segments)
    routes.add("GET", "/v1/customers/{customer_id}/messages", _messages)


def customer(person: Person) -> dict[str, Any]:
    """A person as the App API shows them. Its timestamps are deprecated; here they are all the same."""
    attributes: dict[str, Any] = {
        name: value for name in _ID_TYPES if (value := getattr(person, name)) is not None
    } | person.attributes
    return {
        "id": person.id or "",
        "identifiers": person.identifiers,
        "attributes": {name: attribute_text(value) for name, value in attributes.items()},
        "timestamps": dict.fromkeys(attributes, person.changed_at),
        "unsubscribed": person.unsubscribed,
        "devices": [_device(device) for device in person.devices.values()],
    }


def _device(device: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": device["token"],
        "platform": device.get("platform"),
        "last_used": device.get("last_used"),
        "attributes": device.get("attributes") or {},
    }


def _by_email(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    email = request.query.get("email")
    if not email:
        return error_response(400, "email is required")
    person = workspace.state.people.find(key_of({"email": email}))
    return json_response({"results": [] if person is None else [person.identifiers]})


def _search(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    body = json_object(request.body)
    if body is None or "filter" not in body:
        return error_response(400, "filter is required")
    problem = filter_problem(body["filter"])
    if problem is not None:
        return error_response(400, f"filter {problem}")
    start, limit = page_of(request, limits.DEFAULT_PAGE, limits.MAX_PAGE)
    found = (person for person in workspace.state.people if matches(body["filter"], person, workspace.state.segments))
    return json_response(_people_page(found, start, limit))


def _people_page(people: Iterable[Person], start: int, limit: int) -> dict[str, Any]:
    page = list(islice(people, start, start + limit + 1))
    return {
        "identifiers": [person.identifiers for person in page[:limit]],
        "ids": [person.id or "" for person in page[:limit]],
        "next": str(start + limit) if len(page) > limit else "",
    }


def _attributes_of_many(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    """Unknown people are left out, as at Customer.io."""
    id_type = request.query.get("id_type", "id")
    ids = (json_object(request.body) or {}).get("ids")
    if id_type not in _ID_TYPES:
        return error_response(400, "id_type must be id, email, phone or cio_id")
    if not isinstance(ids, list) or not 1 <= len(ids) <= limits.MAX_ATTRIBUTE_LOOKUPS:
        return error_response(400, f"ids must be a list of 1 to {limits.MAX_ATTRIBUTE_LOOKUPS} identifiers")
    found = (workspace.state.people.find(key_of({id_type: value})) for value in ids)
    return json_response({"customers": [{"customer": customer(person)} for person in found if person is not None]})


def _find(request: ApiRequest, workspace: Workspace) -> Person | ApiResponse:
    """The person whom the path and `id_type` name, or the response that says why there is none."""
    id_type = request.query.get("id_type", "id")
    if id_type not in _ID_TYPES:
        return error_response(400, "id_type must be id, email, phone or cio_id")
    return workspace.state.people.find(key_of({id_type: request.path["customer_id"]})) or not_found()


def _attributes(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    person = _find(request, workspace)
    return json_response({"customer": customer(person)}) if isinstance(person, Person) else person


def _segments(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    person = _find(request, workspace)
    if not isinstance(person, Person):
        return person
    return json_response({"segments": [segment_summary(each) for each in workspace.state.segments.containing(person)]})


def _messages(request: ApiRequest, workspace: Workspace) -> ApiResponse:
    person = _find(request, workspace)
    if not isinstance(person, Person):
        return person
    return messages_page(request, workspace, lambda delivery: delivery.identifiers.get("cio_id") == person.cio_id)
