"""Settles the late jobs of people who are forgotten, before any handler sees them."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import msgspec

from .. import deadlines
from ..forgetting import mark, people_in
from ..ledger import LedgerError, Tombstones
from ..outcome import Done, Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import Handle
from .outcomes import ledger_unavailable

# Tombstones that an instance holds, the newest: 4 MB. Customer.io's suppression stops the jobs of the others.
_MAX_TOMBSTONES = 20_000
_OVERLAP = timedelta(seconds=deadlines.TOMBSTONE_OVERLAP_SECONDS)
# Fields of sync jobs that mean somebody although they are forgotten.
DELIBERATE = frozenset({"forget", "restore"})


class UnlessForgotten:
    """Hands messages on to a handler. One about somebody who is forgotten is done, and nothing of it is kept.

    Whom that concerns is read anew after ``TOMBSTONE_READ_SECONDS``. While the store does not answer, the last reading
    counts; without one, the job comes again.

    Args:
        handle: Settles all other messages.
        tombstones: Where it is kept who is forgotten.
        project: Google Cloud project, as in marks.
        deliberate: Fields that are true in a job which means somebody although they are forgotten.
    """

    def __init__(
        self, handle: Handle, tombstones: Tombstones, project: str, deliberate: frozenset[str] = frozenset()
    ) -> None:
        self._deliberate = deliberate
        self._handle = handle
        self._tombstones = tombstones
        self._project = project
        self._marks: set[str] = set()
        self._newest: datetime | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def __call__(self, message: PushMessage) -> Outcome:
        try:
            if time.monotonic() - self._read_at >= deadlines.TOMBSTONE_READ_SECONDS:
                await self._read()
            if self._marks and (key := await self._forgotten_in(message)):
                return Done(how="forgotten", subject=key)
        except LedgerError as error:
            return ledger_unavailable(error, "")
        return await self._handle(message)

    async def _read(self) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at < deadlines.TOMBSTONE_READ_SECONDS:
                return  # another push has read meanwhile
            began = time.monotonic()
            since = self._newest - _OVERLAP if self._newest else None
            try:
                found = await self._tombstones.written_since(since, _MAX_TOMBSTONES)
            except LedgerError:
                if self._read_at == float("-inf"):
                    raise
                found = ()
            if len(self._marks) + len(found) > _MAX_TOMBSTONES:
                self._marks.clear()
                found = await self._tombstones.written_since(None, _MAX_TOMBSTONES)
            self._marks.update(name for name, _ in found)
            self._newest = max((written_at for _, written_at in found), default=self._newest or datetime.now(UTC))
            self._read_at = began

    async def _forgotten_in(self, message: PushMessage) -> str:
        """Find somebody forgotten whom the message names, and does not mean deliberately; an empty key if none."""
        for key in people_in(message.data):
            name = mark(self._project, key)
            if name not in self._marks or self._is_deliberate(message.data):
                continue
            if await self._tombstones.find(name):
                return key
            self._marks.discard(name)  # restored, or expired
        return ""

    def _is_deliberate(self, data: bytes) -> bool:
        body = msgspec.json.decode(data)
        return any(body.get(field) is True for field in self._deliberate)
