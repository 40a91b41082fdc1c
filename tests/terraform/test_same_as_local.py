"""What Terraform applies is what the local stack creates from the same files, the environment's prefix aside."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
from google.cloud import bigquery as google_bigquery
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from local import bigquery
from local.pubsub.broker import Broker
from local.stack.options import Options
from local.stack.parts import plan
from local.stack.provision import provision
from shared import push_targets
from shared.topology import topology
from tests.terraform.applied import Applied, Values, short

_PREFIX = "prod-"
_PROJECT = "customerio-local"
_DATASET = "customerio"


@pytest.fixture
async def provisioned(monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], dict[str, Values]]:
    """Topics and subscriptions that the stack makes in an empty broker."""
    async with Broker(host="127.0.0.1", port=0, admin_port=0) as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.host)
        endpoints = {name: f"http://127.0.0.1:9/{name}" for name in topology().functions}
        await asyncio.to_thread(provision, _PROJECT, endpoints)
        return await asyncio.to_thread(_listed)


def _listed() -> tuple[set[str], dict[str, Values]]:
    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        topics = {short(topic.name) for topic in publisher.list_topics(project=f"projects/{_PROJECT}")}
        found = subscriber.list_subscriptions(project=f"projects/{_PROJECT}")
        return topics, {short(subscription.name): _local(subscription) for subscription in found}


def _local(subscription: Any) -> Values:
    pushed = bool(subscription.push_config.push_endpoint)
    return {
        "topic": short(subscription.topic),
        "function": short(subscription.push_config.push_endpoint) if pushed else None,
        "ack deadline": subscription.ack_deadline_seconds,
        "ordered": subscription.enable_message_ordering,
        "filter": subscription.filter,
        "kept": subscription.message_retention_duration,
        "expires": bool(subscription.expiration_policy.ttl),
        "backoff": (subscription.retry_policy.minimum_backoff, subscription.retry_policy.maximum_backoff)
        if "retry_policy" in subscription
        else None,
        "forwards to": short(subscription.dead_letter_policy.dead_letter_topic),
        "attempts": subscription.dead_letter_policy.max_delivery_attempts,
    }


def _applied(subscription: Values, function_at: Callable[[str], str]) -> Values:
    push = subscription["push_config"]
    retry = subscription["retry_policy"]
    dead = subscription["dead_letter_policy"]
    return {
        "topic": short(subscription["topic"]).removeprefix(_PREFIX),
        "function": function_at(push[0]["push_endpoint"]) if push else None,
        "ack deadline": subscription["ack_deadline_seconds"],
        "ordered": bool(subscription["enable_message_ordering"]),
        "filter": subscription["filter"] or "",
        "kept": _seconds(subscription["message_retention_duration"]),
        "expires": subscription["expiration_policy"][0]["ttl"] != "",
        "backoff": (_seconds(retry[0]["minimum_backoff"]), _seconds(retry[0]["maximum_backoff"])) if retry else None,
        "forwards to": short(dead[0]["dead_letter_topic"]).removeprefix(_PREFIX) if dead else "",
        "attempts": dead[0]["max_delivery_attempts"] if dead else 0,
    }


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=int(text.removesuffix("s")))


def _of_the_product(name: str) -> bool:
    """Not a consumer of the company's own, nor the reminders of secrets."""
    consumers = ("prod-cio-events-crm", "prod-cio-events-fraud", "prod-cio-outcomes-shop")
    return not name.startswith((*consumers, "prod-cio-secret-rotation"))


async def test_topics_and_subscriptions(prod: Applied, provisioned: tuple[set[str], dict[str, Values]]) -> None:
    topics, subscriptions = provisioned
    by_uri = {function.settings["uri"]: function.name for function in prod.functions.values()}

    assert {
        topic["name"].removeprefix(_PREFIX)
        for topic in prod.of("google_pubsub_topic")
        if _of_the_product(topic["name"])
    } == topics
    assert {
        name.removeprefix(_PREFIX): _applied(values, by_uri.__getitem__)
        for name, values in prod.subscriptions.items()
        if _of_the_product(name)
    } == subscriptions


def test_push_targets(prod: Applied, tmp_path: Path) -> None:
    """Control is told of the same subscriptions, and of each one that is there and pushes a kind of job."""
    stack = plan({}, tmp_path, Options(port_base=0))
    local = push_targets.decode(
        next(part for part in stack.functions if part.name == "control").environment["PUSH_TARGETS"]
    )
    applied = push_targets.decode(prod.functions["control"].variables["PUSH_TARGETS"])
    uris = {prod.functions[topology().topics[kind].function].settings["uri"] for kind in local}

    assert {
        kind: [short(name).removeprefix(_PREFIX) for name in target.subscriptions] for kind, target in applied.items()
    } == {kind: [short(name) for name in target.subscriptions] for kind, target in local.items()}
    assert {short(name) for target in applied.values() for name in target.subscriptions} == {
        name
        for name, subscription in prod.subscriptions.items()
        if subscription["push_config"] and subscription["push_config"][0]["push_endpoint"] in uris
    }


@pytest.fixture
def created() -> dict[str, google_bigquery.Table]:
    """Tables and views that the stack asks BigQuery to create, by name."""
    client = create_autospec(google_bigquery.Client, instance=True)
    client.project = _PROJECT
    client.schema_from_json = bigquery.client("http://127.0.0.1:9", _PROJECT).schema_from_json
    bigquery.create_tables(client, _DATASET)
    tables = [call.args[0] for call in client.create_table.call_args_list]
    return {table.table_id: table for table in tables}


def test_tables_and_views(prod: Applied, created: dict[str, google_bigquery.Table]) -> None:
    applied = {table["table_id"]: table for table in prod.of("google_bigquery_table")}

    assert {name: _table_of_terraform(table) for name, table in applied.items()} == {
        name: _table_of_stack(table) for name, table in created.items()
    }


def _table_of_terraform(table: Values) -> Values:
    view = table["view"]
    partitions = table["time_partitioning"]
    return {
        "description": table["description"],
        "query": view[0]["query"].replace("acme-customerio-prod", _PROJECT).replace("prod_customerio", _DATASET)
        if view
        else None,
        "schema": _columns(json.loads(table["schema"])),
        "partitions": (partitions[0]["type"], partitions[0]["field"]) if partitions else None,
        "clustering": table["clustering"],
        "partition filter": bool(table["require_partition_filter"]),
    }


def _table_of_stack(table: google_bigquery.Table) -> Values:
    partitions = table.time_partitioning
    return {
        "description": table.description,
        "query": table.view_query,
        "schema": _columns([column.to_api_repr() for column in table.schema]),
        "partitions": (partitions.type_, partitions.field) if partitions else None,
        "clustering": table.clustering_fields,
        "partition filter": bool(table.require_partition_filter),
    }


def _columns(schema: list[dict[str, Any]]) -> list[Any]:
    return [
        (
            column["name"],
            column["type"],
            column.get("mode", "NULLABLE"),
            column["description"],
            _columns(column.get("fields", [])),
        )
        for column in schema
    ]
