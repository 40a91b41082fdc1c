"""What must be made before what. Terraform makes things in the order of their references, so a missing one is luck.

IAM takes minutes to spread a grant, and a first apply in an empty project has no earlier one to live on.
"""

from collections.abc import Iterator

from tests.terraform.applied import Applied

# Whoever needs something, and what must be there before: the last two parts of their addresses.
_BEFORE = (
    ("google_pubsub_subscription.lane", "google_cloud_run_v2_service_iam_member.push"),
    ("google_pubsub_subscription.lane", "google_service_account_iam_binding.push_signers"),
    ("google_pubsub_subscription.lane", "google_pubsub_topic_iam_member.pubsub_forwards"),
    ("google_pubsub_subscription.lane", "google_pubsub_topic_iam_member.function_dead_letters"),
    ("google_pubsub_subscription.lane", "google_pubsub_topic_iam_member.function_retries"),
    ("google_pubsub_subscription.bell", "google_cloud_run_v2_service_iam_member.push"),
    ("google_pubsub_subscription.bell", "google_pubsub_subscription_iam_member.function_pulls"),
    ("google_pubsub_subscription.bell", "google_pubsub_topic_iam_member.function_dead_letters"),
    ("google_pubsub_subscription.bell", "google_pubsub_topic_iam_member.function_retries"),
    ("google_pubsub_subscription.bell", "google_pubsub_topic_iam_member.function_rings"),
    ("google_pubsub_subscription.bell", "google_service_account_iam_binding.push_signers"),
    ("google_cloudfunctions2_function.this", "google_secret_manager_secret_iam_member.readers"),
    ("google_cloudfunctions2_function.this", "google_project_iam_member.writers"),
    ("google_cloudfunctions2_function.this", "google_bigquery_table_iam_member.writers"),
    ("google_cloudfunctions2_function.this", "time_sleep.build_may_start"),
    ("google_pubsub_topic_iam_member.pubsub_forwards", "google_project_service_identity.this"),
    ("google_pubsub_subscription_iam_member.pubsub_forwards", "google_project_service_identity.this"),
    ("google_cloud_scheduler_job.tick", "google_pubsub_subscription_iam_member.control_pauses"),
    ("google_cloud_scheduler_job.tick", "google_pubsub_topic_iam_member.scheduler_ticks"),
    ("google_cloud_scheduler_job.tick", "google_service_account_iam_member.control_acts_as"),
    ("google_cloud_scheduler_job.bell", "google_pubsub_subscription.bell"),
    ("google_cloud_scheduler_job.bell", "google_pubsub_subscription.lane"),
    ("google_cloud_scheduler_job.bell", "google_pubsub_topic_iam_member.scheduler_rings"),
    ("google_pubsub_topic_iam_member.scheduler_rings", "google_project_service_identity.this"),
    ("google_pubsub_topic_iam_member.scheduler_ticks", "google_project_service_identity.this"),
    ("google_service_account_iam_binding.push_signers", "google_project_service_identity.this"),
)
_NEEDS_NO_API = {"google_project_service.this", "time_sleep.apis_are_on", "time_offset.first_reminder"}


def grants_come_first(applied: Applied) -> Iterator[str]:
    before = made_before(applied)
    names = {last_two(address) for address in before}
    for user, needed in _BEFORE:
        if user in names and not any(needed == last_two(other) for other in _before(before, user)):
            yield f"{user} does not wait for {needed}"
    if "time_sleep.reminders_may_be_sent" in names and "time_sleep.reminders_may_be_sent" not in {
        last_two(other) for other in _before(before, "google_secret_manager_secret.this")
    }:
        yield "google_secret_manager_secret.this does not wait for time_sleep.reminders_may_be_sent"


def apis_come_first(applied: Applied) -> Iterator[str]:
    """Everything waits for the project's APIs, which are not in effect when they are enabled."""
    for address, earlier in made_before(applied).items():
        if last_two(address) not in _NEEDS_NO_API and "time_sleep.apis_are_on" not in map(last_two, earlier):
            yield f"{last_two(address)} does not wait for the project's APIs"


def log_alerts_wait(applied: Applied) -> Iterator[str]:
    """An alert on a log-based metric is refused for up to ten minutes after the metric is made."""
    before = made_before(applied)
    for resource in applied.resources:
        if resource.type != "google_monitoring_alert_policy" or "logging.googleapis.com/user/" not in str(
            resource.values
        ):
            continue
        if "time_sleep.metrics_are_known" not in map(last_two, before[config_address(resource.address)]):
            yield f"alert {resource.values['display_name']} does not wait until its metric is known"
    for resource in applied.resources:
        if (
            last_two(resource.address) == "time_sleep.metrics_are_known"
            and resource.values["create_duration"] != "600s"
        ):
            yield "alerts on log-based metrics wait less than ten minutes"


def made_before(applied: Applied) -> dict[str, set[str]]:
    """By address without keys: everything that is made before, directly or not."""
    direct: dict[str, set[str]] = {}
    for resource in applied.resources:
        direct.setdefault(config_address(resource.address), set()).update(resource.needs)
    result: dict[str, set[str]] = {}
    for address in direct:
        seen: set[str] = set()
        waiting = [address]
        while waiting:
            for other in direct.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        result[address] = seen
    return result


def _before(made_before: dict[str, set[str]], name: str) -> set[str]:
    return {other for address, earlier in made_before.items() if last_two(address) == name for other in earlier}


def config_address(address: str) -> str:
    """``module.job["track"].a.b["main"]`` -> ``module.job.a.b``."""
    kept, depth = "", 0
    for character in address:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if depth == 0 and character != "]":
            kept += character
    return kept


def last_two(address: str) -> str:
    """``module.job["track"].a.b["main"]`` -> ``a.b``."""
    return ".".join(config_address(address).split(".")[-2:])
