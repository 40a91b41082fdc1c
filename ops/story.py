"""The life of one job, put together from its outcomes, the events of its message, and its dead letters.

No I/O: ``ops.story_sources`` reads, and ``ops trace`` and the console show.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.commands.dead_letters.dead_letter import DeadLetter
from shared.redaction import without_addresses
from shared.topology import topology

Row = dict[str, Any]
"""A row of table ``job_outcomes`` or of view ``events_deduplicated``, by column."""

# Columns of an attempt that its step tells.
_FACTS = (
    *("outcome", "lane", "attempt", "message_id", "reason", "error_class", "status"),
    *("delivery_id", "trigger_id", "latency_seconds", "trace_id"),
)
# Order of what happened in one moment.
_ORDER = (
    *("published", "replayed", "published_again", "unrecorded", "retried", "moved", "applied", "sent_not_recorded"),
    *("already_done", "unchanged", "superseded", "forgotten", "failed", "dead_letter"),
    # The life of a message, as in view messages.
    *("drafted", "attempted", "deferred", "sent", "delivered", "opened", "clicked", "replied", "converted"),
    *("bounced", "dropped", "undeliverable", "unsubscribed", "spammed"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a job.

    Args:
        at: When it happened, or when it was first seen where nothing recorded it.
        what: ``published``, ``replayed`` or ``published_again``; an attempt: ``retried``, ``moved``, ``failed``,
            ``applied``, another way of being done, or ``unrecorded``; ``dead_letter`` for one that still waits;
            ``waiting`` or ``paused``; or what Customer.io reported: ``sent``, ``delivered``, ``opened``, ….
        detail: A sentence for the operator.
        facts: What else is known, by the names of columns: ``lane``, ``attempt``, ``status``, ``reason``, ….
    """

    at: datetime
    what: str
    detail: str = ""
    facts: Row = field(default_factory=dict)

    def document(self) -> Row:
        """The step as JSON."""
        return {"at": self.at, "what": self.what, "detail": self.detail, **self.facts}


@dataclass(frozen=True, slots=True)
class Story:
    """The life of one job, in the order of time.

    Args:
        job_id: The job's key; empty for a delivery that no job of ours led to.
        kind: Kind of job; empty as well.
        steps: What happened.
    """

    job_id: str
    kind: str
    steps: Sequence[Step]

    @property
    def delivery_id(self) -> str:
        """Customer.io's id of the message that the job became; empty if none is known."""
        found = (str(step.facts.get("delivery_id") or "") for step in self.steps)
        return next(filter(None, found), "")

    @property
    def waits_in(self) -> str:
        """Lane in which the job waits for its next attempt; empty if it waits in none."""
        attempts = [step.facts for step in self.steps if "outcome" in step.facts]
        match attempts[-1]["outcome"] if attempts else "":
            case "moved":
                return "retry"
            case "retried":
                return str(attempts[-1].get("lane", ""))
            case _:
                return ""

    def document(self) -> Row:
        """The story as JSON."""
        return {
            "job_id": self.job_id,
            "kind": self.kind,
            "delivery_id": self.delivery_id,
            "steps": [step.document() for step in self.steps],
        }


def build_story(
    job_id: str, outcomes: Iterable[Row], events: Iterable[Row] = (), dead_letters: Iterable[DeadLetter] = ()
) -> Story:
    """Put a job's life together.

    Args:
        job_id: The job's key.
        outcomes: Its rows of ``job_outcomes``.
        events: Rows of ``events_deduplicated`` about its deliveries.
        dead_letters: Its dead letters that still wait.
    """
    attempts = _without_repetitions(outcomes)
    letters = sorted(dead_letters, key=lambda letter: letter.arrived_at)
    kind = next((str(row["kind"]) for row in attempts), letters[0].kind if letters else "")
    steps = [
        *_published(attempts, letters),
        *_attempts(attempts),
        *(_dead_letter(letter) for letter in letters),
        *(_reported(event) for event in events),
    ]
    return Story(job_id, kind, sorted(steps, key=lambda step: _moment(step, attempts)))


