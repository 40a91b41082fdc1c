"""Who may do what beyond the wiring, what two environments of a project share, and where data rests."""

import re
from collections.abc import Iterator

from tests.terraform.applied import Applied, Grant

# What a role of ours never holds: reading values, rows, messages and entries, being somebody else, granting.
_TOO_MUCH = re.compile(
    r"\.setIamPolicy$|\.getData$|^secretmanager\.versions\.access$|\.consume$|\.publish$|^datastore\.entities\."
    r"|^iam\.serviceAccounts\.|^iam\.roles\.(create|update)|^resourcemanager\.|^storage\.objects\.|^logging\.logEntries\.|\*"
)
_LOOKS = {
    "roles/artifactregistry.reader",
    "roles/bigquery.metadataViewer",
    "roles/cloudfunctions.viewer",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageViewer",
    "roles/storage.bucketViewer",
}
# Where they may hold a predefined role: the bucket of archives, and the accounts that the deployer hands to functions.
_ON_ONE_THING = {
    ("plan", "google_storage_bucket", "roles/storage.objectViewer"),
    ("deploy", "google_storage_bucket", "roles/storage.objectAdmin"),
    ("deploy", "google_service_account", "roles/iam.serviceAccountUser"),
}


def own_roles_are_narrow(applied: Applied) -> Iterator[str]:
    for role in applied.of("google_project_iam_custom_role"):
        for permission in role["permissions"]:
            if _TOO_MUCH.search(permission):
                yield f"role {role['role_id']} holds {permission}"


def the_deployer_is_narrow(applied: Applied) -> Iterator[str]:
    for grant in applied.grants:
        if not re.search(r"-(plan|deploy)@", grant.member) or _is_own_role(applied, grant):
            continue
        account = grant.member.removeprefix("serviceAccount:").partition("@")[0]
        if not grant.on and grant.role not in _LOOKS:
            yield f"{account} has {grant.role} on the whole project"
        elif grant.on and (account.rpartition("-")[2], grant.type, grant.role) not in _ON_ONE_THING:
            yield f"{account} has {grant.role} on {grant.on}"


def the_deployer_is_trusted_by_environment(applied: Applied) -> Iterator[str]:
    mapping = [
        p
        for p in applied.of("google_iam_workload_identity_pool_provider")
        if "attribute.deploys" in p["attribute_mapping"]
    ]
    for provider in mapping:
        name = provider["workload_identity_pool_provider_id"]
        for claim in ("repository_id", "ref", "environment"):
            if f"assertion.{claim} == " not in provider["attribute_condition"]:
                yield f"provider {name} lets jobs deploy whatever their {claim}"
    if len(mapping) > 1:
        yield "more than one provider says who deploys"
    for grant in applied.grants:
        trusted = re.search(rf"/attribute\.deploys/\d+/{applied.environment}$", grant.member)
        if grant.role == "roles/iam.workloadIdentityUser" and "-deploy@" in grant.on and not trusted:
            yield f"{'/'.join(grant.member.split('/')[-3:])} may be {grant.on.partition('@')[0]}"


def environments_share_no_grant(applied: Applied) -> Iterator[str]:
    """Two environments of a project would hold one and the same grant, and destroying one takes it from the other."""
    for grant in applied.grants:
        own_member = grant.member.startswith(f"serviceAccount:{applied.environment}-")
        if not grant.on and not own_member and not _is_own_role(applied, grant):
            yield f"{grant.member} has {grant.role} on the project: another environment there shares the grant"


def messages_stay_in_the_region(applied: Applied) -> Iterator[str]:
    for topic in applied.of("google_pubsub_topic"):
        policy = topic["message_storage_policy"]
        if not policy or not policy[0]["allowed_persistence_regions"]:
            yield f"topic {topic['name']} keeps messages in whatever region they are published from"


def growing_fields_are_not_indexed(applied: Applied) -> Iterator[str]:
    exempt = {
        field["field"] for field in applied.of("google_firestore_field") if not field["index_config"][0]["indexes"]
    }
    for field in ("expires_at", "lease_until", "fingerprint", "result", "state", "token"):
        if field not in exempt:
            yield f"the ledger's {field} is indexed"


def _is_own_role(applied: Applied, grant: Grant) -> bool:
    return bool(re.search(rf"/roles/{applied.environment}_cio_\w+$", grant.role))
