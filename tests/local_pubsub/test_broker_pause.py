"""Pausing: an empty push config stops pushing, messages accumulate, and no attempts are spent."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from google.api_core import exceptions

from local.pubsub import Broker
from tests.local_pubsub.broker_helpers import TIMEOUT_SECONDS, PubSub, Push, RecordingEndpoint

type SetPushConfig = Callable[[PubSub, str, dict[str, str]], object]


def by_modify_push_config(pubsub: PubSub, subscription: str, push_config: dict[str, str]) -> object:
    return pubsub.subscriber.modify_push_config(subscription=subscription, push_config=push_config)


def by_update_subscription(pubsub: PubSub, subscription: str, push_config: dict[str, str]) -> object:
    return pubsub.subscriber.update_subscription(
        subscription={"name": subscription, "push_config": push_config}, update_mask={"paths": ["push_config"]}
    )


@pytest.fixture(params=[by_modify_push_config, by_update_subscription])
def set_push_config(request: pytest.FixtureRequest) -> SetPushConfig:
    method: SetPushConfig = request.param
    return method


@pytest.fixture(params=["fast", "fast_rest"])
def pubsub(request: pytest.FixtureRequest) -> PubSub:
    fixture: PubSub = request.getfixturevalue(request.param)
    return fixture


def attempts(endpoint: RecordingEndpoint) -> list[int]:
    return [push.body["deliveryAttempt"] for push in list(endpoint.pushes.queue)]


def test_a_paused_subscription_keeps_its_messages_and_spends_no_attempts(
    pubsub: PubSub, endpoint: RecordingEndpoint, set_push_config: SetPushConfig
) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(
        topic, endpoint.url, dead_letter_policy={"dead_letter_topic": pubsub.topic(), "max_delivery_attempts": 5}
    )
    set_push_config(pubsub, subscription, {})

    published = {pubsub.publish(topic, b"%d" % number) for number in range(20)}
    paused = pubsub.stats(subscription)
    pushed_while_paused = endpoint.pushes.qsize()
    set_push_config(pubsub, subscription, {"push_endpoint": endpoint.url})
    resumed = pubsub.wait_for_stats(subscription, backlog=0)

    assert (paused["backlog"], paused["delivered"], paused["in_flight"], pushed_while_paused) == (20, 0, 0, 0)
    assert (resumed["delivered"], resumed["acked"], resumed["forwarded"]) == (20, 20, 0)
    assert attempts(endpoint) == [1] * 20
    assert {push.message_id for push in list(endpoint.pushes.queue)} == published


@pytest.mark.parametrize("status", [204, 503])
def test_a_push_in_flight_when_the_pause_begins_counts_once(
    pubsub: PubSub, endpoint: RecordingEndpoint, set_push_config: SetPushConfig, status: int
) -> None:
    topic = pubsub.topic()
    in_flight, answer = threading.Event(), threading.Event()

    def answer_late(_: Push) -> int:
        in_flight.set()
        answer.wait(TIMEOUT_SECONDS)
        return status

    endpoint.answer = answer_late
    subscription = pubsub.push_subscription(
        topic,
        endpoint.url,
        ack_deadline_seconds=60,
        dead_letter_policy={"dead_letter_topic": pubsub.topic(), "max_delivery_attempts": 5},
    )
    pubsub.publish(topic)
    assert in_flight.wait(TIMEOUT_SECONDS)

    set_push_config(pubsub, subscription, {})
    answer.set()
    paused = pubsub.wait_for_stats(subscription, in_flight=0)
    endpoint.answers(204)
    set_push_config(pubsub, subscription, {"push_endpoint": endpoint.url})
    resumed = pubsub.wait_for_stats(subscription, backlog=0)

    if status == 204:
        assert (paused["acked"], paused["backlog"]) == (1, 0)
        assert (resumed["delivered"], attempts(endpoint)) == (1, [1])
    else:
        assert (paused["nacked"], paused["backlog"], paused["delivered"]) == (1, 1, 1)
        assert (resumed["delivered"], resumed["acked"], attempts(endpoint)) == (2, 1, [1, 2])


def test_a_push_in_flight_is_not_sent_again_by_a_pause_that_ends_before_its_answer(
    pubsub: PubSub, endpoint: RecordingEndpoint, set_push_config: SetPushConfig
) -> None:
    topic = pubsub.topic()
    in_flight, answer = threading.Event(), threading.Event()

    def answer_late(_: Push) -> int:
        in_flight.set()
        answer.wait(TIMEOUT_SECONDS)
        return 204

    endpoint.answer = answer_late
    subscription = pubsub.push_subscription(topic, endpoint.url, ack_deadline_seconds=60)
    first = pubsub.publish(topic)
    assert in_flight.wait(TIMEOUT_SECONDS)

    set_push_config(pubsub, subscription, {})
    set_push_config(pubsub, subscription, {"push_endpoint": endpoint.url})
    second = pubsub.publish(topic)
    assert [endpoint.next().message_id, endpoint.next().message_id] == [first, second]
    answer.set()

    assert pubsub.wait_for_stats(subscription, backlog=0)["delivered"] == 2


def test_a_failing_message_keeps_its_attempts_over_a_pause(
    pubsub: PubSub, endpoint: RecordingEndpoint, set_push_config: SetPushConfig
) -> None:
    topic = pubsub.topic()
    endpoint.answers(503)
    subscription = pubsub.push_subscription(
        topic,
        endpoint.url,
        retry_policy={"minimum_backoff": "10s", "maximum_backoff": "10s"},
        dead_letter_policy={"dead_letter_topic": pubsub.topic(), "max_delivery_attempts": 5},
    )
    pubsub.publish(topic)
    for _ in range(2):
        endpoint.next()
    set_push_config(pubsub, subscription, {})
    paused = pubsub.wait_for_stats(subscription, in_flight=0)

    set_push_config(pubsub, subscription, {"push_endpoint": endpoint.url})
    done = pubsub.wait_for_stats(subscription, backlog=0)

    assert paused["forwarded"] == 0
    assert (done["forwarded"], done["nacked"]) == (1, 5)
    assert attempts(endpoint) == list(range(3, 6))


def test_a_pause_keeps_the_order_of_a_key(
    pubsub: PubSub, endpoint: RecordingEndpoint, set_push_config: SetPushConfig
) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url, enable_message_ordering=True)
    published = []
    for number in range(30):
        if number % 10 == 5:
            set_push_config(pubsub, subscription, {} if number != 15 else {"push_endpoint": endpoint.url})
        published.append(pubsub.publish(topic, ordering_key="person"))
    set_push_config(pubsub, subscription, {"push_endpoint": endpoint.url})
    pubsub.wait_for_stats(subscription, backlog=0)

    assert [push.message_id for push in list(endpoint.pushes.queue)] == published


def test_a_push_config_without_an_endpoint_pauses_whatever_else_it_has(
    pubsub: PubSub, endpoint: RecordingEndpoint
) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url)

    pubsub.subscriber.modify_push_config(
        subscription=subscription, push_config={"attributes": {"x-goog-version": "v1"}}
    )
    pubsub.publish(topic)

    assert pubsub.stats(subscription).items() >= {"backlog": 1, "delivered": 0}.items()
    assert endpoint.pushes.empty()


def test_labels_are_kept_and_updated_by_mask(pubsub: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url, labels={"lane": "main", "paused": "no"})

    def labels() -> dict[str, str]:
        found = pubsub.subscriber.get_subscription(subscription=subscription)
        assert found.push_config.push_endpoint == endpoint.url
        return dict(found.labels)

    def update(wanted: dict[str, str], *paths: str) -> None:
        pubsub.subscriber.update_subscription(
            subscription={"name": subscription, "labels": wanted}, update_mask={"paths": list(paths)}
        )

    assert labels() == {"lane": "main", "paused": "no"}
    update({"paused": "by_operator"}, "labels")
    assert labels() == {"paused": "by_operator"}
    update({"ignored": "yes"}, "ack_deadline_seconds")
    assert labels() == {"paused": "by_operator"}
    update({}, "labels")
    assert labels() == {}


def test_a_pause_and_its_reason_are_one_update(pubsub: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = pubsub.topic()
    subscription = pubsub.push_subscription(topic, endpoint.url, labels={"lane": "main"})

    pubsub.subscriber.update_subscription(
        subscription={"name": subscription, "labels": {"lane": "main", "paused": "quota"}},
        update_mask={"paths": ["push_config", "labels"]},
    )

    found = pubsub.subscriber.get_subscription(subscription=subscription)
    assert found.push_config.push_endpoint == ""
    assert dict(found.labels) == {"lane": "main", "paused": "quota"}
    with pytest.raises(exceptions.BadRequest):
        pubsub.subscriber.update_subscription(
            subscription={"name": subscription}, update_mask={"paths": ["push_config.no_such_field"]}
        )


async def test_a_broker_that_closes_cuts_off_pushes_of_paused_subscriptions() -> None:
    received, closed = asyncio.Event(), asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.set()
        with suppress(ConnectionResetError):
            await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    topic, subscription = "projects/p/topics/orders", "projects/p/subscriptions/orders"
    push_config = {"pushEndpoint": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    async with Broker() as broker, httpx.AsyncClient(base_url=f"http://{broker.host}/v1/") as client:
        await client.put(topic)
        await client.put(subscription, json={"topic": topic, "ackDeadlineSeconds": 600, "pushConfig": push_config})
        await client.post(f"{topic}:publish", json={"messages": [{"data": "eA=="}]})
        await asyncio.wait_for(received.wait(), TIMEOUT_SECONDS)
        await client.post(f"{subscription}:modifyPushConfig", json={"pushConfig": {}})
        assert not closed.is_set()

    await asyncio.wait_for(closed.wait(), TIMEOUT_SECONDS)
    server.close()
    await server.wait_closed()
