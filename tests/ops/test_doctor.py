import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask  # type: ignore[import-untyped]
from google.pubsub_v1.types import Subscription
from typer.testing import Result

from local import bigquery
from local.customerio import Credentials, Simulator
from local.stack.provision import provision
from ops import clients
from ops.commands.doctor import check_disk
from ops.commands.doctor.customerio import check_customerio
from ops.commands.doctor.finding import Finding
from ops.commands.doctor.keys import read_keys
from ops.commands.doctor.ledger import check_ledger
from ops.commands.doctor.pubsub import check_pubsub
from ops.commands.doctor.recipients import check_recipients
from ops.commands.doctor.warehouse import check_warehouse
from ops.commands.doctor.webhook import check_webhook
from ops.target import Target
from shared.topology import topology
from tests.function_process import RunningFunction, running_function
from tests.ops.conftest import Broker, Machine
from tests.secrets.fake_secret_manager import FakeSecretManager, State, running_secret_manager

Ops = Callable[..., Result]

ACCEPTED = Credentials()
SIGNING_KEY = "canary-signing-key"
KEYS = {
    "CUSTOMERIO_SITE_ID": (ACCEPTED.site_id,),
    "CUSTOMERIO_TRACK_API_KEY": (ACCEPTED.track_api_key,),
    "CUSTOMERIO_APP_API_KEY": (ACCEPTED.app_api_key,),
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY": (SIGNING_KEY,),
}


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in findings}


def failures(findings: list[Finding]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for finding in findings:
        if finding.verdict == "failed":
            texts[finding.check] = f"{texts.get(finding.check, '')}{finding.text}\n"
    return texts


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(region="eu") as simulator:
        yield simulator


@pytest.fixture
async def webhook(machine: Machine, broker: Broker, tmp_path: Path) -> AsyncIterator[RunningFunction]:
    environment = {
        "GOOGLE_CLOUD_PROJECT": machine.project,
        "PUBSUB_EMULATOR_HOST": broker.host,
        "EVENTS_TOPIC": f"projects/{machine.project}/topics/cio-events",
        "CONSENT_TOPIC": f"projects/{machine.project}/topics/cio-consent",
        "DEAD_LETTER_TOPIC": f"projects/{machine.project}/topics/cio-events-dead-letter",
        "CUSTOMERIO_WEBHOOK_SIGNING_KEY": f"a-newer-key,{SIGNING_KEY}",
    }
    async with running_function("webhook", environment, tmp_path / "log") as function:
        yield function


def target_of(sim: Simulator, **changed: str) -> Target:
    environment = {
        "CUSTOMERIO_REGION": "eu",
        "CUSTOMERIO_TRACK_URL": sim.track_url,
        "CUSTOMERIO_APP_URL": sim.app_url,
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    }
    return Target("demo-project", "", environment | changed)


async def customerio(target: Target, **changed: str) -> list[Finding]:
    keys = KEYS | {name: (value,) for name, value in changed.items()}
    return await asyncio.to_thread(lambda: list(check_customerio(target, keys)))


async def test_where_all_is_well_every_line_is_ok_and_no_key_is_shown(
    machine: Machine,
    ops: Ops,
    sim: Simulator,
    webhook: RunningFunction,
    bigquery_server: str,
    environment: MutableMapping[str, str],
) -> None:
    environment.update(
        {
            "CUSTOMERIO_SITE_ID": ACCEPTED.site_id,
            "CUSTOMERIO_TRACK_API_KEY": ACCEPTED.track_api_key,
            "CUSTOMERIO_APP_API_KEY": ACCEPTED.app_api_key,
            "CUSTOMERIO_TRACK_URL": sim.track_url,
            "CUSTOMERIO_APP_URL": sim.app_url,
            "CUSTOMERIO_WEBHOOK_SIGNING_KEY": SIGNING_KEY,
            "BIGQUERY_EMULATOR_HOST": bigquery_server,
            "BIGQUERY_DATASET": "all_is_well",
        }
    )
    for kind in topology().topics.values():
        for subscription in kind.push_subscriptions:
            name = f"projects/{machine.project}/subscriptions/{subscription}"
            machine.subscriber.modify_push_config(
                request={"subscription": name, "push_config": {"push_endpoint": webhook.url}}
            )
    with closing(bigquery.client(bigquery_server, machine.project)) as client:
        await asyncio.to_thread(bigquery.create_tables, client, "all_is_well")
    # As a stack leaves it.
    await asyncio.to_thread(lambda: Path(".local", "data").mkdir(parents=True))
    watch = machine.watch("cio-events")
    result = await asyncio.to_thread(ops, "doctor", "--region", "eu", "--webhook-url", webhook.url)
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"ok"}, result.stdout
    assert result.exit_code == 0
    assert "33 ok, 0 failed, 0 skipped" in result.stderr
    for key in ("CUSTOMERIO_TRACK_API_KEY", "CUSTOMERIO_APP_API_KEY", "CUSTOMERIO_WEBHOOK_SIGNING_KEY"):
        assert environment[key] not in result.output
    (event,) = await asyncio.to_thread(watch, 1)
    assert (event.attributes["metric"], event.attributes["object_type"]) == ("ops_self_test", "customer")


