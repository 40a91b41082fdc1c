"""The meaning of an error for a job: the one table that joins Customer.io's errors to outcomes."""

import re
from typing import TYPE_CHECKING

from ..customerio.errors import (
    ConfigurationError,
    CustomerIOError,
    RateLimitedError,
    RejectedError,
    SuspendedError,
    UnknownOutcomeError,
    UnreachableError,
)
from ..outcome import Failed, Outcome, Retry
from ..redaction import redacted

if TYPE_CHECKING:
    from ..ledger import LedgerError

# A reason is a word of ours or of Customer.io's, by which logs are counted.
_CODE = re.compile(r"[a-z_]{1,40}")


def outcome_of(error: CustomerIOError, *, subject: str, data: bytes) -> Outcome:
    """Failed for what can never succeed, Retry for the rest. Customer.io's words are freed of the job's own values.

    Args:
        error: The error.
        subject: Key of the job's subject.
        data: The job's data, whose values are redacted.
    """
    requested = not error.is_held_back and (error.status is not None or isinstance(error, UnknownOutcomeError))
    match error:
        case RejectedError():
            return Failed(
                error_class="rejected",
                reason=error.reason if _CODE.fullmatch(error.reason) else redacted(error.reason, data),
                status=error.status,
                field=redacted(error.field, data),
                message=redacted(error.message, data),
                requested=requested,
                subject=subject,
            )
        case _:
            return Retry(
                status=429 if isinstance(error, RateLimitedError) else 503,
                reason=error.reason,
                upstream_status=error.status,
                message=error.message,
                needs_operator=isinstance(error, ConfigurationError),
                is_unknown=isinstance(error, UnknownOutcomeError),
                requested=requested,
                is_outage=isinstance(error, UnreachableError | SuspendedError | UnknownOutcomeError),
                subject=subject,
            )


def ledger_unavailable(error: "LedgerError", subject: str) -> Retry:
    """The ledger did not answer, so nothing was done."""
    return Retry(status=503, reason="ledger_unavailable", message=str(error), subject=subject)
