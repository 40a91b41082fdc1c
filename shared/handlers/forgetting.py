"""Forgets a user at a job's word, and brings one back at another's."""

from ..attributes import JobAttributes
from ..customerio.track import TrackAPI
from ..forgetting import mark
from ..jobs import TrackOperation, UserDeleted, UserForgotten, UserRecord
from ..jobs.operation import person_key
from ..ledger import Tombstones
from ..ledger.protocol import hashed
from ..outcome import Done, Outcome
from ..pubsub.message import PushMessage
from ..receipt import Receipt
from .operations import apply


class Forgetting:
    """Forgets and restores users.

    Args:
        track: The Track API.
        tombstones: Where it is kept who is forgotten.
        project: Google Cloud project, as in marks.
    """

    def __init__(self, track: TrackAPI, tombstones: Tombstones, project: str) -> None:
        self._track = track
        self._tombstones = tombstones
        self._project = project

    async def forget(
        self, user: UserForgotten, state_key: str, message: PushMessage, attributes: JobAttributes
    ) -> Outcome:
        """Set the user's tombstones, then suppress and delete at Customer.io, then drop the user's stored state.

        Dead letters and BigQuery's rows are left to ``python -m ops forget status``, which finds the open receipt.
        """
        keys = [user.subject, *([person_key("email", user.email)] if user.email else [])]
        receipt = await self._opened(Receipt.open(self._project, keys, hashed(state_key), message.first_published_at))
        await self._tombstones.bury(receipt.person, receipt.marks, message.first_published_at)
        for action in ("suppress", "delete"):  # in this order: a late identify must not bring back who was deleted
            body = {"type": "person", "action": action, "identifiers": {"id": user.id}}
            operation = TrackOperation(user.subject, body, action, ordered=True)
            outcome = await apply(self._track, operation, message, attributes)
            if not isinstance(outcome, Done):
                return outcome
        await self._tombstones.erase([], [hashed(state_key)])
        receipt.note("customer.io", 1)
        await self._tombstones.keep_receipt(receipt.person, receipt.encode())
        return Done(subject=user.subject)

    async def restore(self, user: UserRecord | UserDeleted, message: PushMessage) -> Outcome | None:
        """Remove the tombstones of a user whom the job restores. A job that is older than they gets an outcome."""
        if isinstance(user, UserDeleted) or not user.restore:
            return None
        person = mark(self._project, user.subject)
        tombstone = await self._tombstones.find(person)
        if tombstone is None:
            return None
        if message.first_published_at <= tombstone.forgotten_at:
            return Done(how="forgotten", subject=user.subject)
        if text := await self._tombstones.receipt(tombstone.person):
            receipt = Receipt.decode(text)
            receipt.restored_at = message.first_published_at
            await self._tombstones.keep_receipt(receipt.person, receipt.encode())
        await self._tombstones.restore(tombstone.person)
        return None

    async def _opened(self, fresh: Receipt) -> Receipt:
        """Keep the receipt, so that the rest is done even if this delivery ends here."""
        text = await self._tombstones.receipt(fresh.person)
        known = Receipt.decode(text) if text else None
        receipt = known.reopened(fresh) if known else fresh
        await self._tombstones.keep_receipt(receipt.person, receipt.encode())
        return receipt
