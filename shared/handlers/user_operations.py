"""The state that a user record asks for, and the Track operations that lead to it. No I/O."""

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import msgspec

from ..errors import InvalidJob
from ..jobs import TrackOperation, UserDeleted, UserRecord
from ..jobs import limits as job_limits
from ..jobs.sync import UNSUBSCRIBED
from ..pubsub.message import PushMessage
from .profile import DELETED, SUPPRESSED, Apply, Version, Wanted

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A wrong `updated_at` far ahead would supersede all that follows. Clocks differ by less than this.
_MAX_AHEAD = timedelta(days=1)
# Names of attributes in one operation that only clears: at 150 bytes each they fit into its 32 KB.
_MAX_CLEARED = 100


def wanted_state(user: UserRecord | UserDeleted, message: PushMessage) -> Wanted:
    """Read the wanted state and its version out of a record that came as ``message``.

    Raises:
        InvalidJob: if ``updated_at`` lies more than a day after the job was published.
    """
    published = (message.first_published_at - _EPOCH) // _MICROSECOND
    instant = published if user.updated_at is None else user.updated_at
    if instant > published + _MAX_AHEAD // _MICROSECOND:
        raise InvalidJob("updated_at", "must not be more than a day after the job was published")
    digest, rank, names = DELETED, 3, tuple[str, ...]()
    consent: dict[str, bool] = {}
    if isinstance(user, UserRecord):
        digest, rank = SUPPRESSED, 2
        if not user.wants_nothing:
            consent, names = user.consent, tuple(sorted(user.attributes))
            digest, rank = _digest(user.attributes | consent), int(consent.get(UNSUBSCRIBED, False))
    job = hashlib.sha256(b"%b\0%b" % (message.key.encode(errors="surrogatepass"), message.data)).hexdigest()
    return Wanted(
        job=job,
        version=Version(instant, rank, published),
        digest=digest,
        names=names,
        consent=consent,
        force=user.force,
        restore=isinstance(user, UserRecord) and user.restore,
    )


def _digest(attributes: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(attributes, order="deterministic")).hexdigest()


def operations(user: UserRecord | UserDeleted, plan: Apply) -> list[TrackOperation]:
    """List the operations that carry ``plan`` out, in order; each can be repeated."""
    match user:
        case UserDeleted():
            # In this order: suppressing keeps a late identify from bringing back whom deleting removes.
            return [_operation(user, "suppress"), _operation(user, "delete")]
        case UserRecord(wants_nothing=True):
            return [_operation(user, "suppress")]
        case UserRecord():
            unsuppress = [_operation(user, "unsuppress")] if plan.unsuppress else []
            return unsuppress + [_operation(user, "identify", attributes=each) for each in _identified(user, plan)]


def forced_attributes(user: UserRecord) -> dict[str, Any]:
    """List the attributes that a forced sync of the record writes. None clears one that was set elsewhere."""
    return user.attributes | user.consent | dict.fromkeys(user.empty)


def _identified(user: UserRecord, plan: Apply) -> list[dict[str, Any]]:
    """The record's attributes and switches, with what is to be cleared as null; in several steps if it is too much."""
    attributes = user.attributes | plan.consent
    # What the application knows to be empty may have been set elsewhere.
    written = forced_attributes(user) if user.force else attributes
    whole = written | dict.fromkeys(plan.vanished)
    body = {"type": "person", "action": "identify", "identifiers": {"id": user.id}, "attributes": whole}
    if len(whole) <= job_limits.MAX_ATTRIBUTES and len(msgspec.json.encode(body)) <= job_limits.MAX_ITEM_BYTES:
        return [whole]
    cleared = sorted(name for name, value in whole.items() if value is None)
    return [dict.fromkeys(names) for names in batched(cleared, _MAX_CLEARED, strict=False)] + [attributes]


def _operation(user: UserRecord | UserDeleted, action: str, **fields: Any) -> TrackOperation:
    body = {"type": "person", "action": action, "identifiers": {"id": user.id}, **fields}
    return TrackOperation(user.subject, body, action, ordered=True)
