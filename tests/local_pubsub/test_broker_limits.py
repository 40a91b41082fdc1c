"""Limits and missing features that Google's emulator does not enforce or does have."""

from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, PubsubMessage, ReceivedMessage, SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport

from tests.local_pubsub.broker_helpers import PubSub, RecordingEndpoint, broker_process


@pytest.mark.parametrize(
    "message",
    [
        {"data": b"x", "attributes": {"k" * 257: "v"}},
        {"data": b"x", "attributes": {"é" * 129: "v"}},
        {"data": b"x", "attributes": {"k": "v" * 1025}},
        {"data": b"x", "attributes": {"": "v"}},
        {"data": b"x", "attributes": {"googol": "v"}},
        {"data": b"x", "attributes": {f"k{number}": "v" for number in range(101)}},
        {"data": b"x", "ordering_key": "k" * 1025},
        {"data": b"x" * 10_000_001},
    ],
)
def test_a_message_beyond_a_limit_is_refused(local: PubSub, message: dict[str, Any]) -> None:
    topic = local.topic()

    with pytest.raises(exceptions.InvalidArgument):
        PublisherClient.publish(
            local.publisher, topic=topic, messages=[PubsubMessage(data=b"fine"), PubsubMessage(**message)]
        )


def test_a_message_at_every_limit_is_taken(local: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = local.topic()
    local.push_subscription(topic, endpoint.url)

    local.publish(topic, b"x" * 9_990_000, ordering_key="é" * 512, **{"é" * 128: "é" * 512})

    message = endpoint.next().body["message"]
    assert len(b64decode(message["data"])) == 9_990_000
    assert message["attributes"] == {"é" * 128: "é" * 512}


def test_a_pull_response_stays_below_what_a_client_takes(local: PubSub) -> None:
    topic = local.topic()
    for ordering in (False, True):
        subscription = local.subscription(topic, enable_message_ordering=ordering)
        for _ in range(5):
            local.publish(topic, b"x" * 1_500_000, ordering_key="person")

        received: list[ReceivedMessage] = []
        while len(received) < 5:
            batch = local.pull_once(subscription, wait=5)
            local.ack(subscription, *batch)
            received += batch


@pytest.mark.parametrize("name", ["topic", "projects/p", "projects/p/subscriptions/topic"])
def test_a_topic_name_without_its_project_is_refused(local: PubSub, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        local.publisher.create_topic(name=name)


def test_a_publish_request_has_at_most_1000_messages(local: PubSub) -> None:
    topic = local.topic()

    with pytest.raises(exceptions.InvalidArgument):
        PublisherClient.publish(local.publisher, topic=topic, messages=[PubsubMessage(data=b"x")] * 1001)


@pytest.mark.parametrize("fields", [{"ack_deadline_seconds": 9}, {"ack_deadline_seconds": -1}])
def test_an_ack_deadline_is_at_least_ten_seconds(local: PubSub, fields: dict[str, Any]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        local.subscription(local.topic(), **fields)


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "http://example.com:99999/", "http://example.com/a b", "http:///a"]
)
def test_a_push_endpoint_is_a_url(local: PubSub, url: str) -> None:
    topic = local.topic()

    with pytest.raises(exceptions.InvalidArgument):
        local.push_subscription(topic, url)
    with pytest.raises(exceptions.InvalidArgument):
        local.subscriber.modify_push_config(subscription=local.subscription(topic), push_config={"push_endpoint": url})


@pytest.mark.parametrize(
    "fields",
    [
        {"bigquery_config": {"table": "p.d.t"}},
        {"cloud_storage_config": {"bucket": "bucket"}},
        {"bigtable_config": {"table": "projects/p/instances/i/tables/t"}},
        {"message_transforms": [{"javascript_udf": {"function_name": "f", "code": "code"}}]},
        {"enable_exactly_once_delivery": True},
        {"push_config": {"push_endpoint": "http://127.0.0.1:1", "no_wrapper": {}}},
    ],
)
def test_a_subscription_with_a_feature_that_is_missing_is_refused(local: PubSub, fields: dict[str, Any]) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        local.subscription(local.topic(), **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"schema_settings": {"schema": "projects/p/schemas/s"}},
        {"message_transforms": [{"javascript_udf": {"function_name": "f", "code": "code"}}]},
        {"ingestion_data_source_settings": {"cloud_storage": {"bucket": "bucket"}}},
    ],
)
def test_a_topic_with_a_feature_that_is_missing_is_refused(local: PubSub, fields: dict[str, Any]) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        local.topic(**fields)


def test_a_missing_method_is_named(local: PubSub) -> None:
    subscription = local.subscription(local.topic())
    channel = local.publisher.transport.grpc_channel
    schemas = SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel))
    snapshot = f"projects/{local.project}/snapshots/before"

    def names_it() -> pytest.RaisesExc[exceptions.MethodNotImplemented]:
        return pytest.raises(exceptions.MethodNotImplemented, match="The local broker does not implement")

    with names_it():
        local.subscriber.create_snapshot(name=snapshot, subscription=subscription)
    with names_it():
        local.subscriber.seek(request={"subscription": subscription, "snapshot": snapshot})
    with names_it():
        local.publisher.detach_subscription(request={"subscription": subscription})
    with names_it():
        local.subscriber.get_iam_policy(request={"resource": subscription})
    with names_it():
        schemas.list_schemas(parent=f"projects/{local.project}")


def test_a_listing_comes_in_pages(local: PubSub) -> None:
    topic = local.topic()
    subscriptions = sorted(local.subscription(topic) for _ in range(5))

    pager = local.publisher.list_topic_subscriptions(request={"topic": topic, "page_size": 2})

    assert [list(page.subscriptions) for page in pager.pages] == [
        subscriptions[:2],
        subscriptions[2:4],
        subscriptions[4:],
    ]


def test_a_topic_is_updated(local: PubSub) -> None:
    topic = local.topic(labels={"old": "1"})
    subscription = local.subscription(topic)

    local.publisher.update_topic(
        request={
            "topic": {"name": topic, "labels": {"new": "2"}, "message_retention_duration": timedelta(hours=1)},
            "update_mask": {"paths": ["labels", "message_retention_duration"]},
        }
    )

    assert dict(local.publisher.get_topic(topic=topic).labels) == {"new": "2"}
    found = local.subscriber.get_subscription(subscription=subscription)
    assert found.topic_message_retention_duration == timedelta(hours=1)


def test_an_update_takes_a_policy_away(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(
        topic, retry_policy={}, dead_letter_policy={"dead_letter_topic": topic}, labels={"a": "1"}
    )

    local.subscriber.update_subscription(
        request={
            "subscription": {"name": subscription},
            "update_mask": {"paths": ["retry_policy", "dead_letter_policy", "labels"]},
        }
    )

    found = local.subscriber.get_subscription(subscription=subscription)
    assert "retry_policy" not in found
    assert "dead_letter_policy" not in found
    assert not found.labels


def test_a_publish_beyond_the_memory_limit_is_refused_until_there_is_room() -> None:
    with broker_process("--memory-limit-mib", "1") as small:
        topic = small.topic()
        subscription = small.subscription(topic)
        big = PubsubMessage(data=b"x" * 600_000)
        PublisherClient.publish(small.publisher, topic=topic, messages=[big])

        with pytest.raises(exceptions.ResourceExhausted):
            PublisherClient.publish(small.publisher, topic=topic, messages=[big], retry=None)
        small.ack(subscription, *small.pull(subscription))
        PublisherClient.publish(small.publisher, topic=topic, messages=[big], retry=None)

        assert small.stats(subscription)["backlog"] == 1
