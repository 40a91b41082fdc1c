"""What an error means for a job: the one table that joins Customer.io's errors to Pub/Sub's outcomes."""

import re

from ..customerio.errors import ConfigurationError, CustomerIOError, RateLimitedError, RejectedError
from ..jobs import InvalidJob
from ..outcome import Failed, Outcome, Retry
from .redaction import redacted, without_addresses

# What a reason is: a word of ours or of Customer.io's, by which logs are counted.
_CODE = re.compile(r"[a-z_]{1,40}")


def invalid(error: InvalidJob) -> Failed:
    """A body that our checks refused."""
    return Failed(
        error_class="invalid_job", reason="invalid", field=without_addresses(error.field), message=error.problem
    )


def outcome_of(error: CustomerIOError, *, subject: str, data: bytes) -> Outcome:
    """Failed for what can never succeed, later for the rest; what Customer.io said is freed of the job's own values."""
    match error:
        case RejectedError():
            return Failed(
                error_class="rejected",
                reason=error.reason if _CODE.fullmatch(error.reason) else redacted(error.reason, data),
                status=error.status,
                field=redacted(error.field, data),
                message=redacted(error.message, data),
                subject=subject,
            )
        case RateLimitedError():
            return Retry(
                status=429, reason=error.reason, upstream_status=error.status, message=error.message, subject=subject
            )
        case _:
            return Retry(
                status=503,
                reason=error.reason,
                upstream_status=error.status,
                message=error.message,
                hold=isinstance(error, ConfigurationError),
                subject=subject,
            )
