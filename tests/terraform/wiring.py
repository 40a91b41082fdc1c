"""What must hold between the resources of an applied environment.

Terraform accepts a dead-letter topic that nobody reads, a push that its function refuses, or a public job function, and
so does Google. Each rule yields a sentence per breach.
"""

import json
import re
from collections.abc import Iterator

from shared.topology import BELL_SUFFIX, topology
from tests.terraform import bells, order, pausing, power, strictness, voice
from tests.terraform.applied import PUBSUB_AGENT, Applied, Function, Values, short

_SIGNS = "roles/iam.serviceAccountOpenIdTokenCreator"
_MONTH = f"{31 * 86400}s"
# Granted on the whole project, because Google has no narrower place, or under a condition that names one.
_ON_PROJECT = {
    "roles/datastore.user",
    "roles/logging.logWriter",
    "roles/storage.objectViewer",
}
# Functions by which a message reaches a person.
_SENDS = frozenset({"send", "broadcast"})
_ONLY_UNDER_A_CONDITION = {"roles/datastore.user", "roles/storage.objectViewer"}


def problems(applied: Applied) -> list[str]:
    """Every breach of every rule."""
    return sorted(problem for rule in _RULES for problem in rule(applied))


def _no_message_is_lost(applied: Applied) -> Iterator[str]:
    read = {short(subscription["topic"]) for subscription in applied.subscriptions.values()}
    # Where no application asks for changes of consent, the events still have them.
    read |= {_prefixed(applied, name) for name in topology().consumer_topics.values()}
    for topic in applied.of("google_pubsub_topic"):
        if topic["name"] not in read:
            yield f"topic {topic['name']} has no subscription: what is published to it is lost"
    for name, subscription in applied.subscriptions.items():
        expiry = subscription["expiration_policy"]
        if not expiry or expiry[0]["ttl"] != "":
            yield f"subscription {name} expires when it is idle"
        if name.endswith("-dead-letter") and subscription["message_retention_duration"] != _MONTH:
            yield f"subscription {name} keeps dead letters for less than 31 days"
        if name.endswith("-dead-letter") and subscription["push_config"]:
            yield f"subscription {name} pushes dead letters"


def _dead_letters_arrive(applied: Applied) -> Iterator[str]:
    topics = {topic["name"] for topic in applied.of("google_pubsub_topic")}
    for name, subscription in applied.subscriptions.items():
        policy = subscription["dead_letter_policy"]
        if not policy:
            if subscription["push_config"] and not name.endswith(BELL_SUFFIX):
                yield f"subscription {name} has no dead-letter policy"
            continue
        target = short(policy[0]["dead_letter_topic"])
        if target not in topics:
            yield f"subscription {name} forwards to {target}, which is not there"
        if PUBSUB_AGENT not in applied.members("google_pubsub_topic", target, "roles/pubsub.publisher"):
            yield f"Pub/Sub's agent may not publish to {target}: {name} cannot forward"
        if PUBSUB_AGENT not in applied.members("google_pubsub_subscription", name, "roles/pubsub.subscriber"):
            yield f"Pub/Sub's agent may not acknowledge on {name}: it forwards and delivers again for ever"
        if not subscription["retry_policy"]:
            yield f"subscription {name} retries at once, without backoff"


def _lanes_are_as_described(applied: Applied) -> Iterator[str]:
    for kind in topology().topics.values():
        for hop in kind.hops:
            subscription = applied.subscriptions.get(_prefixed(applied, hop.subscription))
            if subscription is None:
                yield f"lane {hop.lane} of {kind.name} has no subscription"
                continue
            policy = subscription["dead_letter_policy"]
            if policy and short(policy[0]["dead_letter_topic"]) != _prefixed(applied, hop.next_topic):
                yield f"lane {hop.lane} of {kind.name} does not forward to {hop.next_topic}"
            if (subscription["filter"] or "") != hop.filter:
                yield f"lane {hop.lane} of {kind.name} takes {subscription['filter'] or 'everything'}"
            if bool(subscription["push_config"]) != (hop.delivery == "push"):
                yield f"lane {hop.lane} of {kind.name} must be {hop.delivery}ed"


def _pushes_are_accepted(applied: Applied) -> Iterator[str]:
    by_uri = {function.settings["uri"]: function for function in applied.functions.values()}
    for name, subscription in applied.subscriptions.items():
        for push in subscription["push_config"]:
            if not push["oidc_token"]:
                yield f"subscription {name} pushes without a token"
                continue
            token = push["oidc_token"][0]
            account = token["service_account_email"]
            if PUBSUB_AGENT not in applied.members("google_service_account", account, _SIGNS):
                yield f"Pub/Sub's agent may not sign as {account}: {name} cannot push"
            function = by_uri.get(push["push_endpoint"])
            if function is not None:
                yield from _function_accepts(applied, name, subscription, function)


