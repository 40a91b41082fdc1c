from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from local.pubsub.messages import Message, PublishTime, UnackedMessage
from local.pubsub.queues import OrderedQueue
from tests.local_pubsub.broker_helpers import PubSub, Push, RecordingEndpoint

PLENTY = 1_000_000


def unacked(sequence: int, key: str) -> UnackedMessage:
    message = Message(
        message_id=str(sequence), data=b"x", attributes={}, ordering_key=key, published=PublishTime(sequence)
    )
    return UnackedMessage(message, sequence)


@settings(deadline=None)  # a busy machine is not a failure
@given(st.lists(st.sampled_from(["a", "b", ""]), max_size=12), st.integers(1, 3), st.data())
def test_a_key_is_finished_in_order_whatever_fails(keys: list[str], per_key: int, data: st.DataObject) -> None:
    """Acks, nacks and removes outstanding messages at random: all are finished, those of a key in order."""
    queue = OrderedQueue()
    for sequence, key in enumerate(keys):
        queue.add(unacked(sequence, key))
    outstanding: list[UnackedMessage] = []
    finished: list[UnackedMessage] = []
    failures_left = 20

    while len(finished) < len(keys):
        outstanding += queue.take(data.draw(st.integers(1, 4)), PLENTY, per_key)
        for key in ("a", "b"):
            assert len([entry for entry in outstanding if entry.message.ordering_key == key]) <= per_key
        assert outstanding, "no message is outstanding, and none can be taken"
        chosen = outstanding.pop(data.draw(st.integers(0, len(outstanding) - 1)))
        outcome = data.draw(st.sampled_from(["ack", "nack", "remove"])) if failures_left else "ack"
        if outcome == "ack":
            finished += queue.ack(chosen)
        elif outcome == "remove":
            chosen.done = True
            finished += [chosen, *queue.remove(chosen)]
        else:
            failures_left -= 1
            again = queue.nack(chosen)
            outstanding = [entry for entry in outstanding if entry not in again]
            queue.make_ready(chosen)

    for key in ("a", "b"):
        kept = [entry.sequence for entry in finished if entry.message.ordering_key == key and not entry.done]
        assert kept == sorted(kept)
    assert sorted(entry.sequence for entry in finished) == list(range(len(keys)))
    assert len(queue) == 0


def test_a_delayed_message_is_not_delivered_with_an_earlier_one() -> None:
    queue = OrderedQueue()
    first, delayed = unacked(0, "a"), unacked(1, "a")
    queue.add(first)
    queue.add_delayed(delayed)

    assert queue.take(10, PLENTY, 10) == []
    queue.make_ready(delayed)
    assert queue.take(10, PLENTY, 10) == [first, delayed]


def test_one_push_of_a_key_is_in_flight_and_keys_do_not_wait_for_each_other(
    local: PubSub, endpoint: RecordingEndpoint
) -> None:
    topic = local.topic()
    subscription = local.push_subscription(topic, endpoint.url, enable_message_ordering=True)
    in_flight: dict[str, int] = defaultdict(int)
    in_flight_at_once: list[int] = []

    def count(push: Push) -> int:
        key = push.body["message"]["orderingKey"]
        in_flight[key] += 1
        in_flight_at_once.append(in_flight[key])
        in_flight[key] -= 1
        return 204

    endpoint.answer = count
    published: dict[str, list[str]] = defaultdict(list)
    for number in range(60):
        key = f"person-{number % 3}"
        published[key].append(local.publish(topic, ordering_key=key))
    local.wait_for_stats(subscription, backlog=0)

    pushed: dict[str, list[str]] = defaultdict(list)
    while not endpoint.pushes.empty():
        push = endpoint.next()
        pushed[push.body["message"]["orderingKey"]].append(push.message_id)
    assert pushed == published
    assert max(in_flight_at_once) == 1


def test_a_failing_push_blocks_its_key_only(fast: PubSub, endpoint: RecordingEndpoint) -> None:
    topic = fast.topic()
    subscription = fast.push_subscription(topic, endpoint.url, enable_message_ordering=True)
    failures = iter([503, 503, 503])
    sick = ""

    def fail_first(push: Push) -> int:
        return next(failures, 204) if push.message_id == sick else 204

    endpoint.answer = fail_first
    fast.subscriber.modify_push_config(subscription=subscription, push_config={})
    sick = fast.publish(topic, ordering_key="a")
    later = fast.publish(topic, ordering_key="a")
    other = fast.publish(topic, ordering_key="b")
    fast.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})
    fast.wait_for_stats(subscription, backlog=0)

    pushed = [endpoint.next().message_id for _ in range(6)]
    assert [message_id for message_id in pushed if message_id != other] == [sick, sick, sick, sick, later]
    assert other in pushed


def test_a_dead_letter_keeps_its_key_and_frees_it(fast: PubSub, endpoint: RecordingEndpoint) -> None:
    topic, spent = fast.topic(), fast.topic()
    dead_letters = fast.subscription(spent, enable_message_ordering=True)
    subscription = fast.push_subscription(
        topic,
        endpoint.url,
        enable_message_ordering=True,
        dead_letter_policy={"dead_letter_topic": spent, "max_delivery_attempts": 5},
    )
    endpoint.answer = lambda push: 500 if push.body["message"].get("data") == "c2ljaw==" else 204

    fast.publish(topic, b"sick", ordering_key="person")
    fast.publish(topic, b"healthy", ordering_key="person")
    fast.wait_for_stats(subscription, backlog=0, forwarded=1, acked=1)

    forwarded = fast.pull(dead_letters)[0].message
    assert (forwarded.data, forwarded.ordering_key) == (b"sick", "person")


def test_a_pulled_key_starts_again_from_what_failed(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic, enable_message_ordering=True)
    for number in range(4):
        local.publish(topic, b"%d" % number, ordering_key="person")
    first, second, third, fourth = local.pull_once(subscription, wait=5)

    local.ack(subscription, first, third)
    local.nack(subscription, second)
    again = local.pull_once(subscription, wait=5)
    local.ack(subscription, fourth)  # the nack of an earlier message ended its lease

    assert [entry.message.data for entry in again] == [b"1", b"2", b"3"]
    assert local.stats(subscription).items() >= {"backlog": 3, "in_flight": 3}.items()


def test_more_of_a_key_is_pulled_only_after_its_outstanding_messages(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic, enable_message_ordering=True)
    for number in range(3):
        local.publish(topic, b"%d" % number, ordering_key="person")
    first = local.pull_once(subscription, 2, wait=5)

    assert local.pull_once(subscription) == []
    local.ack(subscription, *first)
    assert [entry.message.data for entry in local.pull(subscription)] == [b"2"]


def test_a_seek_keeps_the_order_of_a_key(local: PubSub) -> None:
    topic = local.topic()
    subscription = local.subscription(topic, enable_message_ordering=True, retain_acked_messages=True)
    for number in range(3):
        local.publish(topic, b"%d" % number, ordering_key="person")
    first, second, _ = local.pull_once(subscription, wait=5)
    local.ack(subscription, first, second)

    local.subscriber.seek(request={"subscription": subscription, "time": datetime.now(UTC) - timedelta(hours=1)})

    assert [entry.message.data for entry in local.pull_once(subscription, wait=5)] == [b"0", b"1", b"2"]
