"""The code starts with what Terraform tells it, and finds there what it expects."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module

import pytest

from ops.target import Target
from shared.ledger.firestore import FirestoreLedger
from shared.settings import Settings
from shared.topology import topology
from tests.terraform.applied import Applied


@pytest.mark.parametrize("function", sorted(topology().functions))
def test_a_function_starts(prod: Applied, function: str) -> None:
    variables = prod.functions[function].variables

    assert import_module(f"shared.handlers.{function}").endpoint(Settings.from_environment(function, variables))


def test_entries_expire_and_no_field_is_indexed_in_vain(prod: Applied) -> None:
    """But for those that a query asks for. Firestore's indexes of growing values bound the writes a second."""
    fields = prod.of("google_firestore_field")
    parameters = inspect.signature(FirestoreLedger).parameters
    claims, profiles, tombstones = (parameters[name].default for name in ("collection", "profiles", "tombstones"))
    asked_for = {"person", "written_at"}

    assert {(field["collection"], field["field"]) for field in fields if field["ttl_config"]} == {
        (claims, "expires_at"),
        (tombstones, "expires_at"),
    }
    assert {(field["collection"], field["field"]) for field in fields} == {
        *((claims, name) for name in _written_by(FirestoreLedger.claim, FirestoreLedger.unknown)),
        *((profiles, name) for name in _written_by(FirestoreLedger.remember)),
        *((tombstones, name) for name in _written_by(FirestoreLedger.bury) - asked_for),
        ("receipts", "receipt"),
    }


def _written_by(*methods: Callable[..., object]) -> set[str]:
    """Fields that these methods write, as they stand in the code."""
    return {name for method in methods for name in re.findall(r'"(\w+)": ', inspect.getsource(method))}


def test_the_operators_command_finds_the_environment(prod: Applied) -> None:
    target = Target("acme-customerio-prod", "prod-", {})

    names = ("site-id", "track-api-key", "app-api-key", "webhook-signing-key")
    assert {target.secret(name) for name in names} == {
        secret["id"] for secret in prod.of("google_secret_manager_secret")
    }
    assert [target.dataset] == [dataset["dataset_id"] for dataset in prod.of("google_bigquery_dataset")]
    assert {target.topic(kind.name) for kind in topology().topics.values()} <= {
        topic["id"] for topic in prod.of("google_pubsub_topic")
    }
