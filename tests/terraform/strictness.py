"""What strict projects ask for, where it is asked for: a key of the company's own, its network, its load balancer."""

from collections.abc import Iterator

from tests.terraform.applied import Applied
from tests.terraform.order import config_address, last_two, made_before

_USES_THE_KEY = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
_AGENTS = ("artifactregistry", "bigquery", "cloudfunctions", "firestore", "pubsub", "run", "secretmanager", "storage")
# Whatever holds data. A view holds none.
_HOLDS_DATA = {
    "google_artifact_registry_repository",
    "google_bigquery_dataset",
    "google_bigquery_table",
    "google_cloudfunctions2_function",
    "google_firestore_database",
    "google_pubsub_topic",
    "google_secret_manager_secret",
    "google_storage_bucket",
}


def everything_is_encrypted(applied: Applied) -> Iterator[str]:
    """If there is a key, it encrypts all data, and nothing is made before it may be used."""
    grants = [each for each in applied.resources if each.type == "google_kms_crypto_key_iam_member"]
    if not grants:
        return
    key = grants[0].values["crypto_key_id"]
    granted = {each.address.split('"')[1].split(".")[0] for each in grants if each.values["role"] == _USES_THE_KEY}
    for agent in _AGENTS:
        if agent not in granted:
            yield f"{agent}'s agent may not use the key"
    before = made_before(applied)
    for each in applied.resources:
        if each.type in _HOLDS_DATA and not each.values.get("view"):
            if key not in str(each.values):
                yield f"{each.address} is not encrypted with the company's key"
            elif "time_sleep.key_may_be_used" not in map(last_two, before[config_address(each.address)]):
                yield f"{last_two(each.address)} does not wait until the key may be used"


def calls_leave_by_one_way(applied: Applied) -> Iterator[str]:
    """If one function calls out through a network, all do."""
    ways = {
        name: function.settings["direct_vpc_network_interface"] and function.settings["direct_vpc_egress"]
        for name, function in applied.functions.items()
    }
    if any(ways.values()):
        for name, way in ways.items():
            if not way:
                yield f"{name} calls out past the company's network"
