"""Single operations: the broker over gRPC, the broker over REST and Google's emulator have to agree."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.message import Message
from google.pubsub_v1 import PublisherClient

from tests.local_pubsub.broker_helpers import TIMEOUT_SECONDS, PubSub, RecordingEndpoint


def test_a_topic_is_created_found_listed_and_deleted(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    assert pubsub.publisher.get_topic(topic=topic).name == topic
    assert topic in [found.name for found in pubsub.publisher.list_topics(project=f"projects/{pubsub.project}")]

    pubsub.publisher.delete_topic(topic=topic)

    with pytest.raises(exceptions.NotFound):
        pubsub.publisher.get_topic(topic=topic)
    assert topic not in [found.name for found in pubsub.publisher.list_topics(project=f"projects/{pubsub.project}")]


def test_a_name_is_taken_once(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)

    with pytest.raises(exceptions.Conflict):
        pubsub.publisher.create_topic(name=topic)
    with pytest.raises(exceptions.Conflict):
        pubsub.subscriber.create_subscription(name=subscription, topic=topic)


@pytest.mark.parametrize("name", ["projects/p/topics/a", "projects/p/topics/1abc", "projects/p/topics/googabc"])
def test_a_bad_topic_name_is_refused(pubsub: PubSub, name: str) -> None:
    with pytest.raises(exceptions.BadRequest):
        pubsub.publisher.create_topic(name=name)


def test_a_subscription_is_created_found_listed_and_deleted(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)

    found = pubsub.subscriber.get_subscription(subscription=subscription)
    assert (found.name, found.topic) == (subscription, topic)
    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration == timedelta(days=7)
    listed = pubsub.subscriber.list_subscriptions(project=f"projects/{pubsub.project}")
    assert subscription in [entry.name for entry in listed]
    assert list(pubsub.publisher.list_topic_subscriptions(topic=topic)) == [subscription]

    pubsub.subscriber.delete_subscription(subscription=subscription)

    with pytest.raises(exceptions.NotFound):
        pubsub.subscriber.get_subscription(subscription=subscription)
    with pytest.raises(exceptions.NotFound):
        pubsub.subscriber.delete_subscription(subscription=subscription)


def test_a_subscription_keeps_what_it_was_created_with(pubsub: PubSub) -> None:
    topic, spent = pubsub.topic(), pubsub.topic()
    name = pubsub.subscription(
        topic,
        ack_deadline_seconds=60,
        enable_message_ordering=True,
        labels={"lane": "main"},
        message_retention_duration=timedelta(days=2),
        retain_acked_messages=True,
        filter='attributes.kind = "a"',
        retry_policy={"minimum_backoff": timedelta(seconds=20), "maximum_backoff": timedelta(seconds=40)},
        dead_letter_policy={"dead_letter_topic": spent, "max_delivery_attempts": 7},
    )

    found = pubsub.subscriber.get_subscription(subscription=name)

    assert found.ack_deadline_seconds == 60
    assert found.enable_message_ordering
    assert dict(found.labels) == {"lane": "main"}
    assert found.message_retention_duration == timedelta(days=2)
    assert found.retain_acked_messages
    assert found.filter == 'attributes.kind = "a"'
    assert found.retry_policy.minimum_backoff == timedelta(seconds=20)
    assert found.retry_policy.maximum_backoff == timedelta(seconds=40)
    assert found.dead_letter_policy.dead_letter_topic == spent
    assert found.dead_letter_policy.max_delivery_attempts == 7


def test_policies_have_defaults(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    name = pubsub.subscription(topic, retry_policy={}, dead_letter_policy={"dead_letter_topic": topic})

    found = pubsub.subscriber.get_subscription(subscription=name)

    assert found.retry_policy.minimum_backoff == timedelta(seconds=10)
    assert found.retry_policy.maximum_backoff == timedelta(seconds=600)
    assert found.dead_letter_policy.max_delivery_attempts == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"ack_deadline_seconds": 601},
        {"retry_policy": {"minimum_backoff": timedelta(seconds=601)}},
        {"retry_policy": {"maximum_backoff": timedelta(seconds=601)}},
        {"retry_policy": {"minimum_backoff": timedelta(seconds=60), "maximum_backoff": timedelta(seconds=10)}},
        {"message_retention_duration": timedelta(minutes=9)},
        {"message_retention_duration": timedelta(days=32)},
        {"push_config": {"push_endpoint": "ftp://example.com"}},
        {"push_config": {"push_endpoint": "example.com/push"}},
    ],
)
def test_a_subscription_beyond_a_limit_is_refused(pubsub: PubSub, fields: dict[str, Any]) -> None:
    topic = pubsub.topic()

    with pytest.raises(exceptions.BadRequest):
        pubsub.subscription(topic, **fields)


@pytest.mark.parametrize("attempts", [4, 101])
def test_delivery_attempts_beyond_their_limits_are_refused(pubsub: PubSub, attempts: int) -> None:
    topic = pubsub.topic()

    with pytest.raises(exceptions.BadRequest):
        pubsub.subscription(topic, dead_letter_policy={"dead_letter_topic": topic, "max_delivery_attempts": attempts})


def test_a_dead_letter_topic_has_to_exist(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with pytest.raises(exceptions.NotFound):
        pubsub.subscription(topic, dead_letter_policy={"dead_letter_topic": pubsub.topic_path()})


def test_a_subscription_needs_its_topic(pubsub: PubSub) -> None:
    with pytest.raises(exceptions.NotFound):
        pubsub.subscription(pubsub.topic_path())


def test_a_subscription_is_updated_by_mask(pubsub: PubSub) -> None:
    name = pubsub.subscription(pubsub.topic(), ack_deadline_seconds=20)

    pubsub.subscriber.update_subscription(
        request={
            "subscription": {"name": name, "ack_deadline_seconds": 77, "retain_acked_messages": True},
            "update_mask": {"paths": ["ack_deadline_seconds"]},
        }
    )

    found = pubsub.subscriber.get_subscription(subscription=name)
    assert found.ack_deadline_seconds == 77
    assert not found.retain_acked_messages


@pytest.mark.parametrize("paths", [[], ["no_such_field"], ["filter"]])
def test_an_update_of_nothing_that_can_change_is_refused(pubsub: PubSub, paths: list[str]) -> None:
    name = pubsub.subscription(pubsub.topic())

    with pytest.raises(exceptions.BadRequest):
        pubsub.subscriber.update_subscription(
            request={"subscription": {"name": name, "filter": "attributes:a"}, "update_mask": {"paths": paths}}
        )


def test_a_subscription_outlives_its_topic(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"kept")

    pubsub.publisher.delete_topic(topic=topic)

    assert pubsub.subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    assert pubsub.pull(subscription)[0].message.data == b"kept"
    with pytest.raises(exceptions.NotFound):
        pubsub.publish(topic)


def test_every_subscription_gets_the_message_as_it_was_published(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscriptions = [pubsub.subscription(topic) for _ in range(2)]
    before = datetime.now(UTC) - timedelta(seconds=1)

    message_id = pubsub.publish(topic, "naïve ☃".encode(), ordering_key="person", one="1", quoted='"é\n')

    for subscription in subscriptions:
        message = pubsub.pull(subscription)[0].message
        assert message.message_id == message_id
        assert message.data == "naïve ☃".encode()
        assert dict(message.attributes) == {"one": "1", "quoted": '"é\n'}
        assert message.ordering_key == "person"
        assert before < message.publish_time < datetime.now(UTC) + timedelta(seconds=1)


def test_a_message_without_data_needs_an_attribute(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)

    with pytest.raises(exceptions.BadRequest):
        pubsub.publish(topic, b"")
    pubsub.publish(topic, b"", only="attribute")

    assert dict(pubsub.pull(subscription)[0].message.attributes) == {"only": "attribute"}


def test_a_publish_request_needs_a_message(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with pytest.raises(exceptions.BadRequest):
        PublisherClient.publish(pubsub.publisher, topic=topic, messages=[], timeout=TIMEOUT_SECONDS)


def test_an_acked_message_does_not_come_back(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"first")
    first = pubsub.pull(subscription)[0]

    pubsub.ack(subscription, first)
    pubsub.nack(subscription, first)
    pubsub.publish(topic, b"second")

    assert [received.message.data for received in pubsub.pull(subscription)] == [b"second"]
    assert pubsub.pull_once(subscription) == []


def test_a_nacked_message_comes_back(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    message_id = pubsub.publish(topic)
    first = pubsub.pull(subscription)[0]

    pubsub.nack(subscription, first)

    again = pubsub.pull(subscription)[0]
    assert again.message.message_id == message_id
    assert again.ack_id != first.ack_id


def test_a_message_comes_back_when_its_deadline_passes(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, ack_deadline_seconds=600)
    message_id = pubsub.publish(topic)

    pubsub.modify_deadline(subscription, 1, pubsub.pull(subscription)[0])

    assert pubsub.pull(subscription)[0].message.message_id == message_id


def test_an_ack_needs_an_ack_id_of_the_subscription(pubsub: PubSub) -> None:
    subscription = pubsub.subscription(pubsub.topic())

    for ack_ids in ([], ["nonsense"]):
        with pytest.raises(exceptions.BadRequest):
            pubsub.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)
    with pytest.raises(exceptions.NotFound):
        pubsub.subscriber.acknowledge(subscription=pubsub.subscription_path(), ack_ids=["nonsense"])


def test_a_pull_asks_for_at_least_one_message(pubsub: PubSub) -> None:
    subscription = pubsub.subscription(pubsub.topic())

    with pytest.raises(exceptions.BadRequest):
        pubsub.subscriber.pull(subscription=subscription, max_messages=0)
    with pytest.raises(exceptions.NotFound):
        pubsub.subscriber.pull(subscription=pubsub.subscription_path(), max_messages=1)


def test_a_waiting_pull_gets_what_is_published_meanwhile(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    publishing = threading.Timer(0.2, pubsub.publish, (topic, b"late"))
    publishing.start()

    received = pubsub.pull_once(subscription, wait=TIMEOUT_SECONDS)

    publishing.join()
    assert [entry.message.data for entry in received] == [b"late"]


def test_messages_of_a_key_come_in_order(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, enable_message_ordering=True)
    for number in range(20):
        pubsub.publish(topic, b"%d" % number, ordering_key="person")

    numbers: list[int] = []
    while len(numbers) < 20:
        received = pubsub.pull(subscription)
        numbers += [int(entry.message.data) for entry in received]
        pubsub.ack(subscription, *received)

    assert numbers == list(range(20))


def test_a_streaming_pull_gets_everything_once_acked(streaming: PubSub) -> None:
    topic = streaming.topic()
    subscription = streaming.subscription(topic)
    seen: set[bytes] = set()
    complete = threading.Event()

    def take(message: Message) -> None:
        seen.add(message.data)
        message.ack()
        if len(seen) == 200:
            complete.set()

    for number in range(100):
        streaming.publisher.publish(topic, b"%d" % number)
    with streaming.new_subscriber() as subscriber:
        stream = subscriber.subscribe(subscription, callback=take)
        for number in range(100, 200):
            streaming.publisher.publish(topic, b"%d" % number)
        complete.wait(TIMEOUT_SECONDS)
        stream.cancel()
        stream.result(TIMEOUT_SECONDS)

    assert seen == {b"%d" % number for number in range(200)}
    assert streaming.pull_once(subscription) == []


def test_a_streaming_pull_gets_a_nacked_message_again(streaming: PubSub) -> None:
    topic = streaming.topic()
    subscription = streaming.subscription(topic)
    message_id = streaming.publish(topic)
    seen: list[str] = []
    acked = threading.Event()

    def take(message: Message) -> None:
        seen.append(message.message_id)
        if len(seen) == 1:
            message.nack()
        else:
            message.ack()
            acked.set()

    with streaming.new_subscriber() as subscriber:
        stream = subscriber.subscribe(subscription, callback=take)
        acked.wait(TIMEOUT_SECONDS)
        stream.cancel()
        stream.result(TIMEOUT_SECONDS)

    assert seen == [message_id, message_id]


def test_a_push_is_wrapped(pubsub: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url)

    message_id = pubsub.publish(topic, "é".encode(), kind='quo"te')

    push = endpoint.next()
    message = push.body["message"]
    assert push.headers["Content-Type"] == "application/json"
    assert push.body["subscription"] == subscription
    assert message["data"] == "w6k="
    assert message["attributes"] == {"kind": 'quo"te'}
    assert message["messageId"] == message["message_id"] == message_id
    published = datetime.fromisoformat(message["publishTime"])
    assert message["publish_time"] == message["publishTime"]
    assert abs(published - datetime.now(UTC)) < timedelta(seconds=TIMEOUT_SECONDS)


@pytest.mark.parametrize("status", [102, 200, 201, 204])
def test_a_push_is_acked_by_its_status(pubsub: PubSub, endpoint: RecordingEndpoint, status: int) -> None:
    endpoint.answers(status)
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url)

    pubsub.publish(topic)
    endpoint.next()

    # A message that was not acked could be pulled now.
    pubsub.subscriber.modify_push_config(subscription=subscription, push_config={})
    assert pubsub.pull_once(subscription) == []


@pytest.mark.parametrize("status", [302, 503])
def test_a_push_is_sent_again_after_any_other_status(pubsub: PubSub, endpoint: RecordingEndpoint, status: int) -> None:
    endpoint.answers(status)
    topic = pubsub.topic()
    pubsub.push_subscription(topic, endpoint.url)

    message_id = pubsub.publish(topic)

    assert [endpoint.next().message_id for _ in range(2)] == [message_id, message_id]


def test_a_push_subscription_can_become_a_pull_subscription_and_back(
    pubsub: PubSub, endpoint: RecordingEndpoint
) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url)

    pubsub.subscriber.modify_push_config(subscription=subscription, push_config={})
    pubsub.publish(topic, b"pulled")
    received = pubsub.pull(subscription)
    pubsub.ack(subscription, *received)
    pubsub.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})
    message_id = pubsub.publish(topic, b"pushed")

    assert received[0].message.data == b"pulled"
    assert endpoint.next().message_id == message_id
    found = pubsub.subscriber.get_subscription(subscription=subscription)
    assert found.push_config.push_endpoint == endpoint.url


def test_a_message_out_of_attempts_moves_to_the_dead_letter_topic(pubsub: PubSub) -> None:
    topic, spent = pubsub.topic(), pubsub.topic()
    dead_letters = pubsub.subscription(spent)
    subscription = pubsub.subscription(
        topic, dead_letter_policy={"dead_letter_topic": spent, "max_delivery_attempts": 5}
    )
    message_id = pubsub.publish(topic, b"sick", ordering_key="person", job_id="1")
    for _ in range(5):
        received = pubsub.pull(subscription)[0]
        published = received.message.publish_time
        pubsub.nack(subscription, received)

    left = pubsub.pull_once(subscription)
    message = pubsub.pull(dead_letters)[0].message

    assert left == []
    assert (message.data, message.ordering_key) == (b"sick", "person")
    assert message.message_id != message_id
    attributes = dict(message.attributes)
    assert attributes.pop("job_id") == "1"
    source_published = datetime.fromisoformat(attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime"))
    assert source_published == published
    assert attributes == {
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": subscription.rpartition("/")[2],
        "CloudPubSubDeadLetterSourceSubscriptionProject": pubsub.project,
    }


def test_a_seek_into_the_future_acks_everything(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic)

    pubsub.subscriber.seek(request={"subscription": subscription, "time": datetime.now(UTC) + timedelta(minutes=1)})

    assert pubsub.pull_once(subscription) == []


def test_a_seek_back_replays_acked_messages_that_were_retained(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, retain_acked_messages=True)
    pubsub.publish(topic, b"before")
    time.sleep(0.01)  # publish times are milliseconds
    middle = datetime.now(UTC)
    time.sleep(0.01)
    pubsub.publish(topic, b"after")
    pubsub.ack(subscription, *pubsub.pull(subscription, 2))

    pubsub.subscriber.seek(request={"subscription": subscription, "time": middle})

    assert [entry.message.data for entry in pubsub.pull(subscription)] == [b"after"]


def test_a_seek_needs_a_target_and_a_subscription(pubsub: PubSub) -> None:
    with pytest.raises(exceptions.BadRequest):
        pubsub.subscriber.seek(request={"subscription": pubsub.subscription(pubsub.topic())})
    with pytest.raises(exceptions.NotFound):
        pubsub.subscriber.seek(request={"subscription": pubsub.subscription_path(), "time": datetime.now(UTC)})