def _function_accepts(applied: Applied, name: str, subscription: Values, function: Function) -> Iterator[str]:
    token = subscription["push_config"][0]["oidc_token"][0]
    invokers = applied.members("google_cloud_run_v2_service", function.service, "roles/run.invoker")
    if token["audience"] != function.settings["uri"]:
        yield f"subscription {name} makes its token out to {token['audience']}, not to {function.service}"
    if f"serviceAccount:{token['service_account_email']}" not in invokers:
        yield f"{token['service_account_email']} may not call {function.service}: {name} cannot push"
    if subscription["ack_deadline_seconds"] <= function.settings["timeout_seconds"]:
        yield f"subscription {name} pushes again before {function.service} gives up"


def _only_the_webhook_is_public(applied: Applied) -> Iterator[str]:
    webhook = applied.functions["webhook"]
    for function in applied.functions.values():
        invokers = applied.members("google_cloud_run_v2_service", function.service, "roles/run.invoker")
        public = function.settings["ingress_settings"] != "ALLOW_INTERNAL_ONLY"
        if function is webhook:
            if not public or invokers != {"allUsers"}:
                yield f"{function.service} cannot be called by Customer.io"
            continue
        if public:
            yield f"{function.service} can be reached from the internet"
        pushers = {
            f"serviceAccount:{push['oidc_token'][0]['service_account_email']}"
            for subscription in applied.subscriptions.values()
            for push in subscription["push_config"]
            if push["push_endpoint"] == function.settings["uri"] and push["oidc_token"]
        }
        for member in sorted(invokers - pushers):
            yield f"{member} may call {function.service} and is not who pushes to it"
    for grant in applied.grants:
        if grant.member in {"allUsers", "allAuthenticatedUsers"} and grant.on != webhook.service:
            yield f"{grant.member} has {grant.role} on {grant.on or 'the project'}"


def _identities_are_separate(applied: Applied) -> Iterator[str]:
    seen: dict[str, str] = {}
    for function in applied.functions.values():
        if (other := seen.setdefault(function.member, function.service)) != function.service:
            yield f"{function.service} runs as the same account as {other}"
        if not function.builder:
            yield f"{function.service} is built by the project's default account"
    github = {
        f"serviceAccount:{grant.on}" for grant in applied.grants if grant.role == "roles/iam.workloadIdentityUser"
    }
    for grant in applied.grants:
        if grant.on or grant.member in github or "/roles/" in grant.role.removeprefix("roles/"):
            continue
        if grant.role not in _ON_PROJECT:
            yield f"{grant.member} has {grant.role} on the whole project"
        elif grant.role in _ONLY_UNDER_A_CONDITION and not grant.condition:
            yield f"{grant.member} has {grant.role} on the whole project without a condition"


def _functions_may_do_what_they_are_told(applied: Applied) -> Iterator[str]:
    for function in applied.functions.values():
        for variable, value in function.variables.items():
            match variable.rpartition("_")[2]:
                case "SECRET":
                    yield from _secret_is_readable(applied, function, short(value))
                case "TOPIC":
                    publishers = applied.members("google_pubsub_topic", short(value), "roles/pubsub.publisher")
                    if function.member not in publishers:
                        yield f"{function.service} is told of {short(value)} and may not publish to it"
                    if value.endswith("-dead-letter") and function.name != "webhook":
                        yield from _retries_are_possible(applied, function, short(value))
                case "LEDGER":
                    yield from _ledger_is_open(applied, function, value.removeprefix("firestore:"))
                case "DATASET":
                    yield from _tables_are_writable(applied, function)


def _jobs_leave_a_trace(applied: Applied) -> Iterator[str]:
    for kind in topology().topics.values():
        function = applied.functions[kind.function]
        told = function.variables.get("OUTCOMES_TOPIC", "")
        if kind.rate is not None and short(told) != _prefixed(applied, topology().topics["outcomes"].name):
            yield f"{function.service} is not told where outcomes go: its jobs leave no trace"


def _recipients_are_named(applied: Applied) -> Iterator[str]:
    for function in applied.functions.values():
        if function.name not in _SENDS:
            continue
        policy = function.variables.get("RECIPIENTS")
        if policy is None:
            yield f"{function.service} is not told who may be written to, and writes to nobody"
        elif json.loads(policy)["everybody"] and not function.service.startswith("prod-"):
            yield f"{function.service} writes to everybody outside prod"


def _retries_are_possible(applied: Applied, function: Function, dead_letter_topic: str) -> Iterator[str]:
    """After the main lane the function moves a job to the retry topic itself. An ordered topic has no such lane."""
    topic = dead_letter_topic.removesuffix("-dead-letter")
    if any(topic.endswith(shape.name) and shape.ordered for shape in topology().topics.values()):
        return
    retry = f"{topic}-retry"
    if function.member not in applied.members("google_pubsub_topic", retry, "roles/pubsub.publisher"):
        yield f"{function.service} may not move jobs to {retry}"


def _secret_is_readable(applied: Applied, function: Function, secret: str) -> Iterator[str]:
    for role in ("roles/secretmanager.secretAccessor", "roles/secretmanager.viewer"):
        if function.member not in applied.members("google_secret_manager_secret", secret, role):
            yield f"{function.service} is told of {secret} without {role}"