@pytest.mark.usefixtures("machine")
def test_where_nothing_is_set_each_line_says_what_to_do(ops: Ops) -> None:
    result = ops("doctor")
    assert result.exit_code == 1
    for what in (
        "CUSTOMERIO_SITE_ID: is not set",
        "region: CUSTOMERIO_REGION is not set: us or eu",
        "webhook: give --webhook-url",
        "function identify: does not answer",
    ):
        assert what in result.stdout


@pytest.mark.usefixtures("machine")
def test_json_has_each_finding_and_their_count(ops: Ops) -> None:
    result = ops("doctor", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {each["verdict"] for each in told["findings"]} == {"ok", "failed", "skipped"}
    assert sum(told[verdict] for verdict in ("ok", "failed", "skipped")) == len(told["findings"])
    assert {"check": "ledger .local/data/ledger.sqlite", "verdict": "skipped"}.items() <= next(
        each for each in told["findings"] if each["check"].startswith("ledger")
    ).items()


async def test_wrong_track_credentials_are_named(sim: Simulator) -> None:
    found = await customerio(target_of(sim), CUSTOMERIO_TRACK_API_KEY="wrong")
    assert "CUSTOMERIO_TRACK_API_KEY (secret track-api-key)" in failures(found)["Track API credentials"]
    assert verdicts(found)["App API key"] == "ok"


async def test_a_wrong_app_key_is_named(sim: Simulator) -> None:
    found = await customerio(target_of(sim), CUSTOMERIO_APP_API_KEY=ACCEPTED.track_api_key)
    assert "CUSTOMERIO_APP_API_KEY (secret app-api-key)" in failures(found)["App API key"]
    assert verdicts(found)["Track API credentials"] == "ok"


async def test_a_wrong_region_is_told_with_the_right_one(sim: Simulator) -> None:
    found = await customerio(target_of(sim, CUSTOMERIO_REGION="us"))
    assert list(failures(found)) == ["region"]
    assert "the workspace is in eu, CUSTOMERIO_REGION is us: set it to eu" in failures(found)["region"]


async def test_a_host_that_does_not_answer_is_named(sim: Simulator) -> None:
    found = await customerio(target_of(sim, CUSTOMERIO_TRACK_URL="http://127.0.0.1:9"))
    assert (
        "http://127.0.0.1:9/api/v1/accounts/region does not answer (ConnectError)"
        in failures(found)["Track API credentials"]
    )


async def test_without_keys_their_checks_are_skipped(sim: Simulator) -> None:
    found = await asyncio.to_thread(lambda: list(check_customerio(target_of(sim), {})))
    assert verdicts(found) == {"Track API credentials": "skipped", "App API key": "skipped"}


def changed(machine: Machine, name: str, **fields: Any) -> dict[str, str]:
    """What is found after a subscription was changed."""
    subscription = Subscription(name=f"projects/{machine.project}/subscriptions/{name}", **fields)
    machine.subscriber.update_subscription(
        request={"subscription": subscription, "update_mask": FieldMask(paths=list(fields))}
    )
    return failures(list(check_pubsub(Target(machine.project, "", {}))))


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("cio-send", {"ack_deadline_seconds": 30}, "ack deadline is 30, should be 60"),
        (
            "cio-send",
            {"retry_policy": {"minimum_backoff": timedelta(seconds=1), "maximum_backoff": timedelta(seconds=60)}},
            "minimum backoff is 0:00:01, should be 0:00:02",
        ),
        ("cio-send-retry", {"dead_letter_policy": None}, "dead-letter topic is none, should be"),
        ("cio-send-dead-letter", {"expiration_policy": {"ttl": timedelta(days=31)}}, "it must never expire"),
        ("cio-send-dead-letter", {"message_retention_duration": timedelta(days=1)}, "should be 31 days"),
        (
            "cio-send-dead-letter",
            {"push_config": {"push_endpoint": "http://127.0.0.1:9/"}},
            "push endpoint is http://127.0.0.1:9/, should be none",
        ),
        ("cio-send", {"push_config": {}}, "pushes to no function"),
        ("cio-send-bulk-bell", {"push_config": {}}, "pushes to no function"),
        ("cio-send-bulk-bell", {"message_retention_duration": timedelta(days=7)}, "should be 0:10:00"),
        (
            "cio-send-bulk",
            {"push_config": {"push_endpoint": "http://127.0.0.1:9/"}},
            "push endpoint is http://127.0.0.1:9/, should be none",
        ),
    ],
)
def test_a_subscription_that_is_not_as_the_topology_says_is_named(
    machine: Machine, name: str, fields: dict[str, Any], problem: str
) -> None:
    assert problem in changed(machine, name, **fields)[name]


