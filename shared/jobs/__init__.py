"""The messages of each topic: their forms, and the checks before anything is sent. No I/O.

A message's data is Customer.io's own request body, so Customer.io's documentation describes it:
https://docs.customer.io/integrations/api/. Message attributes are ours; ``parse`` reads those that change how the data
is judged.
"""

from collections.abc import Callable
from typing import Literal, get_args, overload

import msgspec

from ..attributes import JobAttributes
from ..errors import InvalidJob
from . import broadcast, identify, send, sync, track
from .broadcast import Broadcast, BroadcastTrigger
from .identify_schema import IDENTIFY_FORMS
from .operation import TrackOperation
from .send import CHANNELS, SEND_FORMS, Channel, SendRequest
from .sync import DeletedUser, ForgottenUser, User, UserDeleted, UserForgotten, UserRecord
from .track import TRACK_ACTIONS, TRACK_FORMS
from .ulid import is_ulid, job_ulid, new_ulid

Kind = Literal["identify", "track", "send", "broadcast", "sync"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Job = TrackOperation | SendRequest | BroadcastTrigger | UserRecord | UserDeleted | UserForgotten

# Forms of each topic's messages, from which schemas and documentation are generated.
SCHEMAS: dict[str, list[type[msgspec.Struct]]] = {
    "identify": list(dict.fromkeys(IDENTIFY_FORMS.values())),
    "track": list(TRACK_FORMS.values()),
    "send": list(SEND_FORMS.values()),
    "broadcast": [Broadcast],
    "sync": [User, DeletedUser, ForgottenUser],
}

# Words that name a job's type or action and say nothing about anybody.
KINDS_AND_ACTIONS = frozenset({*TRACK_FORMS, *TRACK_ACTIONS, *(word for form in IDENTIFY_FORMS for word in form)})

_PARSERS: dict[str, Callable[[bytes, JobAttributes], Job]] = {
    "identify": identify.parse,
    "track": track.parse,
    "send": send.parse,
    "broadcast": broadcast.parse,
    "sync": sync.parse,
}
_NO_ATTRIBUTES = JobAttributes()


@overload
def parse(kind: Literal["identify", "track"], data: bytes, attributes: JobAttributes = ...) -> TrackOperation: ...
@overload
def parse(kind: Literal["send"], data: bytes, attributes: JobAttributes = ...) -> SendRequest: ...
@overload
def parse(kind: Literal["broadcast"], data: bytes, attributes: JobAttributes = ...) -> BroadcastTrigger: ...
@overload
def parse(
    kind: Literal["sync"], data: bytes, attributes: JobAttributes = ...
) -> UserRecord | UserDeleted | UserForgotten: ...
@overload
def parse(kind: str, data: bytes, attributes: JobAttributes = ...) -> Job: ...
def parse(kind: str, data: bytes, attributes: JobAttributes = _NO_ATTRIBUTES) -> Job:
    """Check one job as its function does.

    Args:
        kind: One of ``KINDS``.
        data: The message's data.
        attributes: Attributes of the message. A send needs ``channel``, a broadcast ``audience``.

    Raises:
        InvalidJob: if the job can never succeed as it is.
    """
    return _PARSERS[kind](data, attributes)


def subjects(job: Job) -> tuple[str, ...]:
    """List the keys of the people or objects that a job is about; the one that orders it comes first.

    A broadcast has none.
    """
    match job:
        case TrackOperation():
            return (job.subject, *job.others)
        case BroadcastTrigger():
            return ()
        case _:
            return (job.subject,)


__all__ = [
    "CHANNELS",
    "KINDS",
    "KINDS_AND_ACTIONS",
    "SCHEMAS",
    "BroadcastTrigger",
    "Channel",
    "InvalidJob",
    "Job",
    "Kind",
    "SendRequest",
    "TrackOperation",
    "UserDeleted",
    "UserForgotten",
    "UserRecord",
    "is_ulid",
    "job_ulid",
    "new_ulid",
    "parse",
    "subjects",
]
