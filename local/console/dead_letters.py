"""Dead letters on the page, by the same functions as the command ``dead-letters``. All of these block."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from local import deadlines
from ops.commands.dead_letters.batch import Batch, open_batch
from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.commands.dead_letters.republish import Changes
from ops.commands.dead_letters.selection import Selection
from ops.commands.dead_letters.settle import replay_batch
from ops.commands.dead_letters.views import View
from ops.target import Target
from shared.redaction import loggable_key

# Dead letters leased per kind for one look, and shown.
_MAX_READ = 500
MAX_SHOWN = 50
_REPLAYS_PER_SECOND = 100.0


@dataclass(frozen=True, slots=True)
class Listed:
    """One dead letter as the page lists it: nothing of its payload."""

    kind: str
    job_id: str
    reason: str
    error_class: str
    explanation: str
    failed_at: str


def listed(target: Target, kinds: Sequence[str]) -> tuple[list[Listed], int]:
    """List the latest dead letters of the given kinds, newest first. They stay where they are.

    Returns:
        At most ``MAX_SHOWN`` of them, and the number of all that were found.

    Raises:
        OperatorError: if Pub/Sub does not answer.
    """
    with open_batch(target, kinds, Selection(), wait=deadlines.PULL_SECONDS, limit=_MAX_READ) as batch:
        latest = sorted(batch.matching, key=lambda letter: letter.arrived_at, reverse=True)[:MAX_SHOWN]
        view = View(target.project, reveal=False)
        return [_listed(letter, view) for letter in latest], len(batch.matching)


def documents(target: Target, kind: str, job_id: str) -> list[Mapping[str, Any]]:
    """Read the dead letters of one job whole, payload included.

    Raises:
        OperatorError: if Pub/Sub does not answer.
    """
    view = View(target.project, reveal=True)
    with _opened(target, kind, job_id) as batch:
        return [view.document(letter) for letter in batch.matching]


def replay(target: Target, kind: str, job_id: str) -> int:
    """Put the dead letters of one job back on their topic, and give their number.

    Raises:
        OperatorError: if Pub/Sub does not answer.
    """
    with _opened(target, kind, job_id) as batch:
        replay_batch(batch, Changes(), target, _REPLAYS_PER_SECOND)
        return batch.acknowledged


def discard(target: Target, kind: str, job_id: str) -> int:
    """Delete the dead letters of one job for good, and give their number.

    Raises:
        OperatorError: if Pub/Sub does not answer.
    """
    with _opened(target, kind, job_id) as batch:
        batch.acknowledge(batch.matching)
        return batch.acknowledged


def _opened(target: Target, kind: str, job_id: str) -> AbstractContextManager[Batch]:
    selection = Selection(job_ids=frozenset({job_id}))
    return open_batch(target, [kind], selection, wait=deadlines.PULL_SECONDS, limit=_MAX_READ)


def _listed(letter: DeadLetter, view: View) -> Listed:
    return Listed(
        kind=letter.kind,
        job_id=loggable_key(letter.job_id),
        reason=letter.reason,
        error_class=letter.error_class,
        explanation=view.explanation(letter),
        failed_at=letter.arrived_at.strftime("%H:%M:%S"),
    )
