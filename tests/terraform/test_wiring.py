"""The wiring rules hold in every environment, and each is broken by the fault it is there for."""

from pathlib import Path

import pytest

from tests.terraform.applied import Applied
from tests.terraform.conftest import ROOTS, Roots
from tests.terraform.planting import Fault, added, changed, planted, serving, setting, token, untold, without
from tests.terraform.terraform_tool import lean_workspace
from tests.terraform.wiring import problems

_AGENT = "service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
_PROJECT = "acme-customerio-prod"
_TRACK = f"prod-cio-track@{_PROJECT}.iam.gserviceaccount.com"
_PUSH = f"prod-cio-track-push@{_PROJECT}.iam.gserviceaccount.com"
_SUBSCRIPTION = 'module.job["track"].google_pubsub_subscription.lane["main"]'
_SEND = 'module.function["send"].google_cloudfunctions2_function.this'
_BULK = 'module.job["send"].google_pubsub_subscription.lane["bulk"]'
_BELL = 'module.job["send"].google_pubsub_subscription.bell[0]'
_FUNCTION = 'module.function["track"].google_cloudfunctions2_function.this'


@pytest.mark.parametrize("root", ROOTS)
def test_every_environment_and_example_is_wired(roots: Roots, root: str) -> None:
    """Applied from nothing, planned again without a change, destroyed; and what was there keeps every rule."""
    for environment in roots(root).environments:
        assert problems(environment) == []


