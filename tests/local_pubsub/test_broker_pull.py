"""Pull details that Google documents and its emulator does not show."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types

from tests.local_pubsub.broker_helpers import TIMEOUT_SECONDS, PubSub


class Stream:
    """A streaming pull, request by request."""

    def __init__(self, pubsub: PubSub, **first: Any) -> None:
        self._requests: queue.Queue[types.StreamingPullRequest | None] = queue.Queue()
        self.send(**first)
        self._responses = iter(pubsub.subscriber.streaming_pull(requests=self._sent()))

    def send(self, **fields: Any) -> None:
        self._requests.put(types.StreamingPullRequest(**fields))

    def receive(self, count: int) -> list[types.ReceivedMessage]:
        received: list[types.ReceivedMessage] = []
        while len(received) < count:
            received += next(self._responses).received_messages
        return received

    def end(self) -> list[types.StreamingPullResponse]:
        """End the client's side, and return the responses that still arrive."""
        self._requests.put(None)
        return list(self._responses)

    def _sent(self) -> Iterator[types.StreamingPullRequest]:
        while (request := self._requests.get()) is not None:
            yield request


def test_a_stream_holds_no_more_than_its_limit(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    for number in range(5):
        local.publish(topic, b"%d" % number)
    stream = Stream(local, subscription=subscription, stream_ack_deadline_seconds=60, max_outstanding_messages=2)

    first = stream.receive(2)
    assert local.stats(subscription)["in_flight"] == 2
    stream.send(ack_ids=[first[0].ack_id])
    second = stream.receive(1)
    local.ack(subscription, first[1], *second)
    third = stream.receive(2)
    rest = stream.end()

    assert [entry.message.data for entry in [*first, *second, *third]] == [b"0", b"1", b"2", b"3", b"4"]
    assert rest == []
    assert local.stats(subscription).items() >= {"acked": 3, "in_flight": 2}.items()


def test_a_stream_holds_no_more_bytes_than_its_limit(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    for _ in range(3):
        local.publish(topic, b"x" * 600)
    stream = Stream(local, subscription=subscription, stream_ack_deadline_seconds=60, max_outstanding_bytes=1000)

    assert len(stream.receive(2)) == 2
    assert local.stats(subscription).items() >= {"in_flight": 2, "backlog": 3}.items()
    stream.end()


def test_a_stream_can_nack_and_shorten_deadlines(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    message_id = local.publish(topic)
    stream = Stream(local, subscription=subscription, stream_ack_deadline_seconds=60)

    for seconds in (0, 1):
        received = stream.receive(1)[0]
        stream.send(modify_deadline_ack_ids=[received.ack_id], modify_deadline_seconds=[seconds])

    assert stream.receive(1)[0].message.message_id == message_id
    assert local.stats(subscription).items() >= {"nacked": 1, "unanswered": 1}.items()
    stream.end()


@pytest.mark.parametrize(
    "request_",
    [
        {"ack_ids": ["nonsense"]},
        {"stream_ack_deadline_seconds": 5},
        {"modify_deadline_seconds": [10]},
    ],
)
def test_a_bad_request_ends_the_stream(local: PubSub, request_: dict[str, Any]) -> None:
    subscription = local.subscription(local.topic())
    stream = Stream(local, subscription=subscription, stream_ack_deadline_seconds=60)

    stream.send(**request_)

    with pytest.raises(exceptions.InvalidArgument):
        stream.receive(1)


def test_a_stream_ends_with_its_subscription(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)
    local.publish(topic)
    stream = Stream(local, subscription=subscription, stream_ack_deadline_seconds=60)
    stream.receive(1)

    local.subscriber.delete_subscription(subscription=subscription)

    with pytest.raises(exceptions.NotFound):
        stream.receive(1)


def test_a_waiting_pull_ends_with_its_subscription(local: PubSub) -> None:
    subscription = local.subscription(local.topic())
    deleting = threading.Timer(0.1, local.subscriber.delete_subscription, kwargs={"subscription": subscription})
    deleting.start()

    with pytest.raises(exceptions.NotFound):
        local.subscriber.pull(subscription=subscription, max_messages=1, timeout=TIMEOUT_SECONDS)
    deleting.join()


def test_an_empty_pull_answers_before_its_client_gives_up(local: PubSub) -> None:
    subscription = local.subscription(local.topic())

    response = local.subscriber.pull(subscription=subscription, max_messages=1, timeout=0.5, retry=None)

    assert list(response.received_messages) == []


def test_a_pulled_message_tells_its_attempt(local: PubSub) -> None:
    topic = local.topic()
    plain = local.subscription(topic)
    counted = local.subscription(topic, dead_letter_policy={"dead_letter_topic": topic})
    local.publish(topic)

    attempts = []
    for _ in range(3):
        received = local.pull(counted)[0]
        attempts.append(received.delivery_attempt)
        local.nack(counted, received)

    assert attempts == [1, 2, 3]
    assert local.pull(plain)[0].delivery_attempt == 0


def test_the_time_scale_leaves_ack_deadlines_alone(fast: PubSub) -> None:
    topic = fast.topic()
    subscription = fast.subscription(topic, ack_deadline_seconds=10)
    fast.publish(topic)
    fast.pull(subscription)

    # If the time scale divided the deadline, it would have been 0.2 s.
    assert fast.pull_once(subscription, wait=1) == []