def _moment(step: Step, attempts: Sequence[Row]) -> tuple[datetime, int]:
    """Place of a step in the order of time: nothing comes before the attempt that led to it."""
    cause = None
    if "metric" in step.facts:  # Customer.io reports whole seconds
        sent = (row["settled_at"] for row in attempts if row["delivery_id"])
        cause = next((at for at in sent if step.at == at.replace(microsecond=0)), None)
    elif step.what == "dead_letter":  # it is published before its outcome is known
        failed = (row["settled_at"] for row in attempts if row["outcome"] == "failed")
        cause = next((at for at in failed if at >= step.at), None)
    return cause or step.at, _ORDER.index(step.what) if step.what in _ORDER else len(_ORDER)


def _without_repetitions(rows: Iterable[Row]) -> list[Row]:
    """Rows in the order of time; one that Pub/Sub delivered twice counts once."""
    kept = {(row["message_id"], row["attempt"], row["settled_at"]): row for row in rows}
    return sorted(kept.values(), key=lambda row: row["settled_at"])


def _published(attempts: Sequence[Row], letters: Sequence[DeadLetter]) -> Iterator[Step]:
    times = [row["published_at"] for row in attempts if row["published_at"]]
    if times := times or [letter.first_published_at for letter in letters]:
        yield Step(min(times), "published")


def _attempts(rows: Sequence[Row]) -> Iterator[Step]:
    """One step an attempt, and one for each that left no record."""
    latest: dict[str, int] = {}
    before: Row | None = None
    for row in rows:
        message, attempt = str(row["message_id"]), row["attempt"]
        if before is not None and message not in latest and before["outcome"] != "moved":
            yield _again(row, before)
        if attempt is not None:
            yield from (_unrecorded(row, number) for number in range(latest.get(message, 0) + 1, attempt))
            latest[message] = max(attempt, latest.get(message, 0))
        else:
            latest.setdefault(message, 0)
        yield _settled(row)
        before = row


def _again(row: Row, before: Row) -> Step:
    if before["outcome"] == "failed":
        return Step(row["settled_at"], "replayed", "out of the dead letters; this is its first attempt's time")
    return Step(row["settled_at"], "published_again", "under the same job id; this is its first attempt's time")


def _unrecorded(row: Row, number: int) -> Step:
    detail = f"attempt {number} left no record: the instance ended, had a fault or had no room"
    return Step(row["settled_at"], "unrecorded", detail, {"lane": row["lane"], "attempt": number})


def _settled(row: Row) -> Step:
    facts = {name: row[name] for name in _FACTS if row.get(name) not in (None, "")}
    facts["requested"] = bool(row["requested"])
    what = str(row["how"] or row["outcome"]) if row["outcome"] == "done" else str(row["outcome"])
    return Step(row["settled_at"], what, _sentence(row), facts)


def _sentence(row: Row) -> str:
    attempt = "" if row["attempt"] is None else f"attempt {row['attempt']} in lane {row['lane']}"
    status = (
        ""
        if row["status"] is None
        else f"Customer.io {'answered' if row['requested'] else 'had answered'} {row['status']}"
    )
    match row["outcome"]:
        case "done":
            ids = [f"{name} {row[name + '_id']}" for name in ("delivery", "trigger") if row[name + "_id"]]
            return "; ".join(filter(None, [attempt, *ids]))
        case "failed":
            return "; ".join(filter(None, [attempt, _why(row), status, "put into the dead letters"]))
        case "moved":
            return "; ".join(filter(None, [attempt, _why(row), status, "moved to the retry lane"]))
        case _:
            return "; ".join(filter(None, [attempt, _why(row), status]))


def _why(row: Row) -> str:
    return ": ".join(dict.fromkeys(filter(None, [row["error_class"], row["reason"]])))


def _dead_letter(letter: DeadLetter) -> Step:
    place = topology().topics[letter.kind].dead_letter_name
    why = ": ".join(filter(None, [letter.error_class, letter.reason, letter.details.get("message", "")]))
    facts = {"reason": letter.reason, "error_class": letter.error_class, **letter.details}
    facts |= {"message_id": letter.message_id, "subscription": place}
    return Step(letter.arrived_at, "dead_letter", f"waits in {place}: {why}", facts)


def _reported(event: Row) -> Step:
    names = ("event_id", "metric", "object_type", "delivery_id")
    facts = {name: event[name] for name in names if event.get(name)}
    return Step(
        event["event_time"] or event["received_at"],
        str(event["metric"]),
        without_addresses(str(event["failure_message"] or "")),
        {**facts, "received_at": event["received_at"]},
    )
