"""Customer.io's answers read into errors: one table of statuses, and the three shapes in which it explains itself."""

from collections.abc import Sequence

import httpx
import msgspec

from .errors import (
    CredentialsRefusedError,
    CustomerIOError,
    RateLimitedError,
    RejectedError,
    UnknownOutcomeError,
    WrongRegionError,
)

# The longest pause that is taken from Customer.io's word; customerio-node clamps there too.
_LONGEST_RETRY_AFTER = 300.0


class _Complaint(msgspec.Struct):
    batch_index: int | None = None
    reason: str | None = None
    field: str | None = None
    message: str | None = None
    detail: str | None = None


class _Meta(msgspec.Struct):
    error: str | None = None
    errors: list[str] | None = None


class _Explanation(msgspec.Struct):
    """`{"meta":{"error"}}`, `{"meta":{"errors":[]}}` or `{"errors":[{"reason","field","message"|"detail"}]}`."""

    meta: _Meta | None = None
    errors: list[_Complaint] | None = None


def error_of(response: httpx.Response) -> CustomerIOError | None:
    """The error that a whole answer stands for; None for 2xx (of a 207, see ``item_errors``)."""
    status = response.status_code
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return WrongRegionError(_wrong_region(response), status=status)
    if status == 401:
        return CredentialsRefusedError("Customer.io refused the credentials", status=status)
    if status == 429:
        return RateLimitedError("Customer.io limits the rate", status=status, retry_after=_retry_after(response))
    if status == 408 or status >= 500:
        return UnknownOutcomeError(f"Customer.io answered {status}", status=status, reason="server_error")
    complaints = _complaints(response.content)
    return _rejected(complaints, status)


def item_errors(response: httpx.Response, count: int) -> Sequence[RejectedError | None]:
    """Fate of each of ``count`` items of a batch that was answered with 2xx: None is accepted.

    Of a 207 the items named by ``batch_index`` are refused and all others accepted; several complaints may name one
    item. https://docs.customer.io/integrations/api/track/#operation/batch

    Raises:
        RejectedError: of a 207 that does not say which: some are refused, and none may count as accepted.
    """
    if response.status_code != 207:
        return [None] * count
    complaints = _complaints(response.content)
    by_index: dict[int | None, list[_Complaint]] = {}
    for complaint in complaints:
        by_index.setdefault(complaint.batch_index, []).append(complaint)
    if not by_index or not by_index.keys() <= set(range(count)):
        raise _rejected(complaints, 207)
    return [_rejected(by_index[index], 207) if index in by_index else None for index in range(count)]


def _rejected(complaints: Sequence[_Complaint], status: int) -> RejectedError:
    def joined(words: Sequence[str | None]) -> str:
        return "; ".join(dict.fromkeys(word for word in words if word))

    return RejectedError(
        joined([c.message or c.detail for c in complaints]) or f"Customer.io answered {status}",
        status=status,
        reason=joined([c.reason for c in complaints]),
        field=joined([c.field for c in complaints]),
    )


def _complaints(content: bytes) -> list[_Complaint]:
    try:
        explanation = msgspec.json.decode(content, type=_Explanation)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    complaints = list(explanation.errors or [])
    if meta := explanation.meta:
        complaints += [_Complaint(message=text) for text in [meta.error, *(meta.errors or [])] if text]
    return complaints


def _retry_after(response: httpx.Response) -> float | None:
    # Customer.io documents no header at all; seconds are what its own clients read where it comes.
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(seconds, _LONGEST_RETRY_AFTER) if seconds >= 0 else None


def _wrong_region(response: httpx.Response) -> str:
    host = httpx.URL(response.headers.get("location", "")).host
    region = "eu" if "-eu." in host else "us"
    return f"Customer.io redirects to the {region} region: set CUSTOMERIO_REGION={region}"
