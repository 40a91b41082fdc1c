"""An applied environment, as rules look at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.terraform.terraform_tool import Resource

type Values = dict[str, Any]

# Pub/Sub's own identity; the stand-in gives every project this number.
PUBSUB_AGENT = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"


@dataclass(frozen=True, slots=True)
class Function:
    """A deployed function: ``name`` in ``functions/``, ``service`` as deployed, ``member`` its identity."""

    name: str
    service: str
    member: str
    settings: Values
    variables: dict[str, str]
    builder: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One IAM grant: ``on`` is the short name of what it is on, empty for the project."""

    type: str
    on: str
    role: str
    member: str
    condition: str


class Applied:
    """What Terraform made, by kind."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources

    def of(self, kind: str) -> list[Values]:
        return [resource.values for resource in self.resources if resource.type == kind]

    @cached_property
    def environments(self) -> list["Applied"]:
        """Each environment apart: a root is one, an example calls the root as a module once or more."""
        modules = {resource.address.split(".")[1] for resource in self.resources if resource.address[:7] == "module."}
        if any(not resource.address.startswith("module.") for resource in self.resources):
            return [self]
        return [
            Applied([r for r in self.resources if r.address.startswith(f"module.{name}.")]) for name in sorted(modules)
        ]

    @cached_property
    def functions(self) -> dict[str, Function]:
        found = [_function(values) for values in self.of("google_cloudfunctions2_function")]
        return {function.name: function for function in found}

    @cached_property
    def subscriptions(self) -> dict[str, Values]:
        return {values["name"]: values for values in self.of("google_pubsub_subscription")}

    @cached_property
    def grants(self) -> list[Grant]:
        return [grant for resource in self.resources for grant in _grants(resource)]

    @cached_property
    def environment(self) -> str:
        """Its name, which begins all others."""
        (name,) = {topic["effective_labels"]["environment"] for topic in self.of("google_pubsub_topic")}
        return str(name)

    def members(self, type_: str, on: str, role: str) -> set[str]:
        """Who has the role on the named thing."""
        return {grant.member for grant in self.grants if (grant.type, grant.on, grant.role) == (type_, on, role)}


def short(path: str) -> str:
    """``projects/P/topics/T`` -> ``T``."""
    return path.rpartition("/")[2]


def _function(values: Values) -> Function:
    service = values["service_config"][0]
    return Function(
        name=values["build_config"][0]["entry_point"],
        service=values["name"],
        member=f"serviceAccount:{service['service_account_email']}",
        settings=service,
        variables=service["environment_variables"],
        builder=values["build_config"][0]["service_account"] or "",
    )


_NAMED_BY = {
    "google_artifact_registry_repository": "repository",
    "google_bigquery_dataset": "dataset_id",
    "google_bigquery_table": "table_id",
    "google_cloud_run_v2_service": "name",
    "google_cloudfunctions2_function": "cloud_function",
    "google_kms_crypto_key": "crypto_key_id",
    "google_project": "",
    "google_pubsub_subscription": "subscription",
    "google_pubsub_topic": "topic",
    "google_secret_manager_secret": "secret_id",
    "google_service_account": "service_account_id",
    "google_storage_bucket": "bucket",
}


def _grants(resource: Resource) -> Iterator[Grant]:
    for suffix in ("_iam_member", "_iam_binding"):
        if resource.type.endswith(suffix):
            on_type = resource.type.removesuffix(suffix)
            name = _NAMED_BY[on_type]
            condition = resource.values["condition"]
            for member in resource.values.get("members") or [resource.values["member"]]:
                yield Grant(
                    on_type,
                    short(resource.values[name]) if name else "",
                    resource.values["role"],
                    member,
                    condition[0]["expression"] if condition else "",
                )
