"""What can go wrong between us and Customer.io.

    CustomerIOError
    ├── RejectedError                this request can never succeed: 400, 403, 404, 413, 422, an item of a 207
    ├── NothingSentError             Customer.io has not accepted it: trying again cannot repeat anything
    │   ├── UnreachableError         no connection: refused, DNS, TLS, timeout while connecting
    │   ├── RateLimitedError         429, or our own limit
    │   ├── SuspendedError           the breaker is open: not tried
    │   └── ConfigurationError       a person has to act
    │       ├── CredentialsRefusedError   401 also after the secret was read anew
    │       └── WrongRegionError          3xx: the account lives in the other region
    └── UnknownOutcomeError          it may have been accepted: no answer after it was sent, 408, 5xx

Which status is which: https://docs.customer.io/integrations/api/track and /app; the statuses beyond those are the
ones that Customer.io's own clients retry (customerio-node: 408, 429, 500, 502, 503, 504, 522, 524). No error holds a
body, an identifier or a key.
"""


class CustomerIOError(Exception):
    """Base of all.

    Args:
        message: a sentence for the operator.
        status: HTTP status of the answer, None when there was none.
        reason: Customer.io's own word for it where it gave one, otherwise ours.
    """

    def __init__(self, message: str, *, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason or self.default_reason

    default_reason = "error"


class RejectedError(CustomerIOError):
    """Customer.io refused this request or this item of it; ``field`` names what is at fault, if it said."""

    default_reason = "rejected"

    def __init__(self, message: str, *, status: int | None = None, reason: str = "", field: str = "") -> None:
        super().__init__(message, status=status, reason=reason)
        self.field = field


class NothingSentError(CustomerIOError):
    """Not accepted, so it can be tried again without repeating anything."""


class UnreachableError(NothingSentError):
    default_reason = "unreachable"


class RateLimitedError(NothingSentError):
    """Too many requests; ``retry_after`` is Customer.io's advice in seconds, if it gave one."""

    default_reason = "rate_limited"

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class SuspendedError(NothingSentError):
    default_reason = "breaker_open"


class ConfigurationError(NothingSentError):
    """Nothing can be sent until a person changes a secret or a setting."""


class CredentialsRefusedError(ConfigurationError):
    default_reason = "credentials_refused"


class WrongRegionError(ConfigurationError):
    default_reason = "wrong_region"


class UnknownOutcomeError(CustomerIOError):
    """It went out and its fate is not known."""

    default_reason = "unknown_outcome"
