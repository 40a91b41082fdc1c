"""Push behaviour that Google documents and its emulator lacks."""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from google.api_core import exceptions

from tests.local_pubsub.broker_helpers import TIMEOUT_SECONDS, PubSub, Push, RecordingEndpoint


def test_the_body_has_key_and_attempt_and_nothing_empty(local: PubSub, endpoint: RecordingEndpoint) -> None:
    topic, spent = local.topic(), local.topic()
    local.push_subscription(topic, endpoint.url, dead_letter_policy={"dead_letter_topic": spent})

    local.publish(topic, b"x", ordering_key='a"b')
    full = endpoint.next()
    local.publish(topic, b"", only="attribute")
    without_data = endpoint.next()

    assert full.body["deliveryAttempt"] == 1
    assert full.body["message"]["orderingKey"] == 'a"b'
    assert "attributes" not in full.body["message"]
    assert "data" not in without_data.body["message"]
    assert "orderingKey" not in without_data.body["message"]


def test_without_a_dead_letter_policy_there_is_no_attempt(local: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = local.topic()
    local.push_subscription(topic, endpoint.url)

    local.publish(topic)

    assert "deliveryAttempt" not in endpoint.next().body


def test_202_acks(local: PubSub, endpoint: RecordingEndpoint) -> None:
    endpoint.answers(202)
    topic = local.topic()
    subscription = local.push_subscription(topic, endpoint.url)

    local.publish(topic)

    local.wait_for_stats(subscription, acked=1, backlog=0, nacked=0)


@pytest.mark.parametrize("status", [203, 301, 400, 404, 429, 500])
def test_any_other_status_nacks(fast: PubSub, endpoint: RecordingEndpoint, status: int) -> None:
    endpoint.answers(status)
    topic = fast.topic()
    subscription = fast.push_subscription(topic, endpoint.url)

    message_id = fast.publish(topic)

    assert [endpoint.next().message_id for _ in range(2)] == [message_id, message_id]
    assert fast.stats(subscription)["acked"] == 0


def test_hundreds_of_pushes_are_in_flight_at_once(local: PubSub, endpoint: RecordingEndpoint) -> None:
    everyone = threading.Barrier(300)

    def wait_for_the_others(_: Push) -> int:
        everyone.wait(TIMEOUT_SECONDS)
        return 204

    endpoint.answer = wait_for_the_others
    topic = local.topic()
    subscription = local.push_subscription(topic, endpoint.url)

    for _ in range(300):
        local.publisher.publish(topic, b"x")

    local.wait_for_stats(subscription, acked=300)


def test_each_failure_is_retried_after_a_longer_backoff(fast: PubSub, endpoint: RecordingEndpoint) -> None:
    endpoint.answers(503)
    topic = fast.topic()
    subscription = fast.push_subscription(
        topic,
        endpoint.url,
        retry_policy={"minimum_backoff": timedelta(seconds=10), "maximum_backoff": timedelta(seconds=25)},
    )
    fast.publish(topic)

    times = [endpoint.next().at for _ in range(4)]

    waits = [later - earlier for earlier, later in pairwise(times)]
    assert [wait >= least for wait, least in zip(waits, [0.2, 0.4, 0.5], strict=True)] == [True, True, True]
    # The unscaled backoffs would be 10, 20 and 25 s.
    assert sum(waits) < 10
    assert fast.stats(subscription)["backlog"] == 1


def test_an_attempt_is_counted_for_each_failure_until_the_message_is_forwarded(
    fast: PubSub, endpoint: RecordingEndpoint
) -> None:
    endpoint.answers(500)
    topic, spent = fast.topic(), fast.topic()
    dead_letters = fast.subscription(spent)
    subscription = fast.push_subscription(
        topic, endpoint.url, dead_letter_policy={"dead_letter_topic": spent, "max_delivery_attempts": 6}
    )
    fast.publish(topic, b"sick")

    attempts = [endpoint.next().body["deliveryAttempt"] for _ in range(6)]
    message = fast.pull(dead_letters)[0].message

    assert attempts == [1, 2, 3, 4, 5, 6]
    assert message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "6"
    assert fast.stats(subscription).items() >= {"nacked": 6, "forwarded": 1, "backlog": 0}.items()


def test_a_message_whose_dead_letter_topic_is_gone_is_retried_on(fast: PubSub, endpoint: RecordingEndpoint) -> None:
    endpoint.answers(500)
    topic, spent = fast.topic(), fast.topic()
    fast.push_subscription(
        topic, endpoint.url, dead_letter_policy={"dead_letter_topic": spent, "max_delivery_attempts": 5}
    )
    fast.publisher.delete_topic(topic=spent)

    fast.publish(topic)

    assert [endpoint.next().body["deliveryAttempt"] for _ in range(7)] == list(range(1, 8))


def test_a_failing_endpoint_is_asked_less_and_less_often(local: PubSub, endpoint: RecordingEndpoint) -> None:
    endpoint.answers(503)
    topic = local.topic()
    subscription = local.subscription(topic)
    for _ in range(20):
        local.publish(topic)
    local.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})

    times = [endpoint.next().at for _ in range(120)]

    # All at once, then in rounds, each after twice the delay.
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(any(wait >= delay for wait in waits) for delay in (0.1, 0.2, 0.4))
    local.wait_until(subscription, lambda stats: stats["push_backoff_seconds"] >= 0.8)

    endpoint.answers(204)
    local.wait_for_stats(subscription, backlog=0, push_backoff_seconds=0.0)


def test_a_dead_endpoint_gets_its_messages_when_it_is_back(fast: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = fast.topic()
    subscription = fast.push_subscription(topic, "http://127.0.0.1:1/nobody-listens")
    ids = {fast.publish(topic) for _ in range(10)}
    fast.wait_until(subscription, lambda stats: stats["unanswered"] > 0)

    fast.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})

    assert {endpoint.next().message_id for _ in range(10)} == ids
    fast.wait_for_stats(subscription, acked=10, backlog=0, in_flight=0)


def test_an_update_moves_pushes_to_the_new_endpoint(local: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = local.topic()
    subscription = local.push_subscription(topic, "http://127.0.0.1:1/nobody-listens")

    local.subscriber.update_subscription(
        request={
            "subscription": {"name": subscription, "push_config": {"push_endpoint": endpoint.url}},
            "update_mask": {"paths": ["push_config"]},
        }
    )
    message_id = local.publish(topic)

    assert endpoint.next().message_id == message_id


def test_a_deleted_subscription_pushes_nothing_more(local: PubSub, endpoint: RecordingEndpoint) -> None:
    endpoint.answers(500)
    topic = local.topic()
    subscription = local.push_subscription(topic, endpoint.url)
    other = local.push_subscription(topic, endpoint.url)
    local.publish(topic)
    for _ in range(2):
        endpoint.next()

    local.subscriber.delete_subscription(subscription=subscription)
    while not endpoint.pushes.empty():
        endpoint.next()
    later = [endpoint.next().body["subscription"] for _ in range(3)]

    assert later == [other, other, other]


def test_a_push_subscription_cannot_be_pulled_from(local: PubSub, endpoint: RecordingEndpoint) -> None:
    subscription = local.push_subscription(local.topic(), endpoint.url)

    with pytest.raises(exceptions.FailedPrecondition):
        local.subscriber.pull(subscription=subscription, max_messages=1)
