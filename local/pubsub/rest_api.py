"""The REST surface of Pub/Sub v1: https://docs.cloud.google.com/pubsub/docs/reference/rest."""

import json
import re
from dataclasses import dataclass
from typing import Any

import grpc
from aiohttp import web
from google.protobuf import json_format  # type: ignore[import-untyped]

from local.pubsub.errors import ApiError, invalid, unimplemented
from local.pubsub.methods import Method, publisher_methods, subscriber_methods
from local.pubsub.registry import Registry
from local.pubsub.wire import Pb

# A publish request of 10 MB is 13.4 MB in base64. Larger ones get this far to be answered with Pub/Sub's own limit.
_MAX_BODY_BYTES = 32 * 1024 * 1024

_PROJECT = "{resource:projects/[^/]+}"
_TOPIC = "{resource:projects/[^/]+/topics/[^/:]+}"
_SUBSCRIPTION = "{resource:projects/[^/]+/subscriptions/[^/:]+}"


@dataclass(frozen=True, slots=True)
class _Route:
    """How Google maps a method to HTTP.

    Attributes:
        verb: The HTTP method.
        path: The path, in aiohttp's notation.
        method: The name of the gRPC method.
        field: The field of its request that takes the resource in the path; a dot leads into a submessage.
    """

    verb: str
    path: str
    method: str
    field: str


# https://github.com/googleapis/googleapis/blob/master/google/pubsub/v1/pubsub.proto, option (google.api.http).
_ROUTES = (
    _Route("PUT", f"/v1/{_TOPIC}", "CreateTopic", "name"),
    _Route("PATCH", f"/v1/{_TOPIC}", "UpdateTopic", "topic.name"),
    _Route("GET", f"/v1/{_TOPIC}", "GetTopic", "topic"),
    _Route("DELETE", f"/v1/{_TOPIC}", "DeleteTopic", "topic"),
    _Route("GET", f"/v1/{_PROJECT}/topics", "ListTopics", "project"),
    _Route("GET", f"/v1/{_TOPIC}/subscriptions", "ListTopicSubscriptions", "topic"),
    _Route("POST", f"/v1/{_TOPIC}:publish", "Publish", "topic"),
    _Route("PUT", f"/v1/{_SUBSCRIPTION}", "CreateSubscription", "name"),
    _Route("PATCH", f"/v1/{_SUBSCRIPTION}", "UpdateSubscription", "subscription.name"),
    _Route("GET", f"/v1/{_SUBSCRIPTION}", "GetSubscription", "subscription"),
    _Route("DELETE", f"/v1/{_SUBSCRIPTION}", "DeleteSubscription", "subscription"),
    _Route("GET", f"/v1/{_PROJECT}/subscriptions", "ListSubscriptions", "project"),
    _Route("POST", f"/v1/{_SUBSCRIPTION}:pull", "Pull", "subscription"),
    _Route("POST", f"/v1/{_SUBSCRIPTION}:acknowledge", "Acknowledge", "subscription"),
    _Route("POST", f"/v1/{_SUBSCRIPTION}:modifyAckDeadline", "ModifyAckDeadline", "subscription"),
    _Route("POST", f"/v1/{_SUBSCRIPTION}:modifyPushConfig", "ModifyPushConfig", "subscription"),
    _Route("POST", f"/v1/{_SUBSCRIPTION}:seek", "Seek", "subscription"),
)

_UNIMPLEMENTED = (
    (re.compile(r"/v1/projects/[^/]+/schemas(?![^/:])"), "schemas"),
    (re.compile(r"/v1/projects/[^/]+/(topics/[^/]+/)?snapshots(?![^/:])"), "snapshots"),
    (re.compile(r"/v1/projects/[^/]+/subscriptions/[^/:]+:detach$"), "DetachSubscription"),
    (re.compile(r"/v1/projects/.+:(getIamPolicy|setIamPolicy|testIamPermissions)$"), "IAM"),
)

