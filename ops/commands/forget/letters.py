"""The dead letters that are about somebody, found by marks alone."""

from dataclasses import dataclass

from ops import deadlines
from ops.commands.dead_letters.batch import open_batch
from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.target import Target
from shared.forgetting import marks, people_in
from shared.outcome_message import NotAnOutcomeError, OutcomeMessage
from shared.receipt import Receipt
from shared.topology import topology

_MAX_DEAD_LETTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class About:
    """A filter for dead letters about the person of a receipt.

    Args:
        project: Google Cloud project, as in marks.
        receipt: Holds the marks.
    """

    project: str
    receipt: Receipt

    def __contains__(self, letter: object) -> bool:
        if not isinstance(letter, DeadLetter):
            return False
        restored_at = self.receipt.restored_at
        if restored_at is not None and letter.first_published_at >= restored_at:
            return False
        if letter.kind == "outcomes":
            return self._is_outcome(letter.data)
        return not marks(self.project, people_in(letter.data)).isdisjoint(self.receipt.marks)

    def _is_outcome(self, data: bytes) -> bool:
        try:
            outcome = OutcomeMessage.decode(data)
        except NotAnOutcomeError:
            return False
        return outcome.subject_hash in self.receipt.subjects or outcome.delivery_id in self.receipt.deliveries


def delete_dead_letters(target: Target, receipt: Receipt, *, dry_run: bool) -> int:
    """Delete the dead letters about the person of a receipt, of every kind; how many there were."""
    wait = deadlines.DEFAULT_PULL_WAIT_SECONDS
    kinds, about = list(topology().topics), About(target.project, receipt)
    with open_batch(target, kinds, about, wait=wait, limit=_MAX_DEAD_LETTERS) as batch:
        if not dry_run:
            batch.acknowledge(batch.matching)
        return len(batch.matching)
