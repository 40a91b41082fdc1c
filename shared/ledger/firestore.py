"""The ledger of the cloud: one Firestore document per key, created only if absent and changed only as it was read.

https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#precondition
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.ledger.protocol import (
    RETENTION,
    AlreadyDone,
    Busy,
    Claimed,
    Conflict,
    LedgerError,
    Record,
    Take,
    decide,
    hashed,
)

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

_CALL_SECONDS = 5.0
# Rounds of reading and taking; each lost one means that another caller got further.
_ROUNDS = 3


class FirestoreLedger:
    """A ``Ledger`` and ``ProfileStates`` in Firestore. The field ``expires_at`` is what its TTL policy is on.

    Args:
        client: makes the client, at the first call, within the event loop that uses it.
        now: the clock; given by tests.
        claims: name of the collection of claims.
        profiles: name of the collection of users' states.
    """

    def __init__(
        self,
        client: "Callable[[], AsyncClient]",
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        claims: str = "ledger",
        profiles: str = "profiles",
    ) -> None:
        self._new_client = client
        self._now = now
        self._names = claims, profiles
        self._opened: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def claim(self, key: str, fingerprint: str, lease_seconds: float) -> Claimed | AlreadyDone | Busy | Conflict:
        document_id, token = hashed(key), uuid.uuid4().hex
        fields = {
            "fingerprint": fingerprint,
            "state": "claimed",
            "lease_until": self._now() + timedelta(seconds=lease_seconds),
            "result": "",
            "token": token,
            "expires_at": self._now() + RETENTION,
        }
        async with self._answers():
            for _ in range(_ROUNDS):
                if written := await self._create(document_id, fields):
                    return Claimed(document_id, written)
                taken = await self._take(document_id, fingerprint, fields)
                if taken is not None:
                    return taken
        return Busy(self._now() + timedelta(seconds=lease_seconds))

    async def finish(self, claim: Claimed, result: str) -> None:
        async with self._answers():
            document = await self._claim_document(claim.key)
            await document.set({"state": "done", "result": result}, merge=True, timeout=_CALL_SECONDS)

    async def release(self, claim: Claimed) -> None:
        async with self._answers(), _unless_taken_over():
            document = await self._claim_document(claim.key)
            await document.delete(option=await self._as_written(claim.token), timeout=_CALL_SECONDS)

    async def unknown(self, claim: Claimed) -> None:
        async with self._answers(), _unless_taken_over():
            document = await self._claim_document(claim.key)
            await document.update(
                {"state": "unknown"}, option=await self._as_written(claim.token), timeout=_CALL_SECONDS
            )

    async def state(self, person: str) -> str | None:
        async with self._answers():
            document = (await self._client()).collection(self._names[1]).document(hashed(person))
            found = await document.get(timeout=_CALL_SECONDS)
        return str(found.get("state")) if found.exists else None

    async def remember(self, person: str, state: str) -> None:
        async with self._answers():
            document = (await self._client()).collection(self._names[1]).document(hashed(person))
            await document.set({"state": state}, timeout=_CALL_SECONDS)

    async def _create(self, document_id: str, fields: dict[str, Any]) -> object | None:
        """Create the document: its update time, or None when there is one."""
        from google.api_core.exceptions import AlreadyExists  # noqa: PLC0415

        document = await self._claim_document(document_id)
        try:
            written = await document.create(fields, timeout=_CALL_SECONDS)
        except AlreadyExists:
            return None
        update_time: object = written.update_time
        return update_time

    async def _take(
        self, document_id: str, fingerprint: str, fields: dict[str, Any]
    ) -> Claimed | AlreadyDone | Busy | Conflict | None:
        """Take what is there as it was read; None when it changed meanwhile."""
        from google.api_core.exceptions import FailedPrecondition, NotFound  # noqa: PLC0415

        document = await self._claim_document(document_id)
        found = await document.get(timeout=_CALL_SECONDS)
        if not found.exists:
            return None
        stored = found.to_dict()
        if stored["token"] == fields["token"]:
            return Claimed(document_id, found.update_time)  # the client repeated a create that had arrived
        record = Record(stored["fingerprint"], stored["state"], stored["lease_until"], stored["result"])
        decision = decide(record, fingerprint, self._now())
        if not isinstance(decision, Take):
            return decision
        try:
            option = await self._as_written(found.update_time)
            written = await document.update(fields, option=option, timeout=_CALL_SECONDS)
        except (FailedPrecondition, NotFound):
            return None
        return Claimed(document_id, written.update_time, decision.retaken)

    async def _claim_document(self, document_id: str) -> Any:
        return (await self._client()).collection(self._names[0]).document(document_id)

    async def _as_written(self, update_time: object) -> Any:
        return (await self._client()).write_option(last_update_time=update_time)

    async def _client(self) -> "AsyncClient":
        if self._opened is None:
            async with self._opening:
                if self._opened is None:
                    # Most of a second of imports, which the event loop need not wait for.
                    await asyncio.to_thread(__import__, "google.cloud.firestore")
                    self._opened = self._new_client()
        return self._opened

    @asynccontextmanager
    async def _answers(self) -> AsyncIterator[None]:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415

        try:
            yield
        except (GoogleAPIError, TimeoutError) as error:
            msg = f"the ledger did not answer: {type(error).__name__}"
            raise LedgerError(msg) from None


@asynccontextmanager
async def _unless_taken_over() -> AsyncIterator[None]:
    from google.api_core.exceptions import FailedPrecondition, NotFound  # noqa: PLC0415

    try:
        yield
    except (FailedPrecondition, NotFound):
        return
