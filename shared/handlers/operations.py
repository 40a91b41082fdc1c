"""Applies one Track operation and says what became of it, for the functions that use the Track API."""

from datetime import UTC, datetime

import msgspec

from ..attributes import JobAttributes
from ..customerio.errors import CustomerIOError
from ..customerio.track import TrackAPI
from ..jobs import TrackOperation
from ..outcome import Done, Outcome
from ..pubsub.message import PushMessage
from .outcomes import outcome_of


async def apply(track: TrackAPI, operation: TrackOperation, message: PushMessage, attributes: JobAttributes) -> Outcome:
    """Apply ``operation``, which came as ``message``, unless the job has expired."""
    if expired := attributes.expired(datetime.now(UTC)):
        return msgspec.structs.replace(expired, subject=operation.subject)
    try:
        await track.apply(
            msgspec.json.encode(operation.body),
            keys=(operation.subject, *operation.others),
            exclusive=operation.ordered,
            deadline=message.deadline,
        )
    except CustomerIOError as error:
        return outcome_of(error, subject=operation.subject, data=message.data)
    return Done(subject=operation.subject)