def test_what_is_missing_is_named(machine: Machine) -> None:
    machine.publisher.delete_topic(topic=f"projects/{machine.project}/topics/cio-track-retry")
    machine.subscriber.delete_subscription(subscription=f"projects/{machine.project}/subscriptions/cio-sync")
    found = failures(list(check_pubsub(Target(machine.project, "", {}))))
    assert "NotFound: run `terraform apply`" in found["topic cio-track-retry"]
    assert "topic is _deleted-topic_" in found["cio-track-retry"]
    assert "NotFound" in found["subscription cio-sync"]


def test_an_environments_names_have_its_prefix(machine: Machine) -> None:
    found = failures(list(check_pubsub(Target(machine.project, "dev-", {}))))
    assert "topic dev-cio-identify" in found
    assert "subscription dev-cio-identify-dead-letter" in found


@pytest.mark.usefixtures("environment")
def test_functions_in_the_cloud_are_not_called() -> None:
    provision("in-the-cloud", dict.fromkeys(topology().functions, "https://identify.example.com/"))
    found = verdicts(list(check_pubsub(Target("in-the-cloud", "", {}))))
    assert found["function identify"] == "skipped"


async def test_missing_tables_and_columns_are_named(
    bigquery_server: str, environment: MutableMapping[str, str]
) -> None:
    environment["BIGQUERY_EMULATOR_HOST"] = bigquery_server
    with closing(bigquery.client(bigquery_server, "demo-project")) as client:
        await asyncio.to_thread(client.create_dataset, "dev_customerio")
        await asyncio.to_thread(client.query_and_wait, "CREATE TABLE dev_customerio.events (event_id STRING)")
    found = failures(
        await asyncio.to_thread(lambda: list(check_warehouse(Target("demo-project", "dev-", environment))))
    )
    assert "has no column action_id, " in found["table dev_customerio.events"]
    assert "does not exist" in found["view dev_customerio.messages"]


async def test_a_webhook_with_another_key_is_told(webhook: RunningFunction) -> None:
    target = Target("demo-project", "", {"CUSTOMERIO_WEBHOOK_URL": webhook.url})
    keys = {"CUSTOMERIO_WEBHOOK_SIGNING_KEY": ("withdrawn",)}
    found = await asyncio.to_thread(lambda: list(check_webhook(target, keys)))
    assert verdicts(found) == {
        "webhook refuses a wrong signature": "ok",
        "webhook accepts a right signature": "failed",
    }
    assert "secret webhook-signing-key" in failures(found)["webhook accepts a right signature"]


