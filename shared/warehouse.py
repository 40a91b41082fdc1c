"""Rows into BigQuery: one streaming insert for all that wait, and to each caller the result of its own row.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll. Inserts are sent with ``skipInvalidRows``:
the good rows of a request are taken and each bad one is named. The default would insert none of them, call the good
ones "stopped", and cost a second request for the same result.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .batching import BacklogFullError, BatchLimits, Entry, MicroBatcher, NotSentError, ResultLateError
from .deadlines import (
    MIN_REQUEST_SECONDS,
    ROW_ATTEMPT_SECONDS,
    ROW_INTERVAL_SECONDS,
    ROW_RETRY_SECONDS,
    ROW_WAIT_SECONDS,
)

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

# BigQuery takes 50,000 rows and 10 MB a request, and recommends 500 rows: https://cloud.google.com/bigquery/quotas
_LIMITS = BatchLimits(
    max_bytes=5_000_000,
    max_items=500,
    max_in_flight=4,
    max_waiting_items=20_000,
    max_waiting_bytes=20_000_000,  # well within a function's memory while BigQuery does not answer
    interval=ROW_INTERVAL_SECONDS,
    min_seconds=MIN_REQUEST_SECONDS,
)

# Statuses about the table or our access to it: waiting does not help, and no row is at fault.
_ACCESS_STATUSES = frozenset({401, 403, 404})
_PASSING_REASONS = frozenset({"rateLimitExceeded", "quotaExceeded", "backendError"})

# Statuses about the content of a request: some row in it is at fault.
_CONTENT_STATUSES = frozenset({400, 413})


class WarehouseError(Exception):
    """Base of the errors about a row that was not inserted."""


class RowRejectedError(WarehouseError):
    """BigQuery refuses this row and will always do so.

    Args:
        reason: BigQuery's word, such as ``invalid``.
        field: Column at fault; empty if none was named.
        message: BigQuery's sentence up to where it may quote a value.
    """

    def __init__(self, reason: str, field: str, message: str) -> None:
        super().__init__(f"{field or 'row'}: {message or reason}")
        self.reason = reason
        self.field = field
        self.message = message


class WarehouseUnavailableError(WarehouseError):
    """The row could not be inserted now, or its insert was not confirmed. It can be tried again.

    Args:
        reason: A word for logs and alerts.
        status: HTTP status of the answer; None if there was none.
        needs_operator: Whether a person has to act: permission, table or column missing.
    """

    def __init__(self, reason: str, *, status: int | None = None, needs_operator: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.needs_operator = needs_operator


class Warehouse(Protocol):
    """The place of rows."""

    async def insert(self, row: Mapping[str, Any], row_id: str, *, deadline: float | None = None) -> None:
        """Insert one row. Inserts with the same id within about a minute count once.

        Args:
            row: Columns and their values in BigQuery's JSON form.
            row_id: At most 128 characters.
            deadline: Latest moment for the result, in seconds of ``time.monotonic()``; at most ``ROW_WAIT_SECONDS``
                from now, which None stands for.

        Raises:
            RowRejectedError: if this row will never be taken.
            WarehouseUnavailableError: if it has to be tried again.
        """


@dataclass(frozen=True, slots=True)
class _Row:
    columns: Mapping[str, Any]
    row_id: str


class BigQueryWarehouse:
    """One table. Rows of concurrent callers travel together: up to 500 rows or 5 MB a request, four requests at a time.

    Args:
        table: ``project.dataset.table``.
        emulated: Whether BigQuery is an emulator, which takes no credentials.
        new_client: Makes the official client; called once, in a thread.
    """

    def __init__(
        self, table: str, *, emulated: bool = False, new_client: Callable[[str], "Client"] | None = None
    ) -> None:
        self._table = table
        self._new_client = new_client or partial(_new_client, emulated=emulated)
        self._client: Client | None = None
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(_LIMITS.max_in_flight, thread_name_prefix="bigquery")
        self._batcher = MicroBatcher(self._send, _LIMITS)

    async def insert(self, row: Mapping[str, Any], row_id: str, *, deadline: float | None = None) -> None:
        # The client escapes non-ASCII text, so the size is measured in the client's own encoding.
        size = len(json.dumps(row)) + len(row_id)
        if size > _LIMITS.max_bytes:
            message = f"the row takes {size} bytes, limit {_LIMITS.max_bytes}"
            raise RowRejectedError(reason="too_large", field="", message=message)
        longest = time.monotonic() + ROW_WAIT_SECONDS
        deadline = longest if deadline is None else min(deadline, longest)
        try:
            await self._batcher.submit(_Row(row, row_id), size=size, deadline=deadline)
        except BacklogFullError:
            raise WarehouseUnavailableError(reason="too_many_waiting") from None
        except (NotSentError, ResultLateError):  # a row that arrives after all is not kept twice, thanks to its row id
            raise WarehouseUnavailableError(reason="timeout") from None

    async def _send(self, batch: Sequence[Entry[_Row]]) -> None:
        """Insert one batch and settle its callers. Refused whole, it is halved until the row at fault is alone."""
        loop = asyncio.get_running_loop()
        try:
            errors = await loop.run_in_executor(self._threads, self._insert, [entry.item for entry in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller is to learn of it
            if not _is_about_content(error):
                for entry in batch:
                    entry.settle(_unavailable(error))
            elif len(batch) == 1:
                batch[0].settle(_rejected_alone(error))
            else:
                middle = len(batch) // 2
                for half in (batch[:middle], batch[middle:]):
                    if in_time := self._batcher.give_back_late(half):
                        await self._send(in_time)
            return
        for index, entry in enumerate(batch):
            entry.settle(_row_error(errors.get(index, ())))

    def _insert(self, rows: Sequence[_Row]) -> dict[int, list[dict[str, Any]]]:
        from google.cloud.bigquery import DEFAULT_RETRY  # noqa: PLC0415 - most of a second, off the event loop

        with self._opening:
            client = self._client = self._client or self._new_client(self._table.partition(".")[0])
        errors = client.insert_rows_json(
            self._table,
            [row.columns for row in rows],
            row_ids=[row.row_id for row in rows],
            skip_invalid_rows=True,
            retry=DEFAULT_RETRY.with_timeout(ROW_RETRY_SECONDS),
            timeout=ROW_ATTEMPT_SECONDS,
        )
        return {error["index"]: error["errors"] for error in errors}


def _new_client(project: str, *, emulated: bool) -> "Client":
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.bigquery import Client  # noqa: PLC0415

    # The client reads the emulator's address from the environment, and would still look for credentials.
    credentials = AnonymousCredentials() if emulated else None  # type: ignore[no-untyped-call]
    return Client(project=project, credentials=credentials)


def _row_error(errors: Sequence[Mapping[str, Any]]) -> WarehouseError | None:
    """Read what one row's errors mean; None if there are none."""
    if not errors:
        return None
    missing = next((error for error in errors if str(error.get("message", "")).startswith("no such field")), None)
    if missing is not None:
        # Rows hold only columns that we know, so the table is behind the code: the change is not applied, or not seen
        # by the streaming servers yet, which takes minutes. Every row would be rejected, so they wait instead.
        return WarehouseUnavailableError(f"column_missing:{missing.get('location', '')}", needs_operator=True)
    error = next((error for error in errors if error.get("reason") == "invalid"), None)
    if error is None:  # stopped, timeout, backendError, …: about the request, not the row
        return WarehouseUnavailableError(str(errors[0].get("reason", "unknown")))
    return RowRejectedError("invalid", str(error.get("location", "")), _unquoted(str(error.get("message", ""))))


