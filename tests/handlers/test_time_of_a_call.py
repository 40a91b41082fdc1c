"""The part of a push in which a call may begin, and by when it has to end."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from shared import deadlines
from shared.attributes import JobAttributes
from shared.handlers.idempotency import Idempotency
from shared.lifetime import Lifetime
from shared.outcome import Done
from shared.pubsub.message import PushMessage
from tests.handlers.handler_helpers import Around


class App:
    """Hands out permits, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, bool]] = []

    @asynccontextmanager
    async def permit(self, *, deadline: float, bulk: bool) -> AsyncIterator[str]:
        self.asked.append((deadline, bulk))
        yield "permit"


async def test_a_call_begins_and_ends_in_time_for_its_record(around: Around) -> None:
    app: Any = App()
    arrived = time.monotonic()
    message = PushMessage(
        key="j-1",
        is_named=True,
        data=b"{}",
        attributes={},
        first_published_at=datetime.now(UTC),
        deadline=arrived + deadlines.PUSH_SECONDS,
    )
    told: list[tuple[object, float]] = []

    async def call(*, permit: object, deadline: float) -> str:
        told.append((permit, deadline))
        return "d-1"

    idempotency = Idempotency(app, around.ledger, "send", Lifetime())
    outcome = await idempotency.run(call, message, JobAttributes(is_bulk=True))
    assert isinstance(outcome, Done)
    # Rounded, because subtracting and adding seconds is not exact.
    assert [(round(by - arrived, 6), bulk) for by, bulk in app.asked] == [(deadlines.CALL_WINDOW_SECONDS, True)]
    in_time = deadlines.PUSH_SECONDS - deadlines.RECORD_SECONDS
    assert [(permit, round(by - arrived, 6)) for permit, by in told] == [("permit", in_time)]