async def test_a_webhook_that_takes_everything_is_told(sim: Simulator) -> None:
    target = Target("demo-project", "", {"CUSTOMERIO_WEBHOOK_URL": f"{sim.track_url}/api/v1/metrics"})
    found = await asyncio.to_thread(lambda: list(check_webhook(target, KEYS)))
    assert "must answer 401" in failures(found)["webhook refuses a wrong signature"]


async def test_a_webhook_that_does_not_answer_is_told() -> None:
    target = Target("demo-project", "", {"CUSTOMERIO_WEBHOOK_URL": "http://127.0.0.1:9/"})
    found = await asyncio.to_thread(lambda: list(check_webhook(target, KEYS)))
    assert "no answer (ConnectError)" in failures(found)["webhook accepts a right signature"]


@pytest.fixture
def secret_manager(monkeypatch: pytest.MonkeyPatch) -> Any:
    with running_secret_manager() as manager:
        monkeypatch.setattr(clients, "secret_manager", manager.client)
        yield manager


def in_the_cloud() -> Target:
    return Target("demo-project", "dev-", {})


def test_in_the_cloud_keys_are_read_as_the_functions_read_them(secret_manager: FakeSecretManager) -> None:
    secret = "projects/demo-project/secrets/dev-cio-"
    secret_manager.add(f"{secret}site-id", "site\n")
    secret_manager.add(f"{secret}track-api-key", "old", State.DISABLED)
    secret_manager.add(f"{secret}webhook-signing-key", "one")
    secret_manager.add(f"{secret}webhook-signing-key", "two")
    keys, findings = read_keys(in_the_cloud())
    assert keys == {"CUSTOMERIO_SITE_ID": ("site",), "CUSTOMERIO_WEBHOOK_SIGNING_KEY": ("two", "one")}
    assert [finding.verdict for finding in findings] == ["ok", "failed", "failed", "ok"]
    assert "ops secrets set track-api-key" in findings[1].text
    assert "does not exist" in findings[2].text


def test_secrets_that_the_operator_may_not_read_are_skipped(secret_manager: FakeSecretManager) -> None:
    import grpc  # noqa: PLC0415

    secret_manager.down = grpc.StatusCode.PERMISSION_DENIED
    keys, findings = read_keys(in_the_cloud())
    assert keys == {}
    assert {finding.verdict for finding in findings} == {"skipped"}


def test_services_that_cannot_be_asked_are_named(ops: Ops, environment: MutableMapping[str, str]) -> None:
    environment.update(PUBSUB_EMULATOR_HOST="127.0.0.1:9", GOOGLE_CLOUD_PROJECT="demo-project")
    result = ops("doctor")
    assert "Pub/Sub: at 127.0.0.1:9 does not answer: start the local stack" in result.stdout
    assert "BigQuery: there are no credentials: run `gcloud auth" in result.stdout
    assert result.exit_code == 1


def test_a_key_in_a_variable_comes_before_secret_manager() -> None:
    environment = dict.fromkeys(KEYS, " a , b")
    keys, findings = read_keys(Target("demo-project", "dev-", environment))
    assert (set(keys.values()), findings) == ({("a", "b")}, [])


async def test_a_ledger_that_can_be_written_is_ok_and_keeps_nothing_of_the_probe(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    target = Target("demo-project", "", {"PUBSUB_EMULATOR_HOST": "127.0.0.1:9", "LEDGER": f"sqlite:{file}"})
    for _ in range(2):
        (found,) = await asyncio.to_thread(lambda: list(check_ledger(target)))
        assert found == Finding(f"ledger {file}", "ok", "can be written and read")
    with closing(sqlite3.connect(file)) as ledger:
        assert ledger.execute("SELECT count(*) FROM claims").fetchone() == (0,)


async def test_a_ledger_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"not a database" * 100)
    target = Target("demo-project", "", {"PUBSUB_EMULATOR_HOST": "127.0.0.1:9", "LEDGER": f"sqlite:{file}"})
    (found,) = await asyncio.to_thread(lambda: list(check_ledger(target)))
    assert found.verdict == "failed"
    assert "SQLITE_NOTADB: check its file, its permissions and the free disk space" in found.text


