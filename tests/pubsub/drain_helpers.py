"""A lane and its bell in memory, for tests of the drain."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from shared import deadlines
from shared.pubsub.message import PushMessage
from shared.pubsub.pull import PullError, Received
from shared.pubsub.topic import PublishError
from shared.topology import BELL_ATTRIBUTES


def now() -> float:
    return asyncio.get_running_loop().time()


class Lane:
    """A pull subscription in memory. A message is waiting, leased, or gone."""

    def __init__(self, jobs: int = 0) -> None:
        self.waiting: deque[Received] = deque()
        self.leased: dict[str, Received] = {}
        self.given_back: list[str] = []
        self.acknowledged: list[str] = []
        self.pulls: list[int] = []
        self.requests = 0
        self.forgotten = 0
        self.error: PullError | None = None
        self.arrival, self.pulled = asyncio.Event(), asyncio.Event()
        self.on_empty: Callable[[], None] = lambda: None
        self.publish(jobs)

    def publish(self, jobs: int, *, size: int = 10, attempt: int = 1) -> None:
        for _ in range(jobs):
            name = f"j-{len(self.waiting) + len(self.leased) + len(self.acknowledged) + len(self.given_back)}"
            message = PushMessage(
                key=name,
                is_named=True,
                data=b"x" * size,
                attributes={"priority": "bulk"},
                first_published_at=datetime.now(UTC),
                lane="bulk",
                attempt=attempt,
            )
            self.waiting.append(Received(name, message))
        self.arrival.set()

    async def pull(self, count: int, *, deadline: float) -> list[Received]:
        assert count > 0
        assert now() < deadline <= now() + deadlines.PUSH_SECONDS
        self.pulls.append(count)
        self.pulled.set()
        if self.error:
            raise self.error
        self.arrival.clear()
        try:
            async with asyncio.timeout(deadlines.EMPTY_PULL_SECONDS):
                while not self.waiting:
                    await self.arrival.wait()
        except TimeoutError:
            self.on_empty()
            return []
        taken = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        self.leased |= {each.ack_id: each for each in taken}
        return taken

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        self._end(ack_ids, self.acknowledged)

    async def give_back(self, ack_ids: Sequence[str]) -> None:
        self._end(ack_ids, self.given_back)

    async def forget_rings(self) -> None:
        self.forgotten += 1
        if self.error:
            raise self.error

    def _end(self, ack_ids: Sequence[str], to: list[str]) -> None:
        self.requests += 1
        if self.error:
            raise self.error
        for ack_id in ack_ids:
            del self.leased[ack_id]
            to.append(ack_id)


class Bell:
    """The topic that rings. ``rung`` holds the moments."""

    def __init__(self) -> None:
        self.rung: list[float] = []
        self.ringing = asyncio.Event()
        self.is_down = False

    async def publish(self, data: bytes, attributes: dict[str, str]) -> str:
        assert (data, attributes) == (b"", BELL_ATTRIBUTES)
        if self.is_down:
            raise PublishError("projects/p/topics/t: Unavailable")
        self.rung.append(now())
        self.ringing.set()
        return "1"
