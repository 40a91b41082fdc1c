"""The broadcast topic: API-triggered broadcasts, with the rules by which the API accepts an audience.

Unknown fields are refused here, and only here: without an audience that it knows, the API takes the one that is set up
for the broadcast, so a misspelt ``segment`` would send the message to everybody. For the same reason that audience has
to be asked for, by the message attribute ``audience`` = ``as_configured``.

https://docs.customer.io/integrations/api/app/#operation/triggerBroadcast; which flag goes with which audience:
customerio/go-customerio, trigger_broadcast.go.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..attributes import JobAttributes
from ..errors import InvalidJob
from . import limits
from .checks import Body, check_form, read_object

AS_CONFIGURED = "as_configured"

_FLAGS = ("email_add_duplicates", "email_ignore_missing", "id_ignore_missing")
_FLAGS_OF_AUDIENCE: dict[str, tuple[str, ...]] = {
    "recipients": (),
    "emails": ("email_add_duplicates", "email_ignore_missing"),
    "ids": ("id_ignore_missing",),
    "per_user_data": _FLAGS,
    "data_file_url": _FLAGS,
}

_IDS = f"at most {limits.MAX_BROADCAST_RECIPIENTS}; a number is written as text"


class Recipient(msgspec.Struct, forbid_unknown_fields=True):
    """One person of `per_user_data`: `id` or `email`, and their own data."""

    id: Annotated[str | int, Meta(description="a number is written as text")] | None = None
    email: str | None = None
    data: dict[str, Any] | None = None


class Broadcast(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Trigger a broadcast for one audience: `recipients`, `emails`, `ids`, `per_user_data` or `data_file_url`.

    For the audience that is set up in Customer.io name none, and set the attribute `audience` to `as_configured`.
    """

    broadcast_id: Annotated[int | str, Meta(description="the broadcast's number")]
    data: Annotated[dict[str, Any], Meta(description="data that the message refers to")] | None = None
    recipients: Annotated[dict[str, Any], Meta(description="a filter: and, or, not, segment, attribute")] | None = None
    emails: Annotated[list[str], Meta(description="addresses")] | None = None
    ids: Annotated[list[str | int], Meta(description=_IDS)] | None = None
    per_user_data: Annotated[list[Recipient], Meta(description=f"at most {limits.MAX_BROADCAST_RECIPIENTS}")] | None = (
        None
    )
    data_file_url: Annotated[str, Meta(description="a file of JSON lines")] | None = None
    email_add_duplicates: Annotated[bool, Meta(description="for emails, per_user_data, data_file_url")] | None = None
    email_ignore_missing: Annotated[bool, Meta(description="for emails, per_user_data, data_file_url")] | None = None
    id_ignore_missing: Annotated[bool, Meta(description="for ids, per_user_data, data_file_url")] | None = None


class BroadcastTrigger(msgspec.Struct, frozen=True):
    """A broadcast, checked: its number, and the body for the App API."""

    broadcast_id: int
    body: dict[str, Any]


def parse(data: bytes, attributes: JobAttributes) -> BroadcastTrigger:
    """Check a broadcast job. The attribute ``audience`` may be ``as_configured``.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    body = read_object(data, max_brackets=limits.MAX_BROADCAST_BRACKETS, max_commas=limits.MAX_BROADCAST_COMMAS)
    check_form(body, Broadcast)
    broadcast_id = _number(body.pop("broadcast_id"))
    _check_audience(body, attributes.audience)
    _write_ids_as_text(body)
    return BroadcastTrigger(broadcast_id, body)


def _number(value: int | str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0):
        raise InvalidJob("broadcast_id", "must be a whole number above 0")
    return int(text)


def _write_ids_as_text(body: Body) -> None:
    """Write numbers as text, as Customer.io stores ids."""
    if ids := body.get("ids"):
        body["ids"] = [str(each) for each in ids]
    for recipient in body.get("per_user_data") or ():
        if recipient.get("id") is not None:
            recipient["id"] = str(recipient["id"])


def _audience(body: Body, configured: str | None) -> str:
    """Name the field that holds the audience; empty for the one that is set up in Customer.io."""
    if configured not in {None, AS_CONFIGURED}:
        raise InvalidJob("audience", f"the attribute must be {AS_CONFIGURED}, or absent")
    audiences = [name for name in _FLAGS_OF_AUDIENCE if body.get(name) is not None]
    if len(audiences) > 1:
        raise InvalidJob(audiences[1], f"must be the only audience; {audiences[0]} is there too")
    if audiences and configured:
        raise InvalidJob(audiences[0], f"does not go with the attribute audience = {AS_CONFIGURED}")
    if not audiences and not configured:
        problem = (
            f"is required: give one of {', '.join(_FLAGS_OF_AUDIENCE)}, or set the attribute audience to "
            f"{AS_CONFIGURED} for the audience set up in Customer.io"
        )
        raise InvalidJob("audience", problem)
    return audiences[0] if audiences else ""


def _check_audience(body: Body, configured: str | None) -> None:
    audience = _audience(body, configured)
    for flag in _FLAGS:
        if body.get(flag) is not None and flag not in _FLAGS_OF_AUDIENCE.get(audience, ()):
            raise InvalidJob(flag, f"does not go with {audience or 'the audience set up in Customer.io'}")
    if audience and not body[audience]:
        raise InvalidJob(audience, "must not be empty")
    if audience in {"ids", "per_user_data"} and len(body[audience]) > limits.MAX_BROADCAST_RECIPIENTS:
        problem = f"must be at most {limits.MAX_BROADCAST_RECIPIENTS} people; it has {len(body[audience])}"
        raise InvalidJob(audience, problem)
    for number, recipient in enumerate(body.get("per_user_data") or ()):
        if (recipient.get("id") is None) == (recipient.get("email") is None):
            raise InvalidJob(f"per_user_data[{number}]", "must have id or email, one of them")
