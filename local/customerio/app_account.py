"""The App API's reads about the account: workspaces, subscription topics, the addresses that webhooks come from."""

from local.customerio.exchange import ApiRequest, ApiResponse, json_response
from local.customerio.gateway import Routes
from local.customerio.workspace import Workspace

# https://docs.customer.io/integrations/data-out/connections/webhooks/
_ADDRESSES = {
    "us": "35.188.196.183 104.198.177.219 104.154.232.87 130.211.229.195 104.198.221.24 104.197.27.15 35.194.9.154 "
    "104.154.144.51 104.197.210.12 35.225.6.73",
    "eu": "34.76.143.229 34.78.91.47 34.77.94.252 35.187.188.242 34.78.122.90 35.195.137.235 130.211.108.156 "
    "104.199.50.18 34.78.44.80 35.205.31.154",
}


def add_routes(routes: Routes) -> None:
    routes.add("GET", "/v1/workspaces", _workspaces)
    routes.add("GET", "/v1/subscription_topics", _topics)
    # Customer.io's specification serves these without a key, so they say nothing about whether a key is right.
    routes.add("GET", "/v1/info/ip_addresses", _ip_addresses, needs_key=False)


def _workspaces(_request: ApiRequest, workspace: Workspace) -> ApiResponse:
    sent = sum(workspace.state.counts.sends.values())
    shown = {
        "id": 1,
        "name": "Local",
        "people": sum(1 for _ in workspace.state.people),
        "messages_sent": sent,
        "billable_messages_sent": sent,
        "object_types": len({each.object_type_id for each in workspace.state.objects}),
        "objects": sum(1 for _ in workspace.state.objects),
    }
    return json_response({"workspaces": [shown]})


def _topics(_request: ApiRequest, _workspace: Workspace) -> ApiResponse:
    """No topic is defined here; preferences for any topic_<n> are kept as they are sent."""
    return json_response({"topics": []})


def _ip_addresses(_request: ApiRequest, workspace: Workspace) -> ApiResponse:
    return json_response({"ip_addresses": _ADDRESSES[workspace.region].split()})
