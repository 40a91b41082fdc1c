"""The outcomes of a job: done, failed for good, or to be tried again; and the status with which each answers its push.

Pub/Sub takes 102, 200, 201, 202 and 204 as an acknowledgement and delivers everything else again.
https://cloud.google.com/pubsub/docs/push#receive_push
"""

from typing import Literal

import msgspec

ErrorClass = Literal[
    "invalid_job",  # our checks refused the body before anything was sent
    "rejected",  # Customer.io refused it: 400, 413, 422, an item of a 207, or an explained 4xx of the App API
    "recipient_not_allowed",  # this environment does not write to everybody
    "expired",  # `expires_at` had passed
    "unknown_outcome",  # a send that may or may not have happened, under `at_most_once`
    "forgotten",  # a record of a user who was deleted, without `restore`
    "audience_refused",  # a broadcast was triggered, and Customer.io refused lines of its audience
    "key_conflict",  # the same job_id came with another body
    "attempts_spent",  # the last attempt of the retry lane failed too
    "not_an_event",  # a webhook whose signature is right and whose body is not an event
    "not_an_outcome",  # a message on the outcomes topic that no function of ours published
    "row_rejected",  # BigQuery refused the row
]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the three.

    Args:
        subject: Key of the person or object that the job is about, such as ``id:42``; logs hold only its hash.
    """

    subject: str = ""

    @property
    def answer_status(self) -> int:
        """HTTP status of the push's answer. A failed job is acknowledged: it is in its dead-letter topic by then."""
        return 204


class Done(Outcome, frozen=True, kw_only=True):
    """Applied now or before, or not to be applied because Customer.io has it so, or newer, already.

    Args:
        how: ``forgotten`` where the job is about somebody who was forgotten, and nothing was done;
            ``sent_not_recorded`` where the ledger did not take the record: the same job would be sent again.
        delivery_id: Customer.io's id of the message that a send became, by which webhooks name it; otherwise empty.
        trigger_id: Customer.io's id of the broadcast that was triggered; otherwise empty.
    """

    how: Literal["applied", "already_done", "unchanged", "superseded", "sent_not_recorded", "forgotten"] = "applied"
    delivery_id: str = ""
    trigger_id: str = ""


class Failed(Outcome, frozen=True, kw_only=True):
    """The job cannot succeed as it is. It goes to the dead-letter topic, with all of this as attributes.

    Args:
        error_class: Way in which it failed.
        reason: Customer.io's own reason where it gave one, otherwise a word of ours.
        status: HTTP status of the answer that decided it, or None.
        field: Dotted path of the field at fault, if known.
        message: A sentence for the operator; never a value out of the body.
        requested: Whether this delivery sent a request to Customer.io.
    """

    error_class: ErrorClass
    reason: str
    status: int | None = None
    field: str = ""
    message: str = ""
    requested: bool = False


class Retry(Outcome, frozen=True, kw_only=True):
    """The job cannot be done now. Pub/Sub delivers it again.

    Args:
        status: 429 when a limit is the reason, otherwise 503.
        reason: A word for logs and alerts, such as ``rate_limited`` or ``credentials_refused``.
        upstream_status: HTTP status that Customer.io gave, or None if it did not answer.
        message: A sentence for the operator.
        needs_operator: Whether nothing passes until a person acts (wrong key, wrong region). Logged as CRITICAL, once
            per instance and reason.
        is_unknown: Whether Customer.io may have accepted it.
        requested: Whether this delivery sent a request to Customer.io. If not, a status is that of an earlier answer,
            which holds requests back.
        is_outage: Whether Customer.io did not answer, or answered with a fault of its own.
        moved: Whether the job was published to the retry lane by now: then this delivery is acknowledged.
    """

    status: Literal[429, 503]
    reason: str
    upstream_status: int | None = None
    message: str = ""
    needs_operator: bool = False
    is_unknown: bool = False
    requested: bool = False
    is_outage: bool = False
    moved: bool = False

    @property
    def is_our_limit(self) -> bool:
        """Whether a limit of ours refused the job, so that it was not tried."""
        return self.status == 429 and self.upstream_status is None

    @property
    def answer_status(self) -> int:
        return 204 if self.moved else self.status
