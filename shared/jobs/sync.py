"""The sync topic: the application's own user record, or the word that the user is gone."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..attributes import JobAttributes
from ..errors import InvalidJob
from . import limits
from .checks import (
    Body,
    check_attributes,
    check_data_size,
    check_email,
    check_form,
    check_id,
    check_item_size,
    check_timestamp,
    read_object,
)
from .fields import ID, Email

# Fields that steer the sync and do not become attributes of the person.
_STEERING_FIELDS = frozenset({"id", "preferences", "deleted"})


class Preferences(msgspec.Struct):
    """What the user wants to receive. An absent field counts as yes; a user who wants neither is suppressed."""

    marketing: bool = True
    transactional: bool = True


class User(msgspec.Struct, kw_only=True):
    """The user as the application knows them. Any further field becomes an attribute of that name."""

    id: ID
    email: Email | None = None
    first_name: str | None = None
    last_name: str | None = None
    plan: str | None = None
    created_at: Annotated[int | str, Meta(description="unix seconds, or ISO 8601 with an offset")] | None = None
    preferences: (
        Annotated[
            Preferences,
            Meta(description="sent as `marketing_opt_in`, `transactional_opt_in`; who wants neither is suppressed"),
        ]
        | None
    ) = None


class DeletedUser(msgspec.Struct, kw_only=True):
    """The user is gone: suppressed, then deleted at Customer.io."""

    id: ID
    deleted: Annotated[bool, Meta(description="true")]


class UserRecord(msgspec.Struct, frozen=True):
    """A user record to apply at Customer.io.

    Args:
        subject: The user's key, e.g. ``id:42``.
        id: The user's id as text.
        attributes: The person's attributes, opt-ins included.
        wants_nothing: Whether the user opted out of both marketing and transactional messages.
    """

    subject: str
    id: str
    attributes: dict[str, Any]
    wants_nothing: bool


class UserDeleted(msgspec.Struct, frozen=True):
    """A user whom Customer.io has to forget."""

    subject: str
    id: str


def parse(data: bytes, _: JobAttributes) -> UserRecord | UserDeleted:
    """Check a sync job.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    check_data_size(data, limits.MAX_TRACK_DATA_BYTES)
    body = read_object(data)
    if body.get("deleted") is not None and check_form(body, DeletedUser).deleted:
        identifier = _id(body)
        return UserDeleted(f"id:{identifier}", identifier)
    user = check_form(body, User)
    identifier = _id(body)
    if user.email is not None:
        check_email(user.email, "email")
    attributes = _attributes(body, user)
    check_attributes(attributes, "user")
    item = {"type": "person", "action": "identify", "identifiers": {"id": identifier}, "attributes": attributes}
    check_item_size(item, len(data))
    wants = user.preferences or Preferences()
    return UserRecord(
        f"id:{identifier}", identifier, attributes, wants_nothing=not (wants.marketing or wants.transactional)
    )


def _id(body: Body) -> str:
    identifier = str(body["id"])
    check_id(identifier, "id")
    return identifier


def _attributes(body: Body, user: User) -> Body:
    attributes = {name: value for name, value in body.items() if name not in _STEERING_FIELDS and value is not None}
    if user.created_at is not None:
        attributes["created_at"] = _seconds(user.created_at)
    if user.preferences is not None:
        attributes["marketing_opt_in"] = user.preferences.marketing
        attributes["transactional_opt_in"] = user.preferences.transactional
    return attributes


def _seconds(value: int | str) -> int:
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise InvalidJob("created_at", "must be unix seconds, or ISO 8601 with an offset")
        value = round(instant.timestamp())
    check_timestamp(value, "created_at")
    return value
