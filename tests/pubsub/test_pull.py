"""The pull subscription of the drain, with Google's client on the local broker."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared import deadlines
from shared.pubsub.pull import PullError, SubscriptionPuller
from tests.local_pubsub.broker_helpers import PubSub, broker_process


@pytest.fixture(scope="module")
def broker() -> Iterator[PubSub]:
    with broker_process("--time-scale", "100") as running:
        yield running


def opened(broker: PubSub, path: str, bell: str = "") -> SubscriptionPuller:
    return SubscriptionPuller(path, bell or path, client=lambda: broker.subscriber)


def subscription(broker: PubSub, topic: str) -> str:
    policy = {"dead_letter_topic": topic, "max_delivery_attempts": 100}
    return broker.subscription(topic, dead_letter_policy=policy, retry_policy={"minimum_backoff": timedelta(seconds=5)})


async def test_a_pulled_message_is_read_as_a_pushed_one_and_acknowledged(broker: PubSub) -> None:
    topic = broker.topic()
    path = subscription(broker, topic)
    puller = opened(broker, path)
    message_id = broker.publish(topic, b'{"to": "a"}', priority="bulk", channel="sms")
    deadline = time.monotonic() + 9
    [received] = await puller.pull(10, deadline=deadline)
    message = received.message
    assert (message.key, message.is_named, message.message_id) == (message_id, False, message_id)
    assert (message.data, message.attributes) == (b'{"to": "a"}', {"priority": "bulk", "channel": "sms"})
    assert (message.subscription, message.attempt, message.deadline) == (path.rpartition("/")[2], 1, deadline)
    assert abs(datetime.now(UTC) - message.first_published_at) < timedelta(seconds=60)
    await puller.acknowledge([received.ack_id])
    assert broker.stats(path)["backlog"] == 0


async def test_what_is_given_back_comes_again_as_the_next_attempt(broker: PubSub) -> None:
    topic = broker.topic()
    puller = opened(broker, subscription(broker, topic))
    broker.publish(topic, b"{}", job_id="named")
    [received] = await puller.pull(10, deadline=0)
    await puller.give_back([received.ack_id])
    [again] = await puller.pull(10, deadline=0)
    assert (again.message.key, again.message.is_named, again.message.attempt) == ("named", True, 2)


async def test_a_pull_brings_no_more_than_it_asked_for(broker: PubSub) -> None:
    topic = broker.topic()
    puller = opened(broker, subscription(broker, topic))
    for _ in range(5):
        broker.publish(topic)
    assert len(await puller.pull(3, deadline=0)) == 3
    assert len(await puller.pull(3, deadline=0)) == 2


async def test_an_empty_lane_is_known_after_the_wait(broker: PubSub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "EMPTY_PULL_SECONDS", 0.3)
    puller = opened(broker, subscription(broker, broker.topic()))
    started = time.monotonic()
    assert await puller.pull(3, deadline=0) == []
    assert time.monotonic() - started >= 0.2


async def test_a_missing_subscription_is_named_for_each_call(broker: PubSub) -> None:
    path = f"projects/{broker.project}/subscriptions/missing"
    puller = opened(broker, path)
    for call in (puller.pull(1, deadline=0), puller.acknowledge(["a"]), puller.give_back(["a"]), puller.forget_rings()):
        with pytest.raises(PullError, match=f"{path}: NotFound"):
            await call


async def test_waiting_pulls_and_acknowledgements_do_not_wait_for_each_other(broker: PubSub) -> None:
    topic = broker.topic()
    path = subscription(broker, topic)
    puller = opened(broker, path)
    broker.publish(topic)
    [received] = await puller.pull(1, deadline=0)
    waiting = asyncio.create_task(puller.pull(1, deadline=0))
    await puller.acknowledge([received.ack_id])
    assert not waiting.done()
    broker.publish(topic)
    assert len(await waiting) == 1


async def test_rings_are_forgotten_and_no_job_is(broker: PubSub) -> None:
    topic = broker.topic()
    lane, bell = subscription(broker, topic), broker.subscription(topic)
    for _ in range(3):
        broker.publish(topic)
    await asyncio.sleep(2 * deadlines.RING_KEPT_SECONDS)  # the youngest are kept
    await opened(broker, lane, bell).forget_rings()
    assert (broker.stats(bell)["backlog"], broker.stats(lane)["backlog"]) == (0, 3)