def _unquoted(message: str) -> str:
    """Cut BigQuery's sentence where it quotes a value: after a colon, in brackets or quotes."""
    return re.split(r"""[:("]|\s'""", message, maxsplit=1)[0].strip()


def _cause(error: Exception) -> Exception:
    """Unwrap the error that ended the client's own retries."""
    from google.api_core.exceptions import RetryError  # noqa: PLC0415

    return error.cause if isinstance(error, RetryError) and isinstance(error.cause, Exception) else error


def _status(error: Exception) -> int | None:
    from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415

    return int(error.code) if isinstance(error, GoogleAPICallError) and error.code else None


def _reason(error: Exception) -> str:
    """BigQuery's word for a refused request; the error's class if it gave none."""
    details = getattr(error, "errors", ())
    given = next((str(item.get("reason", "")) for item in details if isinstance(item, dict)), "")
    return given or type(error).__name__


def _is_about_content(error: Exception) -> bool:
    error = _cause(error)
    return _status(error) in _CONTENT_STATUSES and _reason(error) not in _PASSING_REASONS


def _rejected_alone(error: Exception) -> RowRejectedError:
    error = _cause(error)
    return RowRejectedError(_reason(error), "", f"BigQuery answered {_status(error)} to a request of this row alone")


def _unavailable(error: Exception) -> Exception:
    """Read what a failed request means for its rows. A fault of ours is passed on as it is."""
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError  # noqa: PLC0415
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    error = _cause(error)
    if isinstance(error, GoogleAPICallError):
        status, reason = _status(error), _reason(error)
        needs_operator = status in _ACCESS_STATUSES and reason not in _PASSING_REASONS
        return WarehouseUnavailableError(reason, status=status, needs_operator=needs_operator)
    if isinstance(error, GoogleAPIError | GoogleAuthError | RequestException | OSError):
        return WarehouseUnavailableError(
            type(error).__name__, needs_operator=isinstance(error, DefaultCredentialsError)
        )
    return error
