import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.pubsub_v1.types import PubsubMessage, PullResponse, ReceivedMessage

from ops.dead_letters.backlog import Backlog
from tests.ops.conftest import Machine

NOTHING = DeadlineExceeded("nothing came")  # type: ignore[no-untyped-call]
NOT_NOW = ServiceUnavailable("not now")  # type: ignore[no-untyped-call]


def received(message_id: str, ack_id: str) -> ReceivedMessage:
    return ReceivedMessage(ack_id=ack_id, message=PubsubMessage(message_id=message_id))


@dataclass
class Subscriber:
    """Hands out what it is told and keeps what it is asked: for a lease to run out would take 10 s and more."""

    pages: list[list[ReceivedMessage] | Exception]
    extended: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    was_extended: threading.Event = field(default_factory=threading.Event)
    unavailable: bool = False
    refuses: Exception | None = None

    def pull(self, *, request: Any, timeout: float) -> PullResponse:
        assert 0 < request["max_messages"] <= 1000
        assert timeout > 0
        page = self.pages.pop(0) if self.pages else NOTHING
        if isinstance(page, Exception):
            raise page
        return PullResponse(received_messages=page)

    def modify_ack_deadline(self, *, request: Any, timeout: float) -> None:
        assert timeout > 0
        if self.unavailable:
            self.was_extended.set()
            raise NOT_NOW
        if request["ack_deadline_seconds"]:
            self.extended.extend(request["ack_ids"])
            self.was_extended.set()
        else:
            self.released.extend(request["ack_ids"])

    def acknowledge(self, *, request: Any, timeout: float) -> None:
        assert timeout > 0
        if self.refuses is not None:
            raise self.refuses
        self.acknowledged.extend(request["ack_ids"])


def backlog(subscriber: Any, *, extended_every: float = 60.0, limit: int = 100) -> Backlog:
    return Backlog(subscriber, "projects/p/subscriptions/s", wait=0.01, limit=limit, extended_every=extended_every)


def test_a_message_that_comes_again_is_seen_once_and_taken_off_by_its_newest_ack_id() -> None:
    subscriber = Subscriber([[received("1", "a"), received("2", "b")], [received("1", "c")], [received("3", "d")]])
    with backlog(subscriber) as opened:
        assert [message.message_id for message in opened.collect()] == ["1", "2", "3"]
        opened.acknowledge(["1"])
    assert subscriber.acknowledged == ["c"]
    assert sorted(subscriber.released) == ["b", "d"]
    assert (opened.pulled, opened.acknowledged, opened.released) == (3, 1, 2)


def test_an_empty_answer_before_its_time_does_not_end_the_reading() -> None:
    subscriber = Subscriber([[], [received("1", "a")]])
    opened = Backlog(subscriber, "projects/p/subscriptions/s", wait=0.2, limit=10)  # type: ignore[arg-type]
    with opened:
        assert [message.message_id for message in opened.collect()] == ["1"]


def test_leases_are_extended_until_the_end() -> None:
    subscriber = Subscriber([[received("1", "a"), received("2", "b")]])
    with backlog(subscriber, extended_every=0.01) as opened:
        list(opened.collect())
        opened.acknowledge(["1"])
        subscriber.extended.clear()
        subscriber.was_extended.clear()
        assert subscriber.was_extended.wait(5)
    assert "a" not in subscriber.extended
    assert "b" in subscriber.extended
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("leases")]


def test_leases_that_cannot_be_extended_now_do_not_end_the_command() -> None:
    subscriber = Subscriber([[received("1", "a")]], unavailable=True)
    with backlog(subscriber, extended_every=0.01) as opened:
        list(opened.collect())
        assert subscriber.was_extended.wait(5)
    assert opened.released == 1


def test_an_error_gives_everything_back() -> None:
    subscriber = Subscriber([[received("1", "a")], NOT_NOW])
    with pytest.raises(ServiceUnavailable), backlog(subscriber) as opened:
        list(opened.collect())
    assert subscriber.released == ["a"]


def test_an_acknowledgement_that_failed_leaves_the_message_where_it_is() -> None:
    subscriber = Subscriber([[received("1", "a")]])
    with backlog(subscriber) as opened:
        list(opened.collect())
        subscriber.refuses = NOT_NOW
        with pytest.raises(ServiceUnavailable):
            opened.acknowledge(["1"])
    assert (opened.acknowledged, opened.released, subscriber.released) == (0, 1, ["a"])


def test_thousands_are_read_released_and_counted(machine: Machine) -> None:
    topic = f"projects/{machine.project}/topics/cio-track-dead-letter"
    messages = [PubsubMessage(data=b"x" * 2000, attributes={"job_id": str(n)}) for n in range(1000)]
    for _ in range(3):
        machine.publisher.publish(topic=topic, messages=messages)
    subscription = f"projects/{machine.project}/subscriptions/cio-track-dead-letter"
    opened = Backlog(machine.subscriber, subscription, wait=0.2, limit=5000)
    with opened:
        ids = [message.message_id for message in opened.collect()]
        assert len(set(ids)) == len(ids) == 3000
        opened.acknowledge(ids[:1500])
    assert (opened.pulled, opened.acknowledged, opened.released) == (3000, 1500, 1500)
