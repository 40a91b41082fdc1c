"""The name of the endpoint a path belongs to: the path with its identifiers left out, so that counters stay few."""

from typing import Final

OTHER: Final = "other"

_CUSTOMER: Final = "/api/v1/customers/{identifier}"
_TRIGGERS: Final = "/v1/campaigns/{id}/triggers"
_KNOWN: Final = frozenset(
    {
        "/auth",
        "/api/v1/accounts/region",
        "/api/v1/events",
        "/api/v1/merge_customers",
        "/api/v1/metrics",
        _CUSTOMER,
        f"{_CUSTOMER}/devices",
        f"{_CUSTOMER}/devices/{{device_id}}",
        f"{_CUSTOMER}/events",
        f"{_CUSTOMER}/suppress",
        f"{_CUSTOMER}/unsuppress",
        "/api/v2/batch",
        "/api/v2/entity",
        "/v1/send/email",
        "/v1/send/in_app",
        "/v1/send/inbox_message",
        "/v1/send/push",
        "/v1/send/sms",
        "/v1/send/whatsapp",
        _TRIGGERS,
        f"{_TRIGGERS}/{{trigger_id}}",
        f"{_TRIGGERS}/{{trigger_id}}/errors",
        "/v1/broadcasts/{id}/triggers",
        "/v1/info/ip_addresses",
        "/v1/workspaces",
    }
)


def route_of(parts: tuple[str, ...]) -> str:
    match parts:
        case ("api", "v1", "customers", _, "devices", _):
            return f"{_CUSTOMER}/devices/{{device_id}}"
        case ("api", "v1", "customers", _, *rest):
            route = "/".join([_CUSTOMER, *rest])
        case ("v1", "campaigns", _, "triggers", _, *rest):
            route = "/".join([f"{_TRIGGERS}/{{trigger_id}}", *rest])
        case ("v1", "campaigns" | "broadcasts" as kind, _, "triggers"):
            route = f"/v1/{kind}/{{id}}/triggers"
        case _:
            route = "/" + "/".join(parts)
    return route if route in _KNOWN else OTHER
