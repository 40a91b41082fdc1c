"""Rows into BigQuery: one streaming insert for all that wait, and to each caller the fate of its own row.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll. Inserts are sent with ``skipInvalidRows``:
the good rows of a request are taken and each bad one is named. The default would insert none of them, call the good
ones "stopped", and cost a second request for the same result.
"""

import asyncio
import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

# BigQuery's limits are 50,000 rows and 10 MB a request, and 500 rows are what it recommends.
_ROWS = 500
_BYTES = 5_000_000
_GATHER_SECONDS = 0.005
_IN_FLIGHT = 4
# What may wait while BigQuery does not answer, and for how long: below the push's deadline, within a function's memory.
_WAITING_BYTES = 20_000_000
_LONGEST_WAIT_SECONDS = 30.0

# A connect and a read may take this long each, and no attempt begins after the second: 18 s at the worst, well within
# the 50 s that a function has.
_ATTEMPT_SECONDS = 5.0
_ATTEMPTS_BEGIN_SECONDS = 8.0

# Answers that say nothing about the rows and do not pass by themselves.
_REFUSED = frozenset({401, 403, 404})
_PASSING = frozenset({"rateLimitExceeded", "quotaExceeded", "backendError"})


class WarehouseError(Exception):
    """Base of what becomes of a row that is not in."""


class RowRejectedError(WarehouseError):
    """BigQuery refuses this row and will always do so.

    Args:
        reason: BigQuery's word, such as ``invalid``.
        field: the column at fault, or empty.
        message: BigQuery's sentence up to where it may quote a value.
    """

    def __init__(self, reason: str, field: str, message: str) -> None:
        super().__init__(f"{field or 'row'}: {message or reason}")
        self.reason = reason
        self.field = field
        self.message = message


