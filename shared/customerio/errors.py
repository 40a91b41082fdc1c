"""Errors between us and Customer.io, as a tree by whether a request may be tried again.

    CustomerIOError
    ├── RejectedError                this request or item can never succeed: 400, 413, 422, an item of a 207, and of the
    │                                App API an explained 403, 404 or other 4xx
    ├── NothingSentError             Customer.io has not accepted it: trying again cannot repeat anything
    │   ├── UnreachableError         no connection: refused, DNS, TLS, timeout while connecting
    │   ├── RateLimitedError         429, or our own limit
    │   ├── DeadlineExceededError    the caller's deadline left no time for a request: not tried
    │   ├── ShuttingDownError        the instance ends: not tried
    │   ├── SuspendedError           the circuit breaker is open: not tried
    │   └── ConfigurationError       a person has to act
    │       ├── CredentialsRefusedError      401 with every enabled version of the secret, also read anew
    │       ├── CredentialsUnavailableError  the secret has no enabled version or cannot be read
    │       ├── AccountRefusedError          402, 403, 404 … for a whole batch, or from a proxy in front of Customer.io
    │       ├── QuotaExceededError           429 for a quota of days, not for the rate
    │       └── WrongRegionError             3xx: the account lives in the other region
    └── UnknownOutcomeError          it may have been accepted: no answer after it was sent, 408, 5xx

Sources: https://docs.customer.io/integrations/api/track and /app. The statuses beyond those are the ones that
Customer.io's own clients retry (customerio-node: 408, 429, 500, 502, 503, 504, 522, 524). No error holds a body, an
identifier or a key.
"""


class CustomerIOError(Exception):
    """Base of all.

    Args:
        message: A sentence for the operator.
        status: HTTP status of the answer; None if there was none.
        reason: Customer.io's own word for it; ours if empty.
    """

    # Set by the circuit breaker: this request did not go out, and the status is the answer to an earlier one.
    is_held_back = False

    def __init__(self, message: str, *, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason or self.default_reason

    default_reason = "error"


class RejectedError(CustomerIOError):
    """Customer.io refused this request or this item of it.

    Args:
        message: A sentence for the operator.
        status: HTTP status of the answer.
        reason: Customer.io's own word for it; ours if empty.
        field: Dotted path of the field at fault; empty if Customer.io named none.
    """

    default_reason = "rejected"

    def __init__(self, message: str, *, status: int | None = None, reason: str = "", field: str = "") -> None:
        super().__init__(message, status=status, reason=reason)
        self.field = field


class NothingSentError(CustomerIOError):
    """Not accepted, so trying again repeats nothing."""


class UnreachableError(NothingSentError):
    """No connection to Customer.io."""

    default_reason = "unreachable"


class RateLimitedError(NothingSentError):
    """Too many requests.

    Args:
        message: A sentence for the operator.
        status: 429 if Customer.io said so; None for a limit of our own.
        retry_after: Customer.io's advice in seconds; None if it gave none.
    """

    default_reason = "rate_limited"

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class DeadlineExceededError(NothingSentError):
    """The caller's deadline left no time for a request."""

    default_reason = "deadline_exceeded"


class ShuttingDownError(NothingSentError):
    """The instance ends: nothing new begins."""

    default_reason = "shutting_down"


class SuspendedError(NothingSentError):
    """The circuit breaker is open after failures in a row."""

    default_reason = "breaker_open"


class ConfigurationError(NothingSentError):
    """Nothing can be sent until a person changes a secret, a setting or the account."""


class CredentialsRefusedError(ConfigurationError):
    """Customer.io refused every enabled version of the credentials."""

    default_reason = "credentials_refused"


class CredentialsUnavailableError(ConfigurationError):
    """The credentials cannot be read."""

    default_reason = "secret_unavailable"


class AccountRefusedError(ConfigurationError):
    """Customer.io, or a proxy in front of it, turned the account away whatever the request held."""

    default_reason = "account_refused"


class QuotaExceededError(ConfigurationError):
    """A quota of the account is used up; it does not come back within minutes."""

    default_reason = "quota_exceeded"


class WrongRegionError(ConfigurationError):
    """The account lives in the other region."""

    default_reason = "wrong_region"


class UnknownOutcomeError(CustomerIOError):
    """The request went out, and whether Customer.io accepted it is not known."""

    default_reason = "unknown_outcome"
