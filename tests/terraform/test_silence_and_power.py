"""Each rule about alerts, order and power is broken by the fault it is there for."""

import pytest

from tests.terraform.applied import Applied
from tests.terraform.planting import Fault, added, changed, condition, planted, setting, unordered, without
from tests.terraform.wiring import problems

_ALERT = 'module.monitoring.module.{}.google_monitoring_alert_policy.this["{}"]'
_DEPLOY = "serviceAccount:prod-cio-deploy@acme-customerio-prod.iam.gserviceaccount.com"
_PROVIDER = "module.github_deploy[0].google_iam_workload_identity_pool_provider.deploy"


def _alert(name: str, group: str = "alerts") -> str:
    return _ALERT.format(group, name)


FAULTS: dict[str, tuple[Fault, str]] = {
    "alert without a runbook": (
        changed(_alert("faults", "log_alerts"), lambda values: values["documentation"][0].update(content="Wrong.")),
        "alert prod-cio: a function has a fault has no runbook",
    ),
    "wrong key's alert removed": (without(_alert("webhook-unauthorized")), "there is no alert webhook-unauthorized"),
    "wrong key's alert wants ten in five minutes": (
        changed(_alert("webhook-unauthorized"), condition(denominator_filter=None, threshold_value=10)),
        "a wrong webhook key is not noticed within two hours: one refusal an hour must be enough",
    ),
    "silence's alert removed": (
        without(_alert("webhook-silent")),
        "nobody is told when Customer.io reports nothing for hours",
    ),
    "out of memory's alert removed": (
        without(_alert("out-of-memory", "log_alerts")),
        "there is no alert out-of-memory",
    ),
    "no instance's alert removed": (without(_alert("no-instance", "log_alerts")), "there is no alert no-instance"),
    "burn rate's alert removed": (without(_alert("webhook-budget-fast")), "there is no alert webhook-budget-fast"),
    "quota's alert removed": (without(_alert("quota")), "there is no alert quota"),
    "a consumer unwatched": (
        without(_alert("events-unread")),
        "nobody is told when messages of prod-cio-events-fraud grow old",
    ),
    "reminders unwatched": (
        without(_alert("secret-due")),
        "nobody is told when messages of prod-cio-secret-rotation grow old",
    ),
    "every event of a secret is a reminder": (
        changed("google_pubsub_subscription.secret_rotation[0]", setting(filter=None)),
        "subscription prod-cio-secret-rotation takes more than reminders",
    ),
    "failed starts looked for by severity": (
        changed(
            'module.monitoring.google_logging_metric.platform["starts"]',
            lambda values: values.update(filter=f"{values['filter']} AND severity>=ERROR"),
        ),
        "metric prod-cio-starts misses tracebacks, which have no severity",
    ),
    "errors excluded from the logs": (
        changed(
            'module.monitoring.google_logging_project_exclusion.this["requests"]',
            lambda values: values.update(filter=values["filter"].replace(" AND severity<WARNING", "")),
        ),
        "exclusion prod-cio-requests drops warnings or errors",
    ),
    "another environment's logs excluded": (
        changed(
            'module.monitoring.google_logging_project_exclusion.this["requests"]',
            setting(filter='resource.type="cloud_run_revision" AND severity<WARNING'),
        ),
        "exclusion prod-cio-requests drops lines of others",
    ),
    "a zero on the dashboard": (
        changed(
            "module.monitoring.google_monitoring_dashboard.this",
            lambda values: values.update(dashboard_json=values["dashboard_json"].replace('"yPos":8', '"yPos":0', 1)),
        ),
        "dashboard prod-cio: is mail flowing? has zeros or empty values, which the API does not return",
    ),
    "a push before the right to call": (
        unordered("google_pubsub_subscription.lane", "google_cloud_run_v2_service_iam_member.push"),
        "google_pubsub_subscription.lane does not wait for google_cloud_run_v2_service_iam_member.push",
    ),
    "a function before the right to read its secrets": (
        unordered("google_cloudfunctions2_function.this", "google_secret_manager_secret_iam_member.readers"),
        "google_cloudfunctions2_function.this does not wait for google_secret_manager_secret_iam_member.readers",
    ),
    "a build before the builder's rights are in effect": (
        unordered("google_cloudfunctions2_function.this", "time_sleep.build_may_start"),
        "google_cloudfunctions2_function.this does not wait for time_sleep.build_may_start",
    ),
    "a grant to an identity that is not there yet": (
        unordered("google_pubsub_topic_iam_member.pubsub_forwards", "google_project_service_identity.this"),
        "google_pubsub_topic_iam_member.pubsub_forwards does not wait for google_project_service_identity.this",
    ),
    "secrets before their reminders may be sent": (
        unordered("google_secret_manager_secret.this", "time_sleep.reminders_may_be_sent"),
        "google_secret_manager_secret.this does not wait for time_sleep.reminders_may_be_sent",
    ),
    "a topic before its API": (
        unordered("google_pubsub_topic.main", "time_sleep.apis_are_on"),
        "google_pubsub_topic.main does not wait for the project's APIs",
    ),
    "an alert before its metric": (
        unordered("google_monitoring_alert_policy.this", "time_sleep.metrics_are_known"),
        "alert prod-cio: a function has a fault does not wait until its metric is known",
    ),
    "a minute for a metric to be known": (
        changed("module.monitoring.time_sleep.metrics_are_known", setting(create_duration="60s")),
        "alerts on log-based metrics wait less than ten minutes",
    ),
    "deployer widened": (
        added("google_project_iam_member", role="roles/secretmanager.admin", member=_DEPLOY),
        "prod-cio-deploy has roles/secretmanager.admin on the whole project",
    ),
    "deployer reads a secret": (
        added(
            "google_secret_manager_secret_iam_member",
            secret_id="prod-cio-site-id",
            role="roles/secretmanager.secretAccessor",
            member=_DEPLOY,
        ),
        "prod-cio-deploy has roles/secretmanager.secretAccessor on prod-cio-site-id",
    ),
    "deployer's role widened": (
        changed(
            'module.github_deploy[0].google_project_iam_custom_role.deploys["subscriptions"]',
            lambda values: values["permissions"].append("pubsub.subscriptions.consume"),
        ),
        "role prod_cio_deploys_subscriptions holds pubsub.subscriptions.consume",
    ),
    "any job of the branch deploys": (
        changed(
            _PROVIDER,
            lambda values: values.update(attribute_condition=values["attribute_condition"].rpartition(" && ")[0]),
        ),
        "provider prod-cio-deploy lets jobs deploy whatever their environment",
    ),
    "any branch deploys": (
        changed(
            _PROVIDER,
            lambda values: values.update(
                attribute_condition=values["attribute_condition"].replace("assertion.ref ==", "assertion.ref !=")
            ),
        ),
        "provider prod-cio-deploy lets jobs deploy whatever their ref",
    ),
    "every planner may deploy": (
        changed(
            "module.github_deploy[0].google_service_account_iam_member.environment_deploys",
            lambda values: values.update(member=values["member"].replace("attribute.deploys", "attribute.plans")),
        ),
        "attribute.plans/987654321/prod may be prod-cio-deploy",
    ),
    "operators by a role that environments share": (
        added("google_project_iam_member", role="roles/pubsub.viewer", member="group:operators@acme.com"),
        "group:operators@acme.com has roles/pubsub.viewer on the project: another environment there shares the grant",
    ),
    "messages in any region": (
        changed('module.job["send"].google_pubsub_topic.retry[0]', setting(message_storage_policy=[])),
        "topic prod-cio-send-retry keeps messages in whatever region they are published from",
    ),
    "a growing field indexed": (
        without('module.ledger.google_firestore_field.unindexed["ledger.lease_until"]'),
        "the ledger's lease_until is indexed",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(prod: Applied, name: str) -> None:
    fault, expected = FAULTS[name]

    assert expected in problems(planted(prod, fault))
