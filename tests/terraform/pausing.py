"""Pauses can begin and end: rules about control, its tick, and who may stop and start push."""

from base64 import b64decode
from collections.abc import Iterator

from shared import control_message, push_targets
from shared.push_targets import PushTarget
from shared.topology import topology
from tests.terraform.applied import Applied, Values, short

SCHEDULER_AGENT = "serviceAccount:service-123456789012@gcp-sa-cloudscheduler.iam.gserviceaccount.com"
_ACTS_AS = "roles/iam.serviceAccountUser"
_PERMISSIONS = {"pubsub.subscriptions.get", "pubsub.subscriptions.update"}


def every_pause_can_end(applied: Applied) -> Iterator[str]:
    """Control knows the push config of each subscription that can be paused, and may put it back."""
    targets = push_targets.decode(applied.functions["control"].variables["PUSH_TARGETS"])
    target_of = {short(name): target for target in targets.values() for name in target.subscriptions}
    for name in sorted(set(target_of) - set(applied.subscriptions)):
        yield f"control is told of subscription {name}, which is not there"
    for name, subscription in _pausable(applied):
        if name not in target_of:
            yield f"control is not told where {name} pushes"
        elif (told := target_of[name]) and _differs(subscription, told):
            yield f"control would put back another push config of {name}"
        account = subscription["push_config"][0]["oidc_token"][0]["service_account_email"]
        control = applied.functions["control"].member
        if control not in applied.members("google_service_account", account, _ACTS_AS):
            yield f"control may not have pushes signed as {account}: it cannot resume {name}"


def who_should_may_pause(applied: Applied) -> Iterator[str]:
    control = applied.functions["control"].member
    operators = {grant.member for grant in applied.grants if grant.role.endswith("_cio_operator")}
    role_id = f"{applied.environment}_cio_pauses"
    permissions = {
        permission
        for role in applied.of("google_project_iam_custom_role")
        if role["role_id"] == role_id
        for permission in role["permissions"]
    }
    grants = [grant for grant in applied.grants if short(grant.role) == role_id]
    pausable = {name for name, _ in _pausable(applied)}
    for name in sorted(pausable):
        may = {grant.member for grant in grants if grant.on == name and permissions >= _PERMISSIONS}
        for member in sorted({control, *operators} - may):
            yield f"{member} may not pause {name}"
    for grant in grants:
        if grant.on not in pausable:
            yield f"{grant.member} may change the push of {grant.on or 'every subscription'}"


def control_is_asked_every_minute(applied: Applied) -> Iterator[str]:
    jobs = applied.of("google_cloud_scheduler_job")
    topic = f"{applied.environment}-{topology().topics['control'].name}"
    ticks = [job for job in jobs if job["pubsub_target"] and short(job["pubsub_target"][0]["topic_name"]) == topic]
    if not any(job["schedule"] == "* * * * *" and not job["paused"] and _is_tick(job) for job in ticks):
        yield "nothing asks control every minute to look at pauses: a pause would never end"
    if SCHEDULER_AGENT not in applied.members("google_pubsub_topic", topic, "roles/pubsub.publisher"):
        yield f"Cloud Scheduler's agent may not publish to {topic}: control is never asked"


def every_caller_can_ask_for_a_pause(applied: Applied) -> Iterator[str]:
    for kind in topology().topics.values():
        function = applied.functions[kind.function]
        if kind.rate is not None and "CONTROL_TOPIC" not in function.variables:
            yield f"{function.service} calls Customer.io and is not told where to ask for a pause"


def _pausable(applied: Applied) -> Iterator[tuple[str, Values]]:
    services = {
        applied.functions[kind.function].settings["uri"] for kind in topology().topics.values() if kind.rate is not None
    }
    for name, subscription in applied.subscriptions.items():
        push = subscription["push_config"]
        if push and push[0]["push_endpoint"] in services and push[0]["oidc_token"]:
            yield name, subscription


def _differs(subscription: Values, told: PushTarget) -> bool:
    push = subscription["push_config"][0]
    token = push["oidc_token"][0]
    found = (push["push_endpoint"], token["service_account_email"], token["audience"])
    return found != (told.endpoint, told.service_account, told.audience)


def _is_tick(job: Values) -> bool:
    data = b64decode(job["pubsub_target"][0]["data"])
    return isinstance(control_message.decode(data), control_message.Tick)
