import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.pubsub_v1.types import PubsubMessage, PullResponse, ReceivedMessage

from ops.commands.dead_letters.leases import LeasedMessages
from tests.ops.conftest import Machine

NOTHING = DeadlineExceeded("nothing came")  # type: ignore[no-untyped-call]
NOT_NOW = ServiceUnavailable("not now")  # type: ignore[no-untyped-call]


def received(message_id: str, ack_id: str) -> ReceivedMessage:
    return ReceivedMessage(ack_id=ack_id, message=PubsubMessage(message_id=message_id))


@dataclass
class Subscriber:
    """Hands out what it is told and keeps what it is asked: waiting for a lease to end would take 10 s and more."""

    pages: list[list[ReceivedMessage] | Exception]
    asked: list[int] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    was_extended: threading.Event = field(default_factory=threading.Event)
    unavailable: bool = False
    refuses: Exception | None = None

    def pull(self, *, request: Any, timeout: float, retry: Any) -> PullResponse:
        assert 0 < request["max_messages"] <= 1000
        assert timeout > 0
        assert retry.timeout < 5
        self.asked.append(request["max_messages"])
        page = self.pages.pop(0) if self.pages else NOTHING
        if isinstance(page, Exception):
            raise page
        given, rest = page[: request["max_messages"]], page[request["max_messages"] :]
        if rest:
            self.pages.insert(0, rest)
        return PullResponse(received_messages=given)

    def modify_ack_deadline(self, *, request: Any, timeout: float, retry: Any) -> None:
        assert 0 < timeout < 5
        assert retry is None
        if self.unavailable:
            self.was_extended.set()
            raise NOT_NOW
        if request["ack_deadline_seconds"]:
            self.extended.extend(request["ack_ids"])
            self.was_extended.set()
        else:
            self.released.extend(request["ack_ids"])

    def acknowledge(self, *, request: Any, timeout: float, retry: Any) -> None:
        assert timeout > 0
        assert retry.timeout < 5
        if self.refuses is not None:
            raise self.refuses
        self.acknowledged.extend(request["ack_ids"])


def leased(subscriber: Any, *, extend_every: float = 60.0, limit: int = 100, wait: float = 0.01) -> LeasedMessages:
    subscription = "projects/p/subscriptions/s"
    return LeasedMessages(subscriber, subscriber, subscription, wait=wait, limit=limit, extend_every=extend_every)


def test_a_message_that_comes_again_is_seen_once_and_taken_off_by_its_newest_ack_id() -> None:
    subscriber = Subscriber([[received("1", "a"), received("2", "b")], [received("1", "c")], [received("3", "d")]])
    with leased(subscriber) as messages:
        assert [message.message_id for message in messages.collect()] == ["1", "2", "3"]
        messages.acknowledge(["1"])
    assert subscriber.acknowledged == ["c"]
    assert sorted(subscriber.released) == ["b", "d"]
    assert (messages.pulled, messages.acknowledged, messages.released) == (3, 1, 2)


def test_an_empty_answer_before_its_time_does_not_end_the_reading() -> None:
    subscriber = Subscriber([[], [received("1", "a")]])
    with leased(subscriber, wait=0.2) as messages:
        assert [message.message_id for message in messages.collect()] == ["1"]


def test_the_limit_is_never_overshot() -> None:
    subscriber = Subscriber([[received("1", "a"), received("2", "b")], [received("3", "c"), received("4", "d")]])
    with leased(subscriber, limit=3) as messages:
        assert [message.message_id for message in messages.collect()] == ["1", "2", "3"]
        assert messages.is_cut_short
    assert subscriber.asked == [3, 1]
    assert messages.pulled == 3


def test_a_subscription_that_is_known_to_be_empty_is_not_pulled_from() -> None:
    subscriber = Subscriber([[received("1", "a")], [received("2", "b")]])
    left = [True, False]
    messages = LeasedMessages(
        subscriber,  # type: ignore[arg-type]
        subscriber,  # type: ignore[arg-type]
        "projects/p/subscriptions/s",
        wait=600,
        limit=10,
        has_undelivered=lambda: left.pop(0),
    )
    with messages:
        assert [message.message_id for message in messages.collect()] == ["1"]
    assert len(subscriber.asked) == 1


def test_leases_are_extended_until_the_end() -> None:
    subscriber = Subscriber([[received("1", "a"), received("2", "b")]])
    with leased(subscriber, extend_every=0.01) as messages:
        list(messages.collect())
        messages.acknowledge(["1"])
        subscriber.extended.clear()
        subscriber.was_extended.clear()
        assert subscriber.was_extended.wait(5)
    assert "a" not in subscriber.extended
    assert "b" in subscriber.extended
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("leases")]


def test_leases_that_cannot_be_extended_now_do_not_end_the_command() -> None:
    subscriber = Subscriber([[received("1", "a")]], unavailable=True)
    with leased(subscriber, extend_every=0.01) as messages:
        list(messages.collect())
        assert subscriber.was_extended.wait(5)
    assert messages.released == 1


def test_an_error_gives_everything_back() -> None:
    subscriber = Subscriber([[received("1", "a")], NOT_NOW])
    with pytest.raises(ServiceUnavailable), leased(subscriber) as messages:
        list(messages.collect())
    assert subscriber.released == ["a"]


def test_an_acknowledgement_that_failed_leaves_the_message_where_it_is() -> None:
    subscriber = Subscriber([[received("1", "a")]])
    with leased(subscriber) as messages:
        list(messages.collect())
        subscriber.refuses = NOT_NOW
        with pytest.raises(ServiceUnavailable):
            messages.acknowledge(["1"])
    assert (messages.acknowledged, messages.released, subscriber.released) == (0, 1, ["a"])


def test_thousands_are_read_released_and_counted(machine: Machine) -> None:
    topic = f"projects/{machine.project}/topics/cio-track-dead-letter"
    batch = [PubsubMessage(data=b"x" * 2000, attributes={"job_id": str(n)}) for n in range(1000)]
    for _ in range(3):
        machine.publisher.publish(topic=topic, messages=batch)
    subscription = f"projects/{machine.project}/subscriptions/cio-track-dead-letter"
    messages = LeasedMessages(machine.subscriber, machine.subscriber, subscription, wait=0.2, limit=5000)
    with messages:
        ids = [message.message_id for message in messages.collect()]
        assert len(set(ids)) == len(ids) == 3000
        messages.acknowledge(ids[:1500])
    assert (messages.pulled, messages.acknowledged, messages.released) == (3000, 1500, 1500)
