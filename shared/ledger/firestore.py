"""The ledger of the cloud: one Firestore document per key, created only if absent and changed only as it was read.

https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#precondition
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

from google.api_core.exceptions import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    GoogleAPIError,
    NotFound,
    RetryError,
    ServiceUnavailable,
)
from google.api_core.retry import AsyncRetry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore import AsyncClient, FieldFilter, Query

from .. import deadlines
from .protocol import (
    RETENTION,
    AlreadyDone,
    Busy,
    Claimed,
    Conflict,
    LedgerError,
    ProfileState,
    Record,
    Take,
    Token,
    decide,
    hashed,
)
from .tombstones import TOMBSTONE_RETENTION, Tombstone

# Firestore takes 500 writes in one commit: https://cloud.google.com/firestore/quotas
_MAX_WRITES = 500
# The client's own policy goes on for a minute, and each of its attempts for as long as the timeout.
_RETRY = AsyncRetry(
    if_exception_type(Aborted, ServiceUnavailable),
    initial=deadlines.LEDGER_RETRY_MIN_SECONDS,
    maximum=deadlines.LEDGER_RETRY_MAX_SECONDS,
    timeout=deadlines.LEDGER_RETRY_SECONDS,
)
_LIMITS: dict[str, Any] = {"retry": _RETRY, "timeout": deadlines.LEDGER_CALL_SECONDS}
# Absent, where it was read, or changed since.
_OTHERWISE = (AlreadyExists, FailedPrecondition, NotFound)


class FirestoreLedger:
    """A ``Ledger``, ``ProfileStates`` and ``Tombstones`` in Firestore.

    The TTL policies are to be on ``expires_at`` of ``collection`` and of ``tombstones``.

    Args:
        client: A client, or a function that makes it at the first call, within the event loop that uses it.
        collection: Collection of the claims.
        now: Clock; given by tests.
        profiles: Collection of the users' states, which do not expire.
        tombstones: Collection of the tombstones.
        receipts: Collection of the receipts, which do not expire.
    """

    def __init__(
        self,
        client: AsyncClient | Callable[[], AsyncClient],
        collection: str = "ledger",
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        profiles: str = "profiles",
        tombstones: str = "tombstones",
        receipts: str = "receipts",
    ) -> None:
        self._given = client
        self._collection = collection
        self._now = now
        self._profiles = profiles
        self._tombstones = tombstones
        self._receipts = receipts

    async def claim(self, key: str, fingerprint: str, lease_seconds: float) -> Claimed | AlreadyDone | Busy | Conflict:
        name, identity = hashed(key), uuid.uuid4().hex
        async with _bounded():
            document = self._document(self._collection, name)
            found: Any = None  # as for most jobs, which saves them the read
            while True:
                now = self._now()
                decision = decide(_record(found), fingerprint, now)
                if not isinstance(decision, Take):
                    return decision
                fields = {
                    "fingerprint": fingerprint,
                    "state": "claimed",
                    "lease_until": now + timedelta(seconds=lease_seconds),
                    "result": "",
                    "token": identity,
                    "unknowns": decision.unknowns,
                    "expires_at": now + RETENTION,
                }
                try:
                    written = await _write(document, fields, found)
                except _OTHERWISE:
                    found = await document.get(**_LIMITS)
                    # A write whose answer was lost has been repeated by the client, and met itself.
                    if not found.exists or found.get("token") != identity:
                        continue
                    written = found
                return Claimed(name, Token(written.update_time, fingerprint), decision.retaken, decision.unknowns)

    async def finish(self, claim: Claimed, result: str) -> None:
        fields, written_at = {"state": "done", "result": result}, claim.token.proof
        async with _bounded():
            document = self._document(self._collection, claim.key)
            while True:
                with suppress(*_OTHERWISE):
                    await document.update(fields, option=_as_of(written_at), **_LIMITS)
                    return
                found = await document.get(**_LIMITS)
                record = _record(found)
                if record is None or record.state == "done" or record.fingerprint != claim.token.fingerprint:
                    return
                written_at = found.update_time

    async def release(self, claim: Claimed) -> None:
        async with _bounded():
            with suppress(*_OTHERWISE):
                document = self._document(self._collection, claim.key)
                await document.delete(option=_as_of(claim.token.proof), **_LIMITS)

    async def unknown(self, claim: Claimed, *, counted: bool = False) -> None:
        async with _bounded():
            with suppress(*_OTHERWISE):
                document = self._document(self._collection, claim.key)
                fields = {"state": "unknown", "unknowns": claim.unknowns + counted}
                await document.update(fields, option=_as_of(claim.token.proof), **_LIMITS)

    async def state(self, key: str) -> ProfileState | None:
        async with _bounded():
            found = await self._document(self._profiles, hashed(key)).get(**_LIMITS)
            return ProfileState(str(found.get("state")), found.update_time) if found.exists else None

    async def remember(self, key: str, text: str, previous: ProfileState | None) -> ProfileState | None:
        document, identity = self._document(self._profiles, hashed(key)), uuid.uuid4().hex
        fields = {"state": text, "token": identity}
        async with _bounded():
            try:
                if previous is None:
                    written = await document.create(fields, **_LIMITS)
                else:
                    written = await document.update(fields, option=_as_of(previous.token), **_LIMITS)
            except _OTHERWISE:
                written = await document.get(**_LIMITS)
                # A write whose answer was lost has been repeated by the client, and met itself.
                if not written.exists or written.get("token") != identity:
                    return None
            return ProfileState(text, written.update_time)

    async def bury(self, person: str, marks: Iterable[str], forgotten_at: datetime) -> None:
        now = self._now()
        fields = {
            "person": person,
            "forgotten_at": forgotten_at,
            "written_at": now,
            "expires_at": now + TOMBSTONE_RETENTION,
        }
        async with _bounded():
            for some in batched(marks, _MAX_WRITES, strict=False):
                batch = self._client.batch()
                for mark in some:
                    batch.set(self._document(self._tombstones, mark), fields)
                await batch.commit(**_LIMITS)

    async def written_since(self, moment: datetime | None, limit: int) -> Sequence[tuple[str, datetime]]:
        query = (
            self._client.collection(self._tombstones).order_by("written_at", direction=Query.DESCENDING).limit(limit)
        )
        if moment is not None:
            query = query.where(filter=FieldFilter("written_at", ">=", moment))
        async with _bounded():
            # Firestore deletes what has expired within a day.
            return [(found.id, _instant(found.get("written_at"))) async for found in _stream(query)]

    async def find(self, mark: str) -> Tombstone | None:
        async with _bounded():
            found = await self._document(self._tombstones, mark).get(**_LIMITS)
        if not found.exists or _instant(found.get("expires_at")) <= self._now():
            return None
        return Tombstone(str(found.get("person")), _instant(found.get("forgotten_at")))

    async def restore(self, person: str) -> None:
        query = self._client.collection(self._tombstones).where(filter=FieldFilter("person", "==", person))
        async with _bounded():
            await self._delete([found.reference async for found in _stream(query)])

    async def keep_receipt(self, person: str, text: str) -> None:
        async with _bounded():
            document = self._document(self._receipts, person)
            await document.set({"receipt": text, "kept_at": self._now()}, **_LIMITS)

    async def receipts(self) -> Sequence[str]:
        query = self._client.collection(self._receipts).order_by("kept_at")
        async with _bounded():
            return [str(found.get("receipt")) async for found in _stream(query)]

    async def receipt(self, person: str) -> str | None:
        async with _bounded():
            found = await self._document(self._receipts, person).get(**_LIMITS)
        return str(found.get("receipt")) if found.exists else None

    async def erase(self, claims: Sequence[str], states: Sequence[str], *, dry_run: bool = False) -> tuple[int, int]:
        counts = []
        for collection, keys in ((self._collection, claims), (self._profiles, states)):
            found = []
            for some in batched(keys, _MAX_WRITES, strict=False):
                documents = [self._document(collection, key) for key in some]
                async with _bounded():
                    read = [each async for each in self._client.get_all(documents, field_paths=["token"], **_LIMITS)]
                    existing = [each.reference for each in read if each.exists]
                    if not dry_run:
                        await self._delete(existing)
                found += existing
            counts.append(len(found))
        return counts[0], counts[1]

    async def _delete(self, documents: Sequence[Any]) -> None:
        for some in batched(documents, _MAX_WRITES, strict=False):
            batch = self._client.batch()
            for document in some:
                batch.delete(document)
            await batch.commit(**_LIMITS)

    def _document(self, collection: str, name: str) -> Any:
        return self._client.collection(collection).document(name)

    @property
    def _client(self) -> AsyncClient:
        if not isinstance(self._given, AsyncClient):
            self._given = self._given()
        return self._given


def _stream(query: Any) -> AsyncIterator[Any]:
    found: AsyncIterator[Any] = query.stream(**_LIMITS)
    return found


def _instant(value: Any) -> datetime:
    return datetime.fromtimestamp(value.timestamp(), UTC)


async def _write(document: Any, fields: dict[str, object], found: Any) -> Any:
    """Write what was decided upon ``found``, if that is still what is there."""
    if found is None or not found.exists:
        return await document.create(fields, **_LIMITS)
    return await document.update(fields, option=_as_of(found.update_time), **_LIMITS)


def _as_of(update_time: object) -> Any:
    return AsyncClient.write_option(last_update_time=update_time)


def _record(found: Any) -> Record | None:
    if found is None or not found.exists:
        return None
    stored = found.to_dict()
    return Record(
        stored["fingerprint"], stored["state"], stored["lease_until"], stored["result"], stored.get("unknowns", 0)
    )


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """No longer than a call may take, and no error but the ledger's own."""
    try:
        async with asyncio.timeout(deadlines.LEDGER_CALL_SECONDS):
            yield
    except (GoogleAPIError, GoogleAuthError, OSError) as error:  # OSError: a timeout, or no project to be found
        cause = error.cause if isinstance(error, RetryError) and error.cause else error
        raise LedgerError(f"the ledger did not answer: {type(cause).__name__}") from None