class WarehouseUnavailableError(WarehouseError):
    """The row could not be inserted now; it may be in all the same. To be tried again.

    Args:
        reason: a word for logs and alerts.
        status: HTTP status of the answer, if there was one.
        hold: a person has to act: permission, table or column missing.
    """

    def __init__(self, reason: str, *, status: int | None = None, hold: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.hold = hold


class Warehouse(Protocol):
    """Where rows are kept."""

    async def insert(self, row: Mapping[str, Any], row_id: str) -> None:
        """Insert one row, once however often it is inserted within about a minute with the same id.

        Args:
            row: column to value in BigQuery's JSON form.
            row_id: at most 128 characters.

        Raises:
            RowRejectedError: this row will never be taken.
            WarehouseUnavailableError: to be tried again.
        """


@dataclass(frozen=True, slots=True)
class _Waiting:
    row: Mapping[str, Any]
    row_id: str
    size: int
    settled: asyncio.Future[None]


class BigQueryWarehouse:
    """One table. Rows of concurrent callers travel together: up to 500 rows or 5 MB a request, four requests at a time.

    Args:
        table: ``project.dataset.table``.
        new_client: makes the official client; called once, in a thread.
    """

    def __init__(self, table: str, *, new_client: Callable[[str], "Client"] | None = None) -> None:
        self._table = table
        self._new_client = new_client or _new_client
        self._client: Client | None = None
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="bigquery")
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._gathering: asyncio.TimerHandle | None = None
        self._requests: set[asyncio.Task[None]] = set()

    async def insert(self, row: Mapping[str, Any], row_id: str) -> None:
        # The client's own encoding, because what it escapes counts.
        size = len(json.dumps(row)) + len(row_id)
        if size > _BYTES:
            raise RowRejectedError(reason="too_large", field="", message=f"the row takes {size} bytes, limit {_BYTES}")
        if self._waiting_bytes + size > _WAITING_BYTES:
            raise WarehouseUnavailableError(reason="too_many_waiting")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, row_id, size, loop.create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += size
        self._begin(partial=False)
        if self._waiting and self._gathering is None:
            self._gathering = loop.call_later(_GATHER_SECONDS, self._gathered)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                await waiting.settled
        except TimeoutError:  # if it is on its way and arrives all the same, its row id keeps it from arriving twice
            raise WarehouseUnavailableError(reason="timeout") from None

    def _gathered(self) -> None:
        self._gathering = None
        self._begin(partial=True)

    def _begin(self, *, partial: bool) -> None:
        """Begin the requests for which there is room: full ones, and with ``partial`` one that is not."""
        while self._waiting and len(self._requests) < _IN_FLIGHT and (partial or self._is_full()):
            request = asyncio.create_task(self._request(self._take()))
            self._requests.add(request)
            request.add_done_callback(self._ended)

    def _is_full(self) -> bool:
        return len(self._waiting) >= _ROWS or self._waiting_bytes >= _BYTES

    def _ended(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        # What waits without a timer has gathered for as long as the request took.
        self._begin(partial=self._gathering is None)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < _ROWS and size + self._waiting[0].size <= _BYTES:
            waiting = self._waiting.popleft()
            self._waiting_bytes -= waiting.size
            if not waiting.settled.done():  # its caller may have gone
                batch.append(waiting)
                size += waiting.size
        return batch

    async def _request(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return  # all callers had gone, and BigQuery refuses a request of no rows
        rows = [waiting.row for waiting in batch]
        row_ids = [waiting.row_id for waiting in batch]
        loop = asyncio.get_running_loop()
        try:
            errors = await loop.run_in_executor(self._threads, self._insert, rows, row_ids)
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller is to learn of it
            for waiting in batch:
                _settle(waiting, _unavailable(error))
            return
        for index, waiting in enumerate(batch):
            _settle(waiting, _fate(errors.get(index, ())))

    def _insert(self, rows: Sequence[Mapping[str, Any]], row_ids: Sequence[str]) -> dict[int, list[dict[str, Any]]]:
        from google.cloud.bigquery import DEFAULT_RETRY  # noqa: PLC0415 - most of a second, off the event loop

        with self._opening:
            client = self._client = self._client or self._new_client(self._table.partition(".")[0])
        errors = client.insert_rows_json(
            self._table,
            rows,
            row_ids=row_ids,
            skip_invalid_rows=True,
            retry=DEFAULT_RETRY.with_timeout(_ATTEMPTS_BEGIN_SECONDS),
            timeout=_ATTEMPT_SECONDS,
        )
        return {error["index"]: error["errors"] for error in errors}


def _new_client(project: str) -> "Client":
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.bigquery import Client  # noqa: PLC0415

    # The client reads the variable itself for the address, and would still look for credentials.
    emulated = bool(os.environ.get("BIGQUERY_EMULATOR_HOST"))
    credentials = AnonymousCredentials() if emulated else None  # type: ignore[no-untyped-call]
    return Client(project=project, credentials=credentials)


def _settle(waiting: _Waiting, fate: Exception | None) -> None:
    if waiting.settled.done():
        return
    if fate is None:
        waiting.settled.set_result(None)
    else:
        waiting.settled.set_exception(fate)


def _fate(errors: Sequence[Mapping[str, Any]]) -> WarehouseError | None:
    """What one row's errors mean; None when there are none."""
    if not errors:
        return None
    missing = next((error for error in errors if str(error.get("message", "")).startswith("no such field")), None)
    if missing is not None:
        # Rows hold columns of ours only, so the table is behind the code: its change is not applied, or not seen by
        # the streaming servers yet, which takes minutes. Every row would be rejected; they wait instead.
        return WarehouseUnavailableError(f"column_missing:{missing.get('location', '')}", hold=True)
    error = next((error for error in errors if error.get("reason") == "invalid"), None)
    if error is None:  # stopped, timeout, backendError, …: about the request, not the row
        return WarehouseUnavailableError(str(errors[0].get("reason", "unknown")))
    return RowRejectedError("invalid", str(error.get("location", "")), _unquoted(str(error.get("message", ""))))


def _unquoted(message: str) -> str:
    """BigQuery's sentence up to where it quotes a value: after a colon, in brackets or quotes."""
    return re.split(r"""[:("]|\s'""", message, maxsplit=1)[0].strip()


def _unavailable(error: Exception) -> Exception:
    """What a failed request means for its rows; an error that is not the request's is passed on as a fault of ours."""
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError, RetryError  # noqa: PLC0415
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        error = error.cause
    if isinstance(error, GoogleAPICallError):
        reason = next((str(item.get("reason", "")) for item in error.errors if isinstance(item, dict)), "")
        status = int(error.code) if error.code else None
        return WarehouseUnavailableError(
            reason or type(error).__name__, status=status, hold=status in _REFUSED and reason not in _PASSING
        )
    if isinstance(error, GoogleAPIError | GoogleAuthError | RequestException | OSError):
        return WarehouseUnavailableError(type(error).__name__, hold=isinstance(error, DefaultCredentialsError))
    return error
