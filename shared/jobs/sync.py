"""Jobs of the sync topic: the application's own user record, or that the user is gone."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .checks import Body, check_attributes, check_form, check_id, check_size, check_timestamp, read_object
from .errors import InvalidJob
from .identify_forms import ID, Email

# Fields that steer the sync and are no attributes of the person.
_NO_ATTRIBUTES = frozenset({"id", "preferences", "deleted"})


class Preferences(msgspec.Struct):
    """What the user wants, sent as `marketing_opt_in`, `transactional_opt_in`. Absent is yes; neither: suppressed."""

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
            Meta(description="sent as `marketing_opt_in` and `transactional_opt_in`; none wanted: suppressed"),
        ]
        | None
    ) = None


class DeletedUser(msgspec.Struct, kw_only=True):
    """The user is gone: suppressed, then deleted at Customer.io."""

    id: ID
    deleted: Annotated[bool, Meta(description="true")]


class UserRecord(msgspec.Struct, frozen=True):
    """A user to be brought to Customer.io.

    Args:
        subject: key, such as ``id:42``.
        id: as text.
        attributes: of the person, opt-ins included.
        wants_nothing: opted out of marketing and of transactional messages.
    """

    subject: str
    id: str
    attributes: dict[str, Any]
    wants_nothing: bool


class UserDeleted(msgspec.Struct, frozen=True):
    """A user to be forgotten by Customer.io."""

    subject: str
    id: str


def parse_sync(data: bytes) -> UserRecord | UserDeleted:
    """Check a job of the sync topic.

    Raises:
        InvalidJob: it can never succeed.
    """
    body = read_object(data)
    if body.get("deleted") is not None and check_form(body, DeletedUser).deleted:
        identifier = _id(body)
        return UserDeleted(f"id:{identifier}", identifier)
    user = check_form(body, User)
    identifier = _id(body)
    if user.email is not None and "@" not in user.email:
        raise InvalidJob("email", "must be an email address")
    attributes = _attributes(body, user)
    check_attributes(attributes, "user")
    check_size(
        data, {"type": "person", "action": "identify", "identifiers": {"id": identifier}, "attributes": attributes}
    )
    wants = user.preferences or Preferences()
    return UserRecord(
        f"id:{identifier}", identifier, attributes, wants_nothing=not (wants.marketing or wants.transactional)
    )


def _id(body: Body) -> str:
    identifier = str(body["id"])
    check_id(identifier, "id")
    return identifier


def _attributes(body: Body, user: User) -> Body:
    attributes = {name: value for name, value in body.items() if name not in _NO_ATTRIBUTES and value is not None}
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
