"""Messages of the outcomes topic: what became of one delivery of a job. Their attributes, and their row in BigQuery.

A message says nothing about the job's body, and of its person only a hash.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from .attributes import MAX_VALUE_BYTES
from .outcome import Done, Failed, Outcome, Retry


class NotAnOutcomeError(ValueError):
    """The data is not an outcome. The text says what was expected and quotes nothing."""


class OutcomeMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one delivery of a job.

    Args:
        function: Function that settled the delivery.
        kind: Kind of job, such as ``send``.
        job_id: The job's key, the same at every delivery. A key with an ``@`` in it is hashed.
        outcome: ``done``, ``failed`` (the job is in its dead-letter topic), ``moved`` (to the retry lane) or
            ``retried`` (Pub/Sub delivers it again). Further words may appear.
        published_at: When the application published the job.
        at: When the delivery was settled.
        latency_seconds: Seconds between the two.
        message_id: Pub/Sub's id of the delivered message; another one after the job moved to another topic.
        attempt: Number of the delivery on its subscription, from 1; None where Pub/Sub does not say.
        lane: Lane of the delivery.
        how: For ``done``: ``applied``, ``already_done``, ``unchanged``, ``superseded``, ``sent_not_recorded`` or
            ``forgotten``.
        error_class: For ``failed``: the class of the dead letter.
        reason: A word for why it was not done.
        status: HTTP status that decided it, where one did: Customer.io's answer to this delivery's request, or to an
            earlier one after which requests are held back.
        requested: Whether this delivery sent a request to Customer.io.
        delivery_id: Customer.io's id of the message that a send became, as webhooks name it.
        trigger_id: Customer.io's id of the broadcast that was triggered.
        subject_hash: Hash of the person or object that the job is about, as in the functions' logs.
        trace_id: Trace of the delivery, as in the functions' logs.
    """

    function: str
    kind: str
    job_id: str
    outcome: str
    published_at: datetime
    at: datetime
    latency_seconds: float
    message_id: str = ""
    attempt: int | None = None
    lane: str = ""
    how: str = ""
    error_class: str = ""
    reason: str = ""
    status: int | None = None
    requested: bool = False
    delivery_id: str = ""
    trigger_id: str = ""
    subject_hash: str = ""
    trace_id: str = ""

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the data of a message; fields that are not known are ignored.

        Raises:
            NotAnOutcomeError: if it is not an outcome.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # The parser's own text may quote the data.
            required = [field.name for field in msgspec.structs.fields(cls) if field.required]
            raise NotAnOutcomeError(f"not an outcome: expected JSON with {', '.join(required)}") from None

    def encode(self) -> bytes:
        """Data of the message: JSON. Fields that say nothing are left out."""
        return msgspec.json.encode(self)

    def attributes(self) -> dict[str, str]:
        """Attributes by which subscriptions filter: ``kind``, ``outcome``, and ``job_id`` where Pub/Sub takes it."""
        named = {"kind": self.kind, "outcome": self.outcome}
        return named | ({"job_id": self.job_id} if len(self.job_id.encode()) <= MAX_VALUE_BYTES else {})


def fields_of(outcome: Outcome) -> dict[str, Any]:
    """The fields of an ``OutcomeMessage`` that its outcome decides."""
    match outcome:
        case Done():
            ids = {"delivery_id": outcome.delivery_id, "trigger_id": outcome.trigger_id}
            requested = outcome.how in {"applied", "sent_not_recorded"}
            return {"outcome": "done", "how": outcome.how, "requested": requested, **ids}
        case Failed():
            why = {"error_class": outcome.error_class, "reason": outcome.reason, "status": outcome.status}
            return {"outcome": "failed", "requested": outcome.requested, **why}
        case Retry():
            word = "moved" if outcome.moved else "retried"
            why = {"reason": outcome.reason, "status": outcome.upstream_status}
            return {"outcome": word, "requested": outcome.requested, **why}
        case _:
            msg = f"not an outcome: {type(outcome).__name__}"
            raise TypeError(msg)


def outcome_row(message: OutcomeMessage) -> dict[str, Any]:
    """Make the row of table ``job_outcomes`` (``terraform/schemas/job_outcomes.json``), in BigQuery's JSON form.

    Columns are called like the fields, but for ``at``, which is a reserved word in GoogleSQL.
    """
    row = {name: getattr(message, name) for name in message.__struct_fields__}
    row["settled_at"] = row.pop("at").astimezone(UTC).isoformat()
    row["published_at"] = message.published_at.astimezone(UTC).isoformat()
    return {column: value for column, value in row.items() if value not in ("", None)}


def outcome_row_id(data: bytes) -> str:
    """Make the key by which BigQuery drops a row that it took within the last minute.

    A message that is delivered again has the same bytes; two deliveries of one job differ in their time.
    """
    return hashlib.sha256(data).hexdigest()
