"""sync: the application's own users, brought to Customer.io as they are.

What was last applied of each user is remembered, so that an unchanged record costs no call and only those are
unsuppressed whom this function suppressed: somebody suppressed for another reason stays so.
"""

import hashlib
from typing import Any

import msgspec

from ..attributes import JobAttributes
from ..customerio.track import TrackAPI
from ..jobs import TrackOperation, UserDeleted, UserRecord, parse
from ..ledger import LedgerError, ProfileStates, open_ledger
from ..lifetime import Lifetime
from ..outcome import Done, Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import Settings
from .operations import apply
from .outcomes import ledger_unavailable
from .wiring import push_endpoint, track_api

_SUPPRESSED = "suppressed"
_DELETED = "deleted"


class Sync:
    """Settles sync jobs."""

    def __init__(self, track: TrackAPI, states: ProfileStates) -> None:
        self._track = track
        self._states = states

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        user = parse("sync", message.data, attributes)
        try:
            return await self._bring(user, message, attributes)
        except LedgerError as error:
            return ledger_unavailable(error, user.subject)

    async def _bring(self, user: UserRecord | UserDeleted, message: PushMessage, attributes: JobAttributes) -> Outcome:
        """Apply what leads from the last known state to the wanted one; each step can be repeated."""
        known, wanted = await self._states.state(user.subject), _wanted(user)
        if known in {wanted, _DELETED}:
            # Who asked to be forgotten stays so: a late record must not bring anybody back.
            return Done(how="unchanged", subject=user.subject)
        for operation in _steps(user, known):
            outcome = await apply(self._track, operation, message, attributes)
            if not isinstance(outcome, Done):
                return outcome
        await self._states.remember(user.subject, wanted)
        return Done(subject=user.subject)


def _wanted(user: UserRecord | UserDeleted) -> str:
    if isinstance(user, UserDeleted):
        return _DELETED
    if user.wants_nothing:
        return _SUPPRESSED
    return hashlib.sha256(msgspec.json.encode(user.attributes, order="deterministic")).hexdigest()


def _steps(user: UserRecord | UserDeleted, known: str | None) -> list[TrackOperation]:
    match user:
        case UserDeleted():
            # In this order: suppressing keeps a late identify from bringing back whom deleting removes.
            return [_operation(user, "suppress"), _operation(user, "delete")]
        case UserRecord(wants_nothing=True):
            return [_operation(user, "suppress")]
        case UserRecord():
            identify = _operation(user, "identify", attributes=user.attributes)
            return [_operation(user, "unsuppress"), identify] if known == _SUPPRESSED else [identify]


def _operation(user: UserRecord | UserDeleted, action: str, **fields: Any) -> TrackOperation:
    body = {"type": "person", "action": action, "identifiers": {"id": user.id}, **fields}
    return TrackOperation(user.subject, body, action, ordered=True)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    sync = Sync(track_api(settings, lifetime), open_ledger(settings.ledger))
    return push_endpoint(sync, settings, lifetime)