def test_a_ledger_in_the_cloud_that_does_not_answer_is_told(environment: MutableMapping[str, str]) -> None:
    environment["FIRESTORE_EMULATOR_HOST"] = "127.0.0.1:9"
    import google.cloud.firestore  # noqa: PLC0415 - its second is not the ledger's

    assert google.cloud.firestore
    started = time.monotonic()
    (found,) = check_ledger(Target("demo-project", "dev-", {}))
    assert (found.check, found.verdict) == ("ledger dev-cio-ledger", "failed")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("environment", "verdict", "text"),
    [
        ({"PUBSUB_EMULATOR_HOST": "x:1", "RECIPIENTS": '{"everybody": true}'}, "ok", "everybody may be written to"),
        ({"PUBSUB_EMULATOR_HOST": "x:1"}, "ok", "allowed: nobody; broadcasts not allowed"),
        (
            {"PUBSUB_EMULATOR_HOST": "x:1", "RECIPIENTS": '{"ids": ["42"]}'},
            "ok",
            "allowed: ids (1); broadcasts not allowed",
        ),
        ({"PUBSUB_EMULATOR_HOST": "x:1", "RECIPIENTS": '{"id": 1}'}, "failed", "docs/recipients.md"),
        ({}, "skipped", "terraform output recipients"),
    ],
)
def test_who_may_be_written_to_is_told(environment: dict[str, str], verdict: str, text: str) -> None:
    found = check_recipients(Target("p", "", environment))
    assert (found.check, found.verdict) == ("recipients", verdict)
    assert text in found.text


@pytest.mark.parametrize(("free", "verdict"), [(999_999_999, "failed"), (1_000_000_000, "ok")])
def test_a_disk_that_is_nearly_full_is_told(environment: MutableMapping[str, str], free: int, verdict: str) -> None:
    Path(".local").mkdir()
    found = check_disk(Target("p", "", environment), lambda _: free)
    assert (found.check, found.verdict) == ("disk", verdict)
    assert "1.0 GB free for .local" in found.text


async def test_the_functions_log_no_warning_about_the_doctor(machine: Machine, broker: Broker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {
        "GOOGLE_CLOUD_PROJECT": machine.project,
        "PUBSUB_EMULATOR_HOST": broker.host,
        "DEAD_LETTER_TOPIC": f"projects/{machine.project}/topics/cio-track-dead-letter",
        "LEDGER": f"sqlite:{tmp_path / 'ledger.sqlite'}",
        "CONTROL_TOPIC": f"projects/{machine.project}/topics/cio-control",
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "key",
    }
    async with running_function("track", environment, log) as function:
        before = log.read_text().count("WARNING")
        name = f"projects/{machine.project}/subscriptions/cio-track"
        machine.subscriber.modify_push_config(
            request={"subscription": name, "push_config": {"push_endpoint": function.url}}
        )
        name = f"projects/{machine.project}/subscriptions/cio-track-retry"
        machine.subscriber.modify_push_config(
            request={"subscription": name, "push_config": {"push_endpoint": function.url}}
        )
        target = Target(machine.project, "", {"PUBSUB_EMULATOR_HOST": broker.host})
        found = await asyncio.to_thread(lambda: list(check_pubsub(target)))
        assert verdicts(found)["function track"] == "ok"
        assert log.read_text().count("WARNING") == before


@pytest.mark.usefixtures("machine")
def test_all_services_are_asked_at_once(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    both_are_asked = threading.Barrier(2, timeout=10)

    def asked(service: str) -> Callable[..., Iterator[Finding]]:
        def check(*_: object) -> Iterator[Finding]:
            both_are_asked.wait()
            yield Finding(service, "ok", "answers")

        return check

    monkeypatch.setattr("ops.commands.doctor.check_pubsub", asked("Pub/Sub"))
    monkeypatch.setattr("ops.commands.doctor.check_warehouse", asked("BigQuery"))
    result = ops("doctor")
    assert "Pub/Sub: answers" in result.stdout
    assert "BigQuery: answers" in result.stdout
