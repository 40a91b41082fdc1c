"""Jobs of the broadcast topic: API-triggered broadcasts, with the rules by which the API accepts an audience.

https://docs.customer.io/integrations/api/app/#operation/triggerBroadcast; which flag goes with which audience:
customerio/go-customerio, trigger_broadcast.go.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from . import limits
from .checks import Body, check_form, read_object
from .errors import InvalidJob

_FLAGS = ("email_add_duplicates", "email_ignore_missing", "id_ignore_missing")
_FLAGS_OF_AUDIENCE: dict[str, tuple[str, ...]] = {
    "recipients": (),
    "emails": ("email_add_duplicates", "email_ignore_missing"),
    "ids": ("id_ignore_missing",),
    "per_user_data": _FLAGS,
    "data_file_url": _FLAGS,
}

_IDS = f"at most {limits.BROADCAST_RECIPIENTS}; a number is written as text"


class Recipient(msgspec.Struct):
    """One person of `per_user_data`: `id` or `email`, and their own data."""

    id: Annotated[str | int, Meta(description="a number is written as text")] | None = None
    email: str | None = None
    data: dict[str, Any] | None = None


class Broadcast(msgspec.Struct, kw_only=True):
    """Trigger a broadcast for at most one audience; without one, for the audience set up in Customer.io."""

    broadcast_id: Annotated[int | str, Meta(description="number of the broadcast")]
    data: Annotated[dict[str, Any], Meta(description="what the message refers to")] | None = None
    recipients: Annotated[dict[str, Any], Meta(description="a filter: and, or, not, segment, attribute")] | None = None
    emails: Annotated[list[str], Meta(description="addresses")] | None = None
    ids: Annotated[list[str | int], Meta(description=_IDS)] | None = None
    per_user_data: Annotated[list[Recipient], Meta(description=f"at most {limits.BROADCAST_RECIPIENTS}")] | None = None
    data_file_url: Annotated[str, Meta(description="a file of JSON lines")] | None = None
    email_add_duplicates: Annotated[bool, Meta(description="for emails, per_user_data, data_file_url")] | None = None
    email_ignore_missing: Annotated[bool, Meta(description="for emails, per_user_data, data_file_url")] | None = None
    id_ignore_missing: Annotated[bool, Meta(description="for ids, per_user_data, data_file_url")] | None = None


class BroadcastTrigger(msgspec.Struct, frozen=True):
    """A trigger that can be sent: the broadcast's number, and the App API's body."""

    broadcast_id: int
    body: dict[str, Any]


def parse_broadcast(data: bytes) -> BroadcastTrigger:
    """Check a job of the broadcast topic.

    Raises:
        InvalidJob: it can never succeed.
    """
    body = read_object(data)
    check_form(body, Broadcast)
    broadcast_id = _number(body.pop("broadcast_id"))
    _check_audience(body)
    _write_ids_as_text(body)
    return BroadcastTrigger(broadcast_id, body)


def _number(value: int | str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0):
        raise InvalidJob("broadcast_id", "must be a whole number above 0")
    return int(text)


def _write_ids_as_text(body: Body) -> None:
    """Ids are text at Customer.io."""
    if ids := body.get("ids"):
        body["ids"] = [str(each) for each in ids]
    for recipient in body.get("per_user_data") or ():
        if recipient.get("id") is not None:
            recipient["id"] = str(recipient["id"])


def _check_audience(body: Body) -> None:
    audiences = [name for name in _FLAGS_OF_AUDIENCE if body.get(name) is not None]
    if len(audiences) > 1:
        raise InvalidJob(audiences[1], f"must be the only audience; {audiences[0]} is there too")
    audience = audiences[0] if audiences else ""
    for flag in _FLAGS:
        if body.get(flag) is not None and flag not in _FLAGS_OF_AUDIENCE.get(audience, ()):
            raise InvalidJob(flag, f"does not go with {audience or 'the audience set up in Customer.io'}")
    if audience and not body[audience]:
        raise InvalidJob(audience, "must not be empty")
    if audience in {"ids", "per_user_data"} and len(body[audience]) > limits.BROADCAST_RECIPIENTS:
        problem = f"must be at most {limits.BROADCAST_RECIPIENTS} people; it has {len(body[audience])}"
        raise InvalidJob(audience, problem)
    for number, recipient in enumerate(body.get("per_user_data") or ()):
        if (recipient.get("id") is None) == (recipient.get("email") is None):
            raise InvalidJob(f"per_user_data[{number}]", "must have id or email, one of them")
