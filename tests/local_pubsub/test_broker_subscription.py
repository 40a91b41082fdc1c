"""One subscription without a network: retention, memory, timeouts of pushes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from local.pubsub.clock import Clock
from local.pubsub.errors import not_found
from local.pubsub.faults import Faults
from local.pubsub.memory import MemoryLimit
from local.pubsub.messages import Message, PublishTime, UnackedMessage
from local.pubsub.push import PushConsumers
from local.pubsub.subscription import Subscription
from local.pubsub.wire import Subscription as SubscriptionPb

PLENTY = 1_000_000


class ShiftedClock(Clock):
    """A clock that is ``shift`` ahead of the time."""

    shift = timedelta()

    def wall_ns(self) -> int:
        return super().wall_ns() + int(self.shift.total_seconds()) * 1_000_000_000


class Fixture:
    """A subscription with a retention of ten minutes, its clock and its memory limit."""

    def __init__(self, **fields: Any) -> None:
        self.clock = ShiftedClock()
        self.memory = MemoryLimit(PLENTY)
        fields.setdefault("ack_deadline_seconds", 10)
        config = SubscriptionPb(name="projects/p/subscriptions/orders", topic="projects/p/topics/orders", **fields)
        config.message_retention_duration.seconds = 600
        self.subscription = Subscription(
            config, clock=self.clock, memory=self.memory, faults=Faults(), forward=lambda *_: False
        )
        self._published = 0

    def publish(self, count: int = 1, *, ordering_key: str = "") -> None:
        for _ in range(count):
            self._published += 1
            message = Message(
                message_id=str(self._published),
                data=b"x",
                attributes={},
                ordering_key=ordering_key,
                published=PublishTime(self.clock.wall_ns()),
            )
            self.subscription.offer([message])

    def take(self, limit: int = 100) -> list[UnackedMessage]:
        return self.subscription.take(limit, max_bytes=PLENTY, lease_seconds=60)

    def ids(self) -> list[str]:
        return [unacked.message.id for unacked in self.take()]

    def ack(self, unacked: UnackedMessage) -> None:
        assert unacked.ack_id is not None
        self.subscription.ack(unacked.ack_id)

    def stats(self) -> dict[str, Any]:
        return self.subscription.stats()


@contextmanager
def subscribed(**fields: Any) -> Iterator[Fixture]:
    """Yields a subscription, and checks at the end that its deletion releases all memory."""
    fixture = Fixture(**fields)
    yield fixture
    fixture.subscription.close(not_found("orders"))
    assert fixture.memory.used_bytes == 0


async def test_a_message_expires_after_its_retention() -> None:
    with subscribed() as fixture:
        fixture.publish()
        fixture.clock.shift = timedelta(minutes=9)
        fixture.publish()
        fixture.clock.shift = timedelta(minutes=11)

        assert fixture.ids() == ["2"]
        assert fixture.stats().items() >= {"expired": 1, "backlog": 1}.items()


async def test_a_key_goes_on_after_an_expired_message() -> None:
    with subscribed(enable_message_ordering=True) as fixture:
        fixture.publish(ordering_key="person")
        fixture.clock.shift = timedelta(minutes=9)
        fixture.publish(ordering_key="person")
        fixture.clock.shift = timedelta(minutes=11)

        fixture.subscription._store._timer_fired()

        (second,) = fixture.take()
        fixture.ack(second)
        assert second.message.id == "2"
        assert fixture.stats().items() >= {"expired": 1, "acked": 1, "backlog": 0}.items()


async def test_messages_expire_that_nobody_takes() -> None:
    with subscribed(enable_message_ordering=True) as fixture:
        fixture.publish(ordering_key="person")
        fixture.publish(ordering_key="person")
        first, second = fixture.take()
        fixture.ack(second)
        fixture.publish()
        fixture.clock.shift = timedelta(minutes=11)

        fixture.subscription._store._timer_fired()

        assert fixture.stats().items() >= {"expired": 2, "backlog": 0, "in_flight": 0}.items()
        assert first.done
        assert fixture.memory.used_bytes == 0


async def test_memory_is_released_when_a_message_is_acked() -> None:
    with subscribed() as fixture:
        fixture.publish(10)
        held = fixture.memory.used_bytes
        for unacked in fixture.take(5):
            fixture.ack(unacked)

        assert fixture.memory.used_bytes == held // 2


async def test_retained_acked_messages_expire() -> None:
    with subscribed(retain_acked_messages=True) as fixture:
        fixture.publish()
        fixture.ack(*fixture.take())
        assert fixture.memory.used_bytes > 0
        fixture.clock.shift = timedelta(minutes=11)

        fixture.subscription._store._timer_fired()

        assert fixture.memory.used_bytes == 0


async def test_a_seek_back_replays_each_message_once_every_time() -> None:
    with subscribed(retain_acked_messages=True) as fixture:
        fixture.publish(3)
        held = fixture.memory.used_bytes
        for _ in range(2):
            fixture.ack(fixture.take(2)[0])
            fixture.subscription.seek(0)
            replayed = fixture.take()
            assert [unacked.message.id for unacked in replayed] == ["1", "2", "3"]
            for unacked in replayed:
                fixture.ack(unacked)
            fixture.subscription.seek(0)

        assert fixture.memory.used_bytes == held


async def test_a_message_that_two_subscriptions_hold_counts_its_bytes_once() -> None:
    memory = MemoryLimit(PLENTY)
    message = Message(
        message_id="1", data=b"x" * 10_000, attributes={}, ordering_key="", published=PublishTime(1_000_000)
    )

    memory.hold(message)
    once = memory.used_bytes
    memory.hold(message)
    assert once < memory.used_bytes < once * 1.1
    memory.release(message)
    memory.release(message)
    assert memory.used_bytes == 0


async def test_a_late_ack_changes_nothing() -> None:
    with subscribed() as fixture:
        fixture.publish()
        (unacked,) = fixture.take()
        late = unacked.ack_id
        assert late is not None
        fixture.subscription.nack(late)
        fixture.take()

        fixture.subscription.ack(late)

        assert fixture.stats().items() >= {"acked": 0, "backlog": 1, "in_flight": 1}.items()


async def test_thousands_of_messages_in_backoff_share_one_timer() -> None:
    retry_policy = {"minimum_backoff": {"seconds": 600}, "maximum_backoff": {"seconds": 600}}
    with subscribed(retry_policy=retry_policy) as fixture:
        before = len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]
        fixture.publish(5000)
        for unacked in fixture.take(5000):
            assert unacked.ack_id is not None
            fixture.subscription.nack(unacked.ack_id)

        assert len(asyncio.get_running_loop()._scheduled) - before < 10  # type: ignore[attr-defined]
        assert fixture.stats().items() >= {"backlog": 5000, "in_flight": 0, "nacked": 5000}.items()


async def test_the_deadlines_of_acked_messages_are_forgotten() -> None:
    with subscribed() as fixture:
        for _ in range(50):
            fixture.publish(100)
            for unacked in fixture.take():
                fixture.ack(unacked)

        assert len(fixture.subscription.leases._deadlines) < 2000


async def test_a_push_is_cut_off_at_the_ack_deadline_and_sent_again() -> None:
    requests = 0
    twice = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        if requests == 2:
            twice.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    pushes = PushConsumers(Clock())
    with subscribed(ack_deadline_seconds=1, push_config={"push_endpoint": url}) as fixture:
        pushes.refresh(fixture.subscription)
        fixture.publish()
        await asyncio.wait_for(twice.wait(), 10)
        stats = fixture.stats()
        await pushes.close()

    assert stats.items() >= {"unanswered": 1, "nacked": 0, "in_flight": 1}.items()
    server.close()
    await server.wait_closed()
