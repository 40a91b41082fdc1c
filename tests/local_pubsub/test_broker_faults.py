import time

import httpx
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, PubsubMessage

from local.pubsub.faults import Fault, Faults
from tests.local_pubsub.broker_helpers import PubSub, RecordingEndpoint


def test_duplicate_delivers_an_acked_message_once_more(local: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = local.topic()
    subscription = local.push_subscription(topic, endpoint.url)
    with local.faults({"kind": "duplicate", "subscription": subscription}):
        message_id = local.publish(topic)
        pushed = [endpoint.next().message_id for _ in range(2)]
        stats = local.wait_for_stats(subscription, backlog=0)

    assert pushed == [message_id, message_id]
    assert (stats["delivered"], stats["acked"]) == (2, 2)


def test_duplicate_delivers_a_pulled_message_once_more_too(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic, enable_message_ordering=True)
    with local.faults({"kind": "duplicate"}):
        for number in range(2):
            local.publish(topic, b"%d" % number, ordering_key="person")
        local.ack(subscription, *local.pull(subscription, 2))
        again = local.pull(subscription, 2)
        local.ack(subscription, *again)

    assert [entry.message.data for entry in again] == [b"0", b"1"]


def test_drop_ack_loses_acks_and_counts_an_attempt(fast: PubSub, endpoint: RecordingEndpoint) -> None:
    topic, spent = fast.topic(), fast.topic()
    subscription = fast.push_subscription(topic, endpoint.url, dead_letter_policy={"dead_letter_topic": spent})
    with fast.faults({"kind": "drop_ack", "topic": topic}):
        fast.publish(topic)
        stats = fast.wait_for_stats(subscription, forwarded=1)

    assert [endpoint.next().body["deliveryAttempt"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert (stats["unanswered"], stats["acked"], stats["push_backoff_seconds"]) == (5, 0, 0)


def test_delay_holds_a_message_back_for_real_seconds(fast: PubSub) -> None:
    topic = fast.topic()
    subscription = fast.subscription(topic)
    published = time.monotonic()
    with fast.faults({"kind": "delay", "seconds": 1}):
        fast.publish(topic, b"delayed")

    assert [entry.message.data for entry in fast.pull(subscription)] == [b"delayed"]
    assert time.monotonic() - published >= 1


def test_a_message_published_after_the_delay_is_turned_off_overtakes(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    with local.faults({"kind": "delay", "seconds": 600}):
        local.publish(topic, b"delayed")
    local.publish(topic, b"prompt")

    assert [entry.message.data for entry in local.pull(subscription)] == [b"prompt"]
    assert local.stats(subscription).items() >= {"backlog": 2, "delivered": 1}.items()


def test_delay_does_not_change_the_order_of_a_key(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic, enable_message_ordering=True)
    with local.faults({"kind": "delay", "seconds": 0.3}):
        local.publish(topic, b"delayed", ordering_key="person")
    local.publish(topic, b"later", ordering_key="person")

    assert [entry.message.data for entry in local.pull(subscription, 2)] == [b"delayed", b"later"]


def test_reorder_lets_the_next_message_overtake(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    with local.faults({"kind": "reorder"}):
        local.publish(topic, b"first")
    local.publish(topic, b"second")

    assert [entry.message.data for entry in local.pull(subscription, 2)] == [b"second", b"first"]


def test_reorder_holds_a_lone_message_for_a_second_only(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    with local.faults({"kind": "reorder"}):
        local.publish(topic, b"alone")

    assert [entry.message.data for entry in local.pull(subscription)] == [b"alone"]
    local.wait_for_stats(subscription, delivered=1)


def test_reorder_never_touches_the_order_of_a_key(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic, enable_message_ordering=True)
    with local.faults({"kind": "reorder"}):
        for number in range(2):
            local.publish(topic, b"%d" % number, ordering_key="person")

    assert [entry.message.data for entry in local.pull(subscription, 2)] == [b"0", b"1"]


def test_refuse_publish_answers_unavailable_and_keeps_nothing(local: PubSub) -> None:
    topic, other = local.topic(), local.topic()
    subscription = local.subscription(topic)
    with local.faults({"kind": "refuse_publish", "topic": topic.rpartition("/")[2]}):
        with pytest.raises(exceptions.ServiceUnavailable):
            PublisherClient.publish(local.publisher, topic=topic, messages=[PubsubMessage(data=b"x")], retry=None)
        local.publish(other)
        report = httpx.get(f"{local.admin_url}/_broker/faults").json()

    assert report["faults"][0]["injected"] == 1
    assert local.stats(subscription)["backlog"] == 0


def test_a_share_and_a_seed_decide_what_is_injected() -> None:
    def injections(seed: int) -> list[bool]:
        faults = Faults()
        faults.replace([Fault(kind="duplicate", share=0.3, seed=seed)])
        return [faults.draw("duplicate", topic="t", subscription="s") is not None for _ in range(1000)]

    assert injections(7) == injections(7)
    assert injections(7) != injections(8)
    assert 250 < sum(injections(7)) < 350


def test_a_fault_concerns_what_it_names() -> None:
    faults = Faults()
    faults.replace([Fault(kind="delay", subscription="orders", topic="projects/p/topics/shop")])

    def applies(topic: str, subscription: str) -> bool:
        return faults.draw("delay", topic=topic, subscription=subscription) is not None

    assert applies("projects/p/topics/shop", "projects/p/subscriptions/orders")
    assert not applies("projects/p/topics/shop", "projects/p/subscriptions/more-orders")
    assert not applies("projects/q/topics/shop", "projects/p/subscriptions/orders")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"faults": [{"kind": "explode"}]}',
        b'{"faults": [{"kind": "delay", "share": 2}]}',
        b'{"faults": [{"kind": "delay", "seconds": -1}]}',
        b'{"faults": [{"kind": "delay", "secnds": 1}]}',
        b'{"faults": [{"kind": "refuse_publish", "subscription": "orders"}]}',
    ],
)
def test_a_bad_fault_is_refused_and_changes_nothing(local: PubSub, body: bytes) -> None:
    url = f"{local.admin_url}/_broker/faults"
    with local.faults({"kind": "delay", "topic": "no-such-topic"}):
        before = httpx.get(url).json()

        assert httpx.put(url, content=body).status_code == 400
        assert httpx.get(url).json() == before
    assert httpx.get(url).json() == {"faults": []}
