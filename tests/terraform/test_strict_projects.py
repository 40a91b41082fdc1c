"""A key, a network and a load balancer of the company's own: the example has them, and each gap is found."""

import pytest

from tests.terraform.applied import Applied
from tests.terraform.conftest import Roots
from tests.terraform.planting import Fault, changed, planted, serving, setting, unordered, without
from tests.terraform.wiring import problems

_MODULE = "module.customerio"
_FUNCTION = f'{_MODULE}.module.function["send"].google_cloudfunctions2_function.this'
_TOPIC = f'{_MODULE}.module.job["send"].google_pubsub_topic.retry[0]'
_TABLE = f'{_MODULE}.module.warehouse.google_bigquery_table.this["events"]'

FAULTS: dict[str, tuple[Fault, str]] = {
    "a topic that Google encrypts": (
        changed(_TOPIC, setting(kms_key_name=None)),
        f"{_TOPIC} is not encrypted with the company's key",
    ),
    "a table that Google encrypts": (
        changed(_TABLE, setting(encryption_configuration=[])),
        f"{_TABLE} is not encrypted with the company's key",
    ),
    "a function that Google encrypts": (
        changed(_FUNCTION, setting(kms_key_name=None)),
        f"{_FUNCTION} is not encrypted with the company's key",
    ),
    "a service that may not use the key": (
        without(f'{_MODULE}.google_kms_crypto_key_iam_member.agents["firestore.googleapis.com"]'),
        "firestore's agent may not use the key",
    ),
    "a bucket before the key may be used": (
        unordered("google_storage_bucket.source", "time_sleep.key_may_be_used"),
        "google_storage_bucket.source does not wait until the key may be used",
    ),
    "a function past the network": (
        changed(_FUNCTION, serving(direct_vpc_network_interface=[])),
        "send calls out past the company's network",
    ),
}


@pytest.fixture(scope="module")
def strict(roots: Roots) -> Applied:
    [environment] = roots("strict").environments
    return environment


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(strict: Applied, name: str) -> None:
    fault, expected = FAULTS[name]

    assert expected in problems(planted(strict, fault))


def test_the_webhook_is_reached_through_the_load_balancer_alone(strict: Applied) -> None:
    assert strict.functions["webhook"].settings["ingress_settings"] == "ALLOW_INTERNAL_AND_GCLB"


def test_functions_call_customerio_through_the_network(strict: Applied) -> None:
    assert strict.functions["send"].settings["direct_vpc_egress"] == "VPC_EGRESS_ALL_TRAFFIC"