# Parameters that every Google API accepts (https://docs.cloud.google.com/apis/docs/system-parameters). The broker
# ignores them.
_SYSTEM_PARAMETERS = frozenset(
    {
        *("$.xgafv", "$alt", "$callback", "$fields", "$key", "$prettyPrint", "$userProject"),
        *("access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser"),
        *("uploadType", "upload_protocol", "userIp", "userProject"),
    }
)

# Standard or URL-safe, padded or not: protobuf's JSON mapping allows all of them.
_BASE64 = re.compile(r"([A-Za-z0-9+/_-]*)={0,2}")

# https://docs.cloud.google.com/pubsub/docs/reference/error-codes
_HTTP_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}


def rest_app(registry: Registry) -> web.Application:
    """Return the application that serves REST."""
    methods = publisher_methods(registry) | subscriber_methods(registry)
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    for route in _ROUTES:
        app.router.add_route(route.verb, route.path, _handler(methods[route.method], route))
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


def _handler(method: Method, route: _Route) -> Any:
    async def handle(request: web.Request) -> web.Response:
        try:
            pb = await _parse(request, method, route)
            return web.json_response(text=json_format.MessageToJson(await method.call(pb, None)) + "\n")
        except ApiError as error:
            return _error_response(error)

    return handle


async def _unknown(request: web.Request) -> web.Response:
    for pattern, feature in _UNIMPLEMENTED:
        if pattern.match(request.path):
            return _error_response(unimplemented(feature))
    return _error_response(
        ApiError(grpc.StatusCode.NOT_FOUND, "Pub/Sub has no such method. Check the HTTP method and the path.")
    )


async def _parse(request: web.Request, method: Method, route: _Route) -> Pb:
    """Build a method's request: the resource from the HTTP path, the rest from the body or the query."""
    if route.verb in {"GET", "DELETE"}:
        fields = {name: value for name, value in request.query.items() if name not in _SYSTEM_PARAMETERS}
    else:
        fields = await _read_object(request)
    pb = method.request_class()
    try:
        json_format.ParseDict(fields, pb)
    except json_format.ParseError as error:
        raise invalid(_describe(error)) from None
    *parents, field = route.field.split(".")
    target = pb
    for parent in parents:
        target = getattr(target, parent)
    setattr(target, field, request.match_info["resource"])
    return pb


async def _read_object(request: web.Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.read() or b"{}")
    except web.HTTPRequestEntityTooLarge:
        raise invalid(f"The request body exceeds the limit of {_MAX_BODY_BYTES} bytes.") from None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise invalid("Invalid JSON payload: the body must be a JSON object in UTF-8.")
    _check_base64(fields)
    for name in ("updateMask", "update_mask"):
        if isinstance(mask := fields.get(name), str):
            # Google takes the paths in either case, protobuf only in camel case.
            fields[name] = re.sub(r"_([a-z])", lambda match: match[1].upper(), mask)
    return fields


def _check_base64(fields: dict[str, Any]) -> None:
    """Check the data of a publish request: protobuf would skip characters that are not base64, and change the data."""
    messages = fields.get("messages")
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        data = message.get("data", "") if isinstance(message, dict) else ""
        if not isinstance(data, str):
            continue
        match = _BASE64.fullmatch(data)
        if match is None or len(match[1]) % 4 == 1:
            raise invalid(f'Invalid JSON payload: invalid value at "messages[{number}].data": it must be base64.')


def _describe(error: json_format.ParseError) -> str:
    """Name the wrong field. protobuf's own text may quote its value."""
    text = str(error)
    if unknown := re.search(r'has no field named "([^"]{1,100})"', text):
        return f'Invalid JSON payload: unknown name "{unknown[1]}".'
    if path := re.findall(r"Failed to parse (\w+) field", text):
        return f'Invalid JSON payload: invalid value at "{".".join(path)}".'
    return "Invalid JSON payload: a field has a value of the wrong type."


def _error_response(error: ApiError) -> web.Response:
    status = _HTTP_STATUSES[error.code]
    body = {"error": {"code": status, "message": error.message, "status": error.code.name}}
    return web.json_response(body, status=status)
