"""The messages of each topic: their forms, and the checks before anything is sent. No I/O.

A message's data is Customer.io's own request body, so its documentation is theirs:
https://docs.customer.io/integrations/api/.
"""

import msgspec

from .broadcast import Broadcast, BroadcastTrigger, parse_broadcast
from .errors import InvalidJob
from .identify import parse_identify
from .identify_forms import IDENTIFY_FORMS
from .operation import TrackOperation
from .send import CHANNELS, SEND_FORMS, Channel, SendRequest, parse_send
from .sync import DeletedUser, User, UserDeleted, UserRecord, parse_sync
from .track import TRACK_ACTIONS, TRACK_FORMS, parse_track
from .ulid import is_ulid, job_ulid, new_ulid

# Forms of each topic's messages, from which schemas and documentation are generated.
SCHEMAS: dict[str, list[type[msgspec.Struct]]] = {
    "identify": list(dict.fromkeys(IDENTIFY_FORMS.values())),
    "track": list(TRACK_FORMS.values()),
    "send": list(SEND_FORMS.values()),
    "broadcast": [Broadcast],
    "sync": [User, DeletedUser],
}

# Words that say what a job is and nothing about anybody.
KINDS_AND_ACTIONS = frozenset({*TRACK_FORMS, *TRACK_ACTIONS, *(word for form in IDENTIFY_FORMS for word in form)})

__all__ = [
    "CHANNELS",
    "KINDS_AND_ACTIONS",
    "SCHEMAS",
    "BroadcastTrigger",
    "Channel",
    "InvalidJob",
    "SendRequest",
    "TrackOperation",
    "UserDeleted",
    "UserRecord",
    "is_ulid",
    "job_ulid",
    "new_ulid",
    "parse_broadcast",
    "parse_identify",
    "parse_send",
    "parse_sync",
    "parse_track",
]