def _tables_are_writable(applied: Applied, function: Function) -> Iterator[str]:
    for table in applied.of("google_bigquery_table"):
        writers = applied.members("google_bigquery_table", table["table_id"], "roles/bigquery.dataEditor")
        if not table["view"] and function.member not in writers:
            yield f"{function.service} may not write to {table['table_id']}"


def _ledger_is_open(applied: Applied, function: Function, database: str) -> Iterator[str]:
    ids = {entry["name"]: entry["id"] for entry in applied.of("google_firestore_database")}
    grants = [g for g in applied.grants if g.member == function.member and g.role == "roles/datastore.user"]
    if not any(f'"{ids.get(database)}"' in grant.condition for grant in grants if grant.condition):
        yield f"{function.service} is told of {database} and may not use it alone"
    if not any(field["database"] == database and field["ttl_config"] for field in applied.of("google_firestore_field")):
        yield f"entries of {database} never expire"


def _secrets_stay_secret(applied: Applied) -> Iterator[str]:
    told = {
        (short(value), function.member)
        for function in applied.functions.values()
        for variable, value in function.variables.items()
        if variable.endswith("_SECRET")
    }
    for grant in applied.grants:
        if grant.role == "roles/secretmanager.secretAccessor" and (grant.on, grant.member) not in told:
            yield f"{grant.member} may read {grant.on or 'every secret'} and is not told of it"
    for version in applied.of("google_secret_manager_secret_version"):
        yield f"the state holds the value of {short(version['secret'])}"
    for function in applied.functions.values():
        for variable in function.variables:
            if re.search(r"(KEY|SITE_ID|PASSWORD|TOKEN)$", variable):
                yield f"{function.service} is given {variable} as a value"
    for bucket in applied.of("google_storage_bucket"):
        if bucket["public_access_prevention"] != "enforced" or not bucket["uniform_bucket_level_access"]:
            yield f"bucket {bucket['name']} can be made public"


def _rates_are_kept(applied: Applied) -> Iterator[str]:
    shape = topology()
    for name, rate in shape.rates.items():
        functions = [applied.functions[kind.function] for kind in shape.topics.values() if kind.rate == name]
        used = sum(
            float(function.variables.get("CUSTOMERIO_REQUESTS_PER_SECOND", "inf"))
            * function.settings["max_instance_count"]
            for function in functions
        )
        if used > rate.per_second * (1 + 1e-9):
            yield f"functions may together call Customer.io {used:g} times a second; {name} allows {rate.per_second:g}"


def _names_begin_with_the_environment(applied: Applied) -> Iterator[str]:
    environment = applied.environment
    for kind, argument in {
        "google_cloud_scheduler_job": "name",
        "google_pubsub_topic": "name",
        "google_pubsub_subscription": "name",
        "google_cloudfunctions2_function": "name",
        "google_service_account": "account_id",
        "google_secret_manager_secret": "secret_id",
        "google_firestore_database": "name",
        "google_bigquery_dataset": "dataset_id",
        "google_artifact_registry_repository": "repository_id",
        "google_logging_metric": "name",
        "google_monitoring_alert_policy": "display_name",
        "google_iam_workload_identity_pool": "workload_identity_pool_id",
    }.items():
        for values in applied.of(kind):
            if not re.match(rf"{environment}[-_]", values[argument]):
                yield f"{values[argument]} does not begin with {environment}: two environments cannot share a project"


def _prefixed(applied: Applied, name: str) -> str:
    return f"{applied.environment}-{name}"


_RULES = (
    _no_message_is_lost,
    _dead_letters_arrive,
    _lanes_are_as_described,
    _pushes_are_accepted,
    _only_the_webhook_is_public,
    _identities_are_separate,
    _functions_may_do_what_they_are_told,
    _recipients_are_named,
    _jobs_leave_a_trace,
    _secrets_stay_secret,
    _rates_are_kept,
    _names_begin_with_the_environment,
    bells.bulk_can_be_pulled,
    bells.bulk_rings,
    order.apis_come_first,
    order.grants_come_first,
    order.log_alerts_wait,
    pausing.control_is_asked_every_minute,
    pausing.every_caller_can_ask_for_a_pause,
    pausing.every_pause_can_end,
    pausing.who_should_may_pause,
    power.environments_share_no_grant,
    power.growing_fields_are_not_indexed,
    power.messages_stay_in_the_region,
    power.own_roles_are_narrow,
    power.the_deployer_is_narrow,
    power.the_deployer_is_trusted_by_environment,
    voice.a_start_that_fails_is_counted,
    voice.a_wrong_key_is_noticed,
    voice.alerts_have_runbooks,
    voice.errors_are_kept,
    voice.every_subscription_is_watched,
    voice.nothing_fails_in_silence,
    voice.only_reminders_remind,
    voice.the_dashboard_stays_as_it_is,
    strictness.everything_is_encrypted,
    strictness.calls_leave_by_one_way,
)
