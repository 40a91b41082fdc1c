"""What became of a job, in three words: done, failed for good, later.

Handlers return one of these; ``shared.pubsub`` turns it into the answer to the push and ``shared.telemetry`` into a
log line.
"""

from typing import Literal

import msgspec

ErrorClass = Literal[
    "invalid_job",  # our checks refused the body before anything was sent
    "rejected",  # Customer.io refused it: 400, 403, 404, 413, 422 or an item of a 207
    "expired",  # `expires_at` had passed
    "unknown_outcome",  # a send that may or may not have happened, under `at_most_once`
    "key_conflict",  # the same job_id came with another body
    "attempts_spent",  # the last attempt of the retry lane failed too
    "not_an_event",  # a webhook whose signature is right and whose body is not an event
    "row_rejected",  # BigQuery refused the row
]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the three. ``subject`` is the key of the person or object, such as ``id:42``; logs hold only its hash."""

    subject: str = ""


class Done(Outcome, frozen=True, kw_only=True):
    """Applied now, or known to have been applied before."""

    how: Literal["applied", "already_done", "unchanged"] = "applied"


class Failed(Outcome, frozen=True, kw_only=True):
    """It cannot succeed as it is: to the dead-letter topic, with all of this as attributes.

    Args:
        error_class: which of the ways to fail.
        reason: Customer.io's own reason where it gave one, otherwise a word of ours.
        status: HTTP status of the answer that decided it, if there was one.
        field: dotted path of the field at fault, if known.
        message: a sentence for the operator; never a value out of the body.
    """

    error_class: ErrorClass
    reason: str
    status: int | None = None
    field: str = ""
    message: str = ""


class Retry(Outcome, frozen=True, kw_only=True):
    """Not now: Pub/Sub is to deliver it again.

    Args:
        status: 429 when a limit is the reason, otherwise 503.
        reason: a word for logs and alerts, such as ``rate_limited`` or ``credentials_refused``.
        upstream_status: HTTP status that Customer.io gave, if it answered.
        message: a sentence for the operator.
        hold: a person has to act (wrong key, wrong region): logged as CRITICAL, once per instance and reason.
    """

    status: Literal[429, 503]
    reason: str
    upstream_status: int | None = None
    message: str = ""
    hold: bool = False
