"""Customer.io's answers read into errors: one table of statuses, and the three shapes in which it explains itself."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from ..deadlines import MAX_RETRY_AFTER_SECONDS
from .errors import (
    AccountRefusedError,
    CustomerIOError,
    QuotaExceededError,
    RateLimitedError,
    RejectedError,
    UnknownOutcomeError,
    WrongRegionError,
)

# Bad request, content too large, unprocessable content: these are about the body of the request.
_BODY_STATUSES = frozenset({400, 413, 422})

# Unauthorized, payment required, method not allowed, proxy authentication required: a job's body cannot cause these.
_ACCOUNT_STATUSES = frozenset({401, 402, 405, 407})

# Neither the body nor the headers of a 429 are documented. Third-party copies of the App API's specification tell a
# quota by its text and by the missing Retry-After.
_QUOTA = re.compile(r"\bquota\b|\bdaily\b|\bper day\b|\b24 hours\b", re.IGNORECASE)


class Answer(NamedTuple):
    """An HTTP answer, read to its end.

    Args:
        status: HTTP status.
        body: Body, decompressed.
        headers: Headers by their names, in whatever case these are asked for.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


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


def request_error(answer: Answer) -> CustomerIOError | None:
    """Read the answer to a request that carries one job.

    A 4xx beyond 400, 413 and 422 is the job's fault if Customer.io explains it, such as an unknown template's 404.
    Without an explanation it is an error page about the account or of a proxy, and the job has to wait.

    Returns:
        The error to raise; None if the status is 2xx.
    """
    if error := _error_of_any_request(answer):
        return error
    if answer.is_success:
        return None
    status = answer.status
    complaints = _complaints(answer.body)
    explained = any(each.message or each.detail or each.reason for each in complaints)
    if status in _BODY_STATUSES or (explained and status not in _ACCOUNT_STATUSES):
        return _rejected(complaints, status)
    return _account_refused(status)


def batch_error(answer: Answer) -> CustomerIOError | None:
    """Read the answer to a batch as a whole; ``item_errors`` reads a 207.

    Only a 400, 413 or 422 can be the fault of an item. Every other 4xx is about the account or a proxy, whatever its
    body says: read as the items' fault, it would empty a topic into dead letters.

    Returns:
        The error to raise; None if the status is 2xx.
    """
    if error := _error_of_any_request(answer):
        return error
    if answer.is_success:
        return None
    status = answer.status
    return _rejected(_complaints(answer.body), status) if status in _BODY_STATUSES else _account_refused(status)


def item_errors(answer: Answer, count: int) -> Sequence[RejectedError | None]:
    """Read what became of each of the ``count`` items of a batch that was answered with 2xx.

    A 207 refuses the items that it names by ``batch_index`` and accepts all others; several complaints may name one
    item. https://docs.customer.io/integrations/api/track/#operation/batch

    Returns:
        One entry per item, in order: None if it was accepted.

    Raises:
        RejectedError: if a 207 does not say which items it refuses, so that none may count as accepted.
    """
    if answer.status != 207:
        return [None] * count
    complaints = _complaints(answer.body)
    by_index: dict[int | None, list[_Complaint]] = {}
    for complaint in complaints:
        by_index.setdefault(complaint.batch_index, []).append(complaint)
    if not by_index or not by_index.keys() <= set(range(count)):
        raise _rejected(complaints, 207)
    return [_rejected(by_index[index], 207) if index in by_index else None for index in range(count)]


def _error_of_any_request(answer: Answer) -> CustomerIOError | None:
    """Read the statuses that mean the same for every request."""
    status = answer.status
    if 300 <= status < 400:
        return WrongRegionError(_wrong_region(answer), status=status)
    if status == 429:
        return _too_many_requests(answer)
    if status == 408 or status >= 500:
        return UnknownOutcomeError(f"Customer.io answered {status}", status=status, reason="server_error")
    return None


def _too_many_requests(answer: Answer) -> CustomerIOError:
    seconds = _retry_after(answer)
    comes_back_soon = seconds is not None and seconds <= MAX_RETRY_AFTER_SECONDS
    if not comes_back_soon and _QUOTA.search(answer.body[:10_000].decode(errors="replace")):
        return QuotaExceededError(
            "Customer.io says that a quota of the account is used up: wait for it to renew, or raise it", status=429
        )
    return RateLimitedError(
        "Customer.io limits the rate",
        status=429,
        retry_after=None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS),
    )


def _account_refused(status: int) -> AccountRefusedError:
    return AccountRefusedError(
        f"Customer.io, or a proxy in front of it, answered {status} whatever the job: check the account's plan, the"
        " workspace's API access and the URL",
        status=status,
    )


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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    complaints = list(explanation.errors or [])
    if meta := explanation.meta:
        complaints += [_Complaint(message=text) for text in [meta.error, *(meta.errors or [])] if text]
    return complaints


def _retry_after(answer: Answer) -> float | None:
    # Customer.io documents no header. Its own clients read seconds where one comes.
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None


def _wrong_region(answer: Answer) -> str:
    try:
        host = urlsplit(answer.headers.get("location", "")).hostname or ""
    except ValueError:
        host = ""
    if not host.endswith(".customer.io"):
        return "Customer.io redirects: set CUSTOMERIO_REGION to the workspace's region, us or eu, and check the URL"
    region = "eu" if "-eu." in host else "us"
    return f"Customer.io redirects to the {region} region: set CUSTOMERIO_REGION={region}"
