"""A topic publisher over a client whose threads confirm messages when the test says so."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Any, cast

import pytest

from shared.pubsub.topic import PublishError, TopicPublisher


class Client:
    """Takes messages and confirms them later, from whatever thread asks for it.

    Args:
        expected: Number of messages after which ``has_all`` is set.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self.has_all = asyncio.Event()
        self.published: list[tuple[bytes, Future[str]]] = []

    def publish(self, _path: str, data: bytes, **_named: object) -> "Future[str]":
        future: Future[str] = Future()
        self.published.append((data, future))
        if len(self.published) == self._expected:
            self.has_all.set()
        return future

    def confirm(self, published: list[tuple[bytes, "Future[str]"]]) -> None:
        for data, future in published:
            if data.startswith(b"bad"):
                future.set_exception(ValueError(data))
            else:
                future.set_result(data.decode())


def publisher(client: Client, *, timeout: float = 30.0) -> TopicPublisher:
    topic = TopicPublisher("projects/p/topics/t", timeout=timeout)
    topic._client = cast("Any", client)
    return topic


async def test_each_caller_gets_the_result_of_its_own_message_whichever_thread_brings_it() -> None:
    client = Client(expected=400)
    topic = publisher(client)
    names = [f"{'bad' if number % 7 == 0 else 'good'}-{number}".encode() for number in range(400)]
    calls = asyncio.gather(*(topic.publish(name, {}) for name in names), return_exceptions=True)
    await client.has_all.wait()
    threads = [threading.Thread(target=client.confirm, args=(client.published[part::8],)) for part in range(8)]
    for thread in threads:
        thread.start()
    for name, result in zip(names, await calls, strict=True):
        if name.startswith(b"bad"):
            assert isinstance(result, PublishError)
            assert str(result) == "projects/p/topics/t: ValueError"  # nothing of the message
        else:
            assert result == name.decode()


async def test_a_batch_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(expected=100)
    topic = publisher(client)
    calls = asyncio.gather(*(topic.publish(b"%d" % number, {}) for number in range(100)))
    await client.has_all.wait()
    loop, woken = asyncio.get_running_loop(), []
    call = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *given: woken.append(given) or call(*given))
    client.confirm(client.published)  # all before the loop's next turn
    assert await calls == [str(number) for number in range(100)]
    assert len(woken) == 1


async def test_a_caller_that_waits_no_more_takes_nobody_along() -> None:
    client = Client(expected=3)
    topic = publisher(client)
    calls = [asyncio.create_task(topic.publish(name, {})) for name in (b"1", b"2", b"3")]
    await client.has_all.wait()
    calls[1].cancel()
    await asyncio.wait({calls[1]})
    client.confirm(client.published)
    assert await asyncio.gather(calls[0], calls[2]) == ["1", "3"]


async def test_a_message_that_is_not_confirmed_in_time_is_a_publish_error() -> None:
    client = Client(expected=1)
    topic = publisher(client, timeout=0.02)
    with pytest.raises(PublishError, match="TimeoutError"):
        await topic.publish(b"late", {})
    client.confirm(client.published)
    await asyncio.sleep(0)
