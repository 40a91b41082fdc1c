"""Track API v1. Each call is turned into the v2 operation that says the same, so both apply one set of rules."""

from collections.abc import Callable
from typing import Any

from local.customerio import limits
from local.customerio.items import Errors, Item, check, check_device, check_event
from local.customerio.wire import Answer, Call, ItemError, encode, json_object, meta_error, unauthorized
from local.customerio.world import World

type Body = dict[str, Any]
type Operation = Callable[[World, str, Body], Errors]

_ENVIRONMENT_ID = 1
_HOSTS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
_CIO = "cio_"
_EVENT_TYPES = ("event", "page", "screen")


def answer(call: Call, world: World, region: str) -> Answer:  # noqa: PLR0911 - one per endpoint
    """200 `{}`, 400 `{"meta": {"errors": [...]}}`, 401, 404."""
    match call.method, call.parts:
        case "GET", ("auth",):
            # Answers 200 to wrong credentials too, as operators report; accounts/region is the check that works.
            return Answer(body=encode({"meta": {"message": "nice credentials."}}))
        case "GET", ("api", "v1", "accounts", "region"):
            return _region(call, region)
        case "POST", ("api", "v1", "metrics"):
            return _metrics(call, world)
        case "POST", ("api", "v1", "events"):
            return _run(call, world, lambda body: _anonymous_event(world, body))
        case "POST", ("api", "v1", "merge_customers"):
            return _run(call, world, lambda body: _apply(world, {"action": "merge", **body}))
        case "DELETE", ("api", "v1", "customers", identifier, "devices", token):
            return _run(
                call,
                world,
                lambda _: _apply(world, _item(identifier, "delete_device", device={"token": token})),
            )
        case method, ("api", "v1", "customers", identifier, *rest) if operation := _OPERATIONS.get(
            (method, "/".join(rest))
        ):
            return _run(call, world, lambda body: operation(world, identifier, body))
        case _:
            return meta_error(404, "not found")


def _run(call: Call, world: World, operation: Callable[[Body], Errors]) -> Answer:
    if call.auth != "ok":
        return unauthorized()
    body = json_object(call.body)
    if body is None:
        return meta_error(400, "the body is not a JSON object")
    errors = operation(body)
    if errors:
        world.counts.rejected(1)
        texts = [f"{error.field}: {error.message}" for error in errors]
        return Answer(400, encode({"meta": {"errors": texts}}), 1, tuple(errors))
    return Answer(items=1)


def _region(call: Call, region: str) -> Answer:
    if call.auth != "ok":
        return unauthorized()
    found = {"url": _HOSTS[region], "region": region, "environment_id": _ENVIRONMENT_ID}
    return Answer(body=encode(found))


def _metrics(call: Call, world: World) -> Answer:
    """Needs no credentials: browsers and apps report opens themselves."""
    body = json_object(call.body)
    if body is None or not isinstance(body.get("delivery_id"), str) or not isinstance(body.get("metric"), str):
        return meta_error(400, "delivery_id and metric are required")
    world.deliveries.add_metric(body["delivery_id"], body["metric"])
    return Answer()


def identifiers_of(identifier: str) -> dict[str, str]:
    """The kind of a path identifier shows in its shape: an email has an @, a cio_id the prefix cio_."""
    if identifier.startswith(_CIO):
        return {"cio_id": identifier.removeprefix(_CIO)}
    return {"email" if "@" in identifier else "id": identifier}


def _item(identifier: str, action: str, **fields: Any) -> Item:
    return {"type": "person", "action": action, "identifiers": identifiers_of(identifier), **fields}


def _apply(world: World, item: Item) -> Errors:
    item.setdefault("type", "person")
    errors = check(item)
    if not errors:
        world.apply(item)
    return errors


def _identify(world: World, identifier: str, body: Body) -> Errors:
    relations = body.pop("cio_relationships", None)
    item = _item(identifier, "identify", attributes=body, timestamp=body.get("_timestamp"))
    if relations is None:
        return _apply(world, item)
    action = relations.get("action") if isinstance(relations, dict) else None
    if action not in ("add_relationships", "delete_relationships"):
        return [ItemError("invalid", "cio_relationships.action", "must be add_relationships or delete_relationships")]
    related = _item(identifier, action, cio_relationships=relations.get("relationships"))
    return check(related) or _apply(world, item) or _apply(world, related)


def _delete(world: World, identifier: str, _body: Body) -> Errors:
    return _apply(world, _item(identifier, "delete"))


def _suppress(world: World, identifier: str, _body: Body) -> Errors:
    return _apply(world, _item(identifier, "suppress"))


def _unsuppress(world: World, identifier: str, _body: Body) -> Errors:
    return _apply(world, _item(identifier, "unsuppress"))


def _add_device(world: World, identifier: str, body: Body) -> Errors:
    errors: Errors = []
    device = body.get("device")
    check_device(device, "id", errors)
    if errors or not isinstance(device, dict):
        return errors
    renamed = {("token" if name == "id" else name): value for name, value in device.items()}
    return _apply(world, _item(identifier, "add_device", device=renamed))


def _event(world: World, identifier: str, body: Body) -> Errors:
    return _event_fields(body) or _apply(world, _item(identifier, **_as_v2(body)))


def _anonymous_event(world: World, body: Body) -> Errors:
    """With an anonymous_id it waits for whoever turns out to have it; without one it may invite `data.recipient`."""
    errors = _event_fields(body)
    if errors:
        return errors
    item: Item = {"type": "person", **_as_v2(body)}
    if body.get("anonymous_id") is not None:
        item["identifiers"] = {"anonymous_id": body["anonymous_id"]}
        return _apply(world, item)
    check_event(item, errors)
    if not errors:
        world.counts.item("person", item["action"], world.record_event(item))
    return errors


def _event_fields(body: Body) -> Errors:
    """Rules of v1 alone; the rest is checked on the v2 form."""
    if body.get("type", "event") not in _EVENT_TYPES:
        return [ItemError("invalid", "type", "must be event, page or screen")]
    if len(encode(body.get("data"))) > limits.EVENT_DATA_BYTES:
        return [ItemError("invalid", "data", f"cannot be larger than {limits.EVENT_DATA_BYTES} bytes")]
    return []


def _as_v2(body: Body) -> dict[str, Any]:
    kept: dict[str, Any] = {name: body[name] for name in ("name", "id", "timestamp") if name in body}
    return {"action": body.get("type", "event"), "attributes": body.get("data") or {}, **kept}


_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("PUT", ""): _identify,
    ("DELETE", ""): _delete,
    ("PUT", "devices"): _add_device,
    ("POST", "suppress"): _suppress,
    ("POST", "unsuppress"): _unsuppress,
    ("POST", "events"): _event,
}