FAULTS: dict[str, tuple[Fault, str]] = {
    "agent may not forward to the retry topic": (
        without('module.job["track"].google_pubsub_topic_iam_member.pubsub_forwards[0]'),
        "Pub/Sub's agent may not publish to prod-cio-track-retry: prod-cio-track cannot forward",
    ),
    "agent may not acknowledge": (
        without('module.job["track"].google_pubsub_subscription_iam_member.pubsub_forwards["retry"]'),
        "Pub/Sub's agent may not acknowledge on prod-cio-track-retry: it forwards and delivers again for ever",
    ),
    "agent may not sign": (
        without('module.job["track"].google_service_account_iam_binding.push_signers'),
        f"Pub/Sub's agent may not sign as {_PUSH}: prod-cio-track cannot push",
    ),
    "dead letters that nobody reads": (
        without('module.job["track"].module.dead_letter.google_pubsub_subscription.this'),
        "topic prod-cio-track-dead-letter has no subscription: what is published to it is lost",
    ),
    "dead letters for a week": (
        changed(
            'module.job["track"].module.dead_letter.google_pubsub_subscription.this',
            setting(message_retention_duration="604800s"),
        ),
        "subscription prod-cio-track-dead-letter keeps dead letters for less than 31 days",
    ),
    "no expiry policy": (
        changed(_SUBSCRIPTION, setting(expiration_policy=[])),
        "subscription prod-cio-track expires when it is idle",
    ),
    "no dead-letter policy": (
        changed(_SUBSCRIPTION, setting(dead_letter_policy=[])),
        "subscription prod-cio-track has no dead-letter policy",
    ),
    "no backoff": (
        changed(_SUBSCRIPTION, setting(retry_policy=[])),
        "subscription prod-cio-track retries at once, without backoff",
    ),
    "retry lane skipped": (
        changed(
            _SUBSCRIPTION,
            lambda values: values["dead_letter_policy"][0].update(
                dead_letter_topic=f"projects/{_PROJECT}/topics/prod-cio-track-dead-letter"
            ),
        ),
        "lane main of cio-track does not forward to cio-track-retry",
    ),
    "bulk lane straight to the dead letters": (
        changed(
            _BULK,
            lambda values: values["dead_letter_policy"][0].update(
                dead_letter_topic=f"projects/{_PROJECT}/topics/prod-cio-send-dead-letter"
            ),
        ),
        "lane bulk of cio-send does not forward to cio-send-retry",
    ),
    "main lane that takes bulk jobs, too": (
        changed('module.job["send"].google_pubsub_subscription.lane["main"]', setting(filter="")),
        "lane main of cio-send takes everything",
    ),
    "bulk lane that is pushed": (
        changed(_BULK, setting(push_config=[{"push_endpoint": "https://example.com", "oidc_token": []}])),
        "lane bulk of cio-send must be pulled",
    ),
    "bulk lane that its function may not pull": (
        without('module.job["send"].google_pubsub_subscription_iam_member.function_pulls[0]'),
        "prod-cio-send may not pull prod-cio-send-bulk: its jobs wait for ever",
    ),
    "bulk lane that somebody else reads": (
        added(
            "google_pubsub_subscription_iam_member",
            subscription="prod-cio-send-bulk",
            role="roles/pubsub.subscriber",
            member=f"serviceAccount:{_TRACK}",
        ),
        f"serviceAccount:{_TRACK} may read prod-cio-send-bulk",
    ),
    "function that reads dead letters": (
        added(
            "google_pubsub_subscription_iam_member",
            subscription="prod-cio-track-dead-letter",
            role="roles/pubsub.subscriber",
            member=f"serviceAccount:{_TRACK}",
        ),
        f"serviceAccount:{_TRACK} may read prod-cio-track-dead-letter",
    ),
    "drain that may not ring again": (
        without('module.job["send"].google_pubsub_topic_iam_member.function_rings[0]'),
        "prod-cio-send may not ring the bell of prod-cio-send-bulk",
    ),
    "rings that cannot be forgotten": (
        without('module.job["send"].google_pubsub_subscription_iam_member.function_forgets_rings[0]'),
        "prod-cio-send may not seek prod-cio-send-bulk-bell: each job of a mailing is pushed once more",
    ),
    "no bell": (
        without(_BELL),
        "subscription prod-cio-send-bulk-bell is not there: nobody drains lane bulk",
    ),
    "bell that rings elsewhere": (
        changed(_BELL, lambda values: values["push_config"][0].update(push_endpoint="https://example.com")),
        "subscription prod-cio-send-bulk-bell does not ring at its function",
    ),
    "bell for every send": (
        changed(_BELL, setting(filter="")),
        "subscription prod-cio-send-bulk-bell takes everything",
    ),
    "bell that keeps rings for a week": (
        changed(_BELL, setting(message_retention_duration="604800s")),
        "subscription prod-cio-send-bulk-bell keeps rings for 604800s",
    ),
    "rings that become dead letters": (
        changed(
            _BELL,
            setting(
                dead_letter_policy=[{"dead_letter_topic": f"projects/{_PROJECT}/topics/prod-cio-send-dead-letter"}]
            ),
        ),
        "subscription prod-cio-send-bulk-bell forwards rings",
    ),
    "nobody rings every minute": (
        without('google_cloud_scheduler_job.bell["send"]'),
        "nothing rings prod-cio-send-bulk-bell every minute: a job that was given back would wait for the next one",
    ),
    "a minute's ring that is a job": (
        changed(
            'google_cloud_scheduler_job.bell["send"]',
            lambda values: values["pubsub_target"][0].update(attributes={"priority": "bulk"}),
        ),
        "nothing rings prod-cio-send-bulk-bell every minute: a job that was given back would wait for the next one",
    ),
    "scheduler may not ring": (
        without('google_pubsub_topic_iam_member.scheduler_rings["send"]'),
        "Cloud Scheduler's agent may not publish to prod-cio-send: prod-cio-send-bulk-bell is not rung",
    ),
    "no bulk lane: its jobs match no filter": (without(_BULK), "lane bulk of cio-send has no subscription"),
    "push without a token": (
        changed(_SUBSCRIPTION, lambda values: values["push_config"][0].update(oidc_token=[])),
        "subscription prod-cio-track pushes without a token",
    ),
    "token for somebody else": (
        changed(_SUBSCRIPTION, token(audience="https://example.com")),
        "subscription prod-cio-track makes its token out to https://example.com, not to prod-cio-track",
    ),
    "ack deadline below the timeout": (
        changed(_SUBSCRIPTION, setting(ack_deadline_seconds=50)),
        "subscription prod-cio-track pushes again before prod-cio-track gives up",
    ),
    "job function open to the internet": (
        changed(_FUNCTION, serving(ingress_settings="ALLOW_ALL")),
        "prod-cio-track can be reached from the internet",
    ),
    "somebody else may call a job function": (
        added(
            "google_cloud_run_v2_service_iam_member",
            name="prod-cio-track",
            role="roles/run.invoker",
            member="group:everybody@example.com",
        ),
        "group:everybody@example.com may call prod-cio-track and is not who pushes to it",
    ),
    "webhook closed": (
        without('module.function["webhook"].google_cloud_run_v2_service_iam_member.invoker["anybody"]'),
        "prod-cio-webhook cannot be called by Customer.io",
    ),
    "public topic": (
        added(
            "google_pubsub_topic_iam_member", topic="prod-cio-send", role="roles/pubsub.publisher", member="allUsers"
        ),
        "allUsers has roles/pubsub.publisher on prod-cio-send",
    ),
    "editor of the project": (
        added("google_project_iam_member", role="roles/editor", member=f"serviceAccount:{_TRACK}"),
        f"serviceAccount:{_TRACK} has roles/editor on the whole project",
    ),
    "every Firestore database of the project": (
        changed('module.ledger.google_project_iam_member.writers["send"]', setting(condition=[])),
        "prod-cio-send is told of prod-cio-ledger and may not use it alone",
    ),
    "built by the default account": (
        changed(_FUNCTION, lambda values: values["build_config"][0].update(service_account=None)),
        "prod-cio-track is built by the project's default account",
    ),
    "may not read its own secret": (
        without('module.secret["track_api_key"].google_secret_manager_secret_iam_member.readers["track"]'),
        "prod-cio-track is told of prod-cio-track-api-key without roles/secretmanager.secretAccessor",
    ),
    "may read another's secret": (
        added(
            "google_secret_manager_secret_iam_member",
            secret_id="prod-cio-app-api-key",
            role="roles/secretmanager.secretAccessor",
            member=f"serviceAccount:{_TRACK}",
        ),
        f"serviceAccount:{_TRACK} may read prod-cio-app-api-key and is not told of it",
    ),
    "secret's value in the state": (
        added("google_secret_manager_secret_version", secret=f"projects/{_PROJECT}/secrets/prod-cio-site-id"),
        "the state holds the value of prod-cio-site-id",
    ),
    "may not dead-letter": (
        without('module.job["track"].google_pubsub_topic_iam_member.function_dead_letters'),
        "prod-cio-track is told of prod-cio-track-dead-letter and may not publish to it",
    ),
    "may not move a job to the retry lane": (
        without('module.job["track"].google_pubsub_topic_iam_member.function_retries[0]'),
        "prod-cio-track may not move jobs to prod-cio-track-retry",
    ),
    "may not say what became of its jobs": (
        without('google_pubsub_topic_iam_member.functions_publish_outcomes["send"]'),
        "prod-cio-send is told of prod-cio-outcomes and may not publish to it",
    ),
    "may not dead-letter outcomes": (
        without('module.job["outcomes"].google_pubsub_topic_iam_member.function_dead_letters'),
        "prod-cio-archive is told of prod-cio-outcomes-dead-letter and may not publish to it",
    ),
    "may not move outcomes to the retry lane": (
        without('module.job["outcomes"].google_pubsub_topic_iam_member.function_retries[0]'),
        "prod-cio-archive may not move jobs to prod-cio-outcomes-retry",
    ),
    "may not write rows of outcomes": (
        without('module.warehouse.google_bigquery_table_iam_member.writers["archive-job_outcomes"]'),
        "prod-cio-archive may not write to job_outcomes",
    ),
    "a job function that publishes no outcomes": (
        changed(_FUNCTION, serving(environment_variables={})),
        "prod-cio-track is not told where outcomes go: its jobs leave no trace",
    ),
    "may not write rows": (
        without('module.warehouse.google_bigquery_table_iam_member.writers["archive-events"]'),
        "prod-cio-archive may not write to events",
    ),
    "may not tell of opt-outs": (
        without("google_pubsub_topic_iam_member.webhook_publishes_consent"),
        "prod-cio-webhook is told of prod-cio-consent and may not publish to it",
    ),
    "not told who may be written to": (
        changed(_SEND, untold("RECIPIENTS")),
        "prod-cio-send is not told who may be written to, and writes to nobody",
    ),
    "more instances than the rate allows": (
        changed(_FUNCTION, serving(max_instance_count=5)),
        "functions may together call Customer.io 2333.33 times a second; track allows 1000",
    ),
    "name without the environment": (
        changed("google_pubsub_topic.secret_rotation[0]", setting(name="secret-rotation")),
        "secret-rotation does not begin with prod: two environments cannot share a project",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(prod: Applied, name: str) -> None:
    fault, expected = FAULTS[name]

    assert expected in problems(planted(prod, fault))


def test_faults_planted_in_the_files_are_found(tmp_path: Path) -> None:
    workspace = lean_workspace(tmp_path)
    workspace.replace("terraform/modules/job/main.tf", '    ttl = ""\n', '    ttl = "2678400s"\n')
    workspace.replace(
        "terraform/modules/job/main.tf",
        "audience              = var.function.uri",
        'audience              = "https://example.com"',
    )
    workspace.replace(
        "terraform/main.tf", '{ anybody = "allUsers" } : {}', '{ anybody = "allUsers" } : { anybody = "allUsers" }'
    )
    workspace.replace("terraform/main.tf", ': "ALLOW_INTERNAL_ONLY"', ': "ALLOW_ALL"')
    workspace.replace(
        "terraform/modules/job/iam.tf",
        'role         = "roles/pubsub.subscriber"',
        'role         = "roles/pubsub.viewer"',
    )
    workspace.replace(
        "terraform/modules/dead_letter/main.tf", 'role    = "roles/pubsub.publisher"', 'role    = "roles/pubsub.viewer"'
    )
    workspace.replace("terraform/rates.tf", "rate / local.instances_by_rate[name]", "rate")

    found = problems(Applied(workspace.apply("dev")))

    for expected in (
        "subscription dev-cio-send expires when it is idle",
        "subscription dev-cio-send makes its token out to https://example.com, not to dev-cio-send",
        "dev-cio-send can be reached from the internet",
        "allUsers has roles/run.invoker on dev-cio-send",
        "Pub/Sub's agent may not acknowledge on dev-cio-send: it forwards and delivers again for ever",
        "Pub/Sub's agent may not publish to dev-cio-send-dead-letter: dev-cio-send-retry cannot forward",
        "functions may together call Customer.io 3000 times a second; track allows 1000",
    ):
        assert expected in found
