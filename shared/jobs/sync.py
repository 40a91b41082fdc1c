"""The sync topic: the application's own user record, or the word that the user is gone or to be forgotten."""

import re
from datetime import UTC, datetime, timedelta
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
_STEERING_FIELDS = frozenset({"id", "preferences", "deleted", "updated_at", "force", "restore", "forget"})

UpdatedAt = Annotated[
    int | float | str,
    Meta(
        description="when the record changed in its source: unix seconds, or ISO 8601 with an offset; an older record "
        "never replaces a newer one; without it the time of the first publish counts; not an attribute"
    ),
]
Force = Annotated[bool, Meta(description="apply it although nothing changed, to heal what was edited at Customer.io")]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOPIC = re.compile(r"topic_[0-9]{1,9}")
# The switch out of all email, SMS, WhatsApp and push, and the choices of the subscription center. Choices are written
# one by one: a whole object would take back those that the record does not name.
UNSUBSCRIBED = "unsubscribed"
TOPIC_PREFIX = "cio_subscription_preferences.topics."


class Preferences(msgspec.Struct):
    """Messages that the user wants. An absent field counts as yes; a user who wants neither is suppressed."""

    marketing: bool = True
    transactional: bool = True
    topics: Annotated[
        dict[str, bool], Meta(description="choices of the subscription center, by its identifiers such as `topic_1`")
    ] = {}


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
            Meta(
                description="sent as `marketing_opt_in`, `transactional_opt_in`, and where they changed as "
                "Customer.io's `unsubscribed` and subscription preferences; who wants neither is suppressed"
            ),
        ]
        | None
    ) = None
    updated_at: UpdatedAt | None = None
    force: Force = False
    restore: Annotated[bool, Meta(description="bring the id back although it was deleted or forgotten")] = False


class DeletedUser(msgspec.Struct, kw_only=True):
    """The user is gone: suppressed, then deleted at Customer.io."""

    id: ID
    deleted: Annotated[bool, Meta(description="true")]
    updated_at: UpdatedAt | None = None
    force: Force = False


class ForgottenUser(msgspec.Struct, kw_only=True):
    """The user is to be forgotten: suppressed and deleted at Customer.io, and no waiting job brings them back."""

    id: ID
    forget: Annotated[bool, Meta(description="true")]
    email: Annotated[Email, Meta(description="the user's address, by which other jobs may name them")] | None = None


class UserRecord(msgspec.Struct, frozen=True):
    """A user record to apply at Customer.io.

    Args:
        subject: The user's key, e.g. ``id:42``.
        id: The user's id as text.
        attributes: The person's attributes, opt-ins included.
        consent: Customer.io's own switches, by attribute: ``unsubscribed``, and one for each topic.
        wants_nothing: Whether the user opted out of both marketing and transactional messages.
        empty: Names of the fields that are null.
        updated_at: When the record changed in its source, in microseconds since 1970; None if it does not say.
        force: Whether to apply it although nothing changed.
        restore: Whether it may bring back an id that was deleted.
    """

    subject: str
    id: str
    attributes: dict[str, Any]
    wants_nothing: bool
    consent: dict[str, bool] = {}
    empty: tuple[str, ...] = ()
    updated_at: int | None = None
    force: bool = False
    restore: bool = False


class UserDeleted(msgspec.Struct, frozen=True):
    """A user whom Customer.io has to forget. The fields are those of ``UserRecord``."""

    subject: str
    id: str
    updated_at: int | None = None
    force: bool = False


class UserForgotten(msgspec.Struct, frozen=True):
    """A user whom nothing here may know any more.

    Args:
        subject: The user's key, e.g. ``id:42``.
        id: The user's id as text.
        email: The user's address; empty if the job does not say.
    """

    subject: str
    id: str
    email: str = ""


def parse(data: bytes, _: JobAttributes) -> UserRecord | UserDeleted | UserForgotten:
    """Check a sync job.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    check_data_size(data, limits.MAX_TRACK_DATA_BYTES)
    body = read_object(data)
    if body.get("forget") is not None and (forgotten := check_form(body, ForgottenUser)).forget:
        return _forgotten(body, forgotten)
    if body.get("deleted") is not None and (gone := check_form(body, DeletedUser)).deleted:
        identifier = _id(body)
        return UserDeleted(f"id:{identifier}", identifier, _updated_at(gone.updated_at), gone.force)
    user = check_form(body, User)
    identifier = _id(body)
    if user.email is not None:
        check_email(user.email, "email")
    attributes = _attributes(body, user)
    check_attributes(attributes, "user")
    consent = _consent(body, user)
    whole = attributes | consent
    item = {"type": "person", "action": "identify", "identifiers": {"id": identifier}, "attributes": whole}
    check_item_size(item, len(data))
    wants = user.preferences or Preferences()
    return UserRecord(
        subject=f"id:{identifier}",
        id=identifier,
        attributes=attributes,
        wants_nothing=not (wants.marketing or wants.transactional),
        consent=consent,
        empty=tuple(name for name, value in body.items() if value is None and name not in _STEERING_FIELDS),
        updated_at=_updated_at(user.updated_at),
        force=user.force,
        restore=user.restore,
    )


def _forgotten(body: Body, user: ForgottenUser) -> UserForgotten:
    identifier = _id(body)
    if user.email is not None:
        check_email(user.email, "email")
    return UserForgotten(f"id:{identifier}", identifier, user.email or "")


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


def _consent(body: Body, user: User) -> dict[str, bool]:
    """Read what the record says of consent. Silence about marketing is no consent, and changes nothing."""
    if user.preferences is None:
        return {}
    consent = {}
    if "marketing" in body["preferences"]:
        consent[UNSUBSCRIBED] = not user.preferences.marketing
    for topic, wanted in user.preferences.topics.items():
        if not _TOPIC.fullmatch(topic):
            problem = "must be identifiers of the subscription center's topics, such as topic_1"
            raise InvalidJob("preferences.topics", problem)
        consent[f"{TOPIC_PREFIX}{topic}"] = wanted
    return consent


def _seconds(value: int | str) -> int:
    if isinstance(value, str):
        value = round(_instant(value, "created_at").timestamp())
    check_timestamp(value, "created_at")
    return value


def _updated_at(value: float | str | None) -> int | None:
    """Microseconds since 1970."""
    if value is None:
        return None
    if isinstance(value, str):
        microseconds = (_instant(value, "updated_at") - _EPOCH) // timedelta(microseconds=1)
    else:
        microseconds = round(value * 1_000_000)
    check_timestamp(microseconds // 1_000_000, "updated_at")
    return microseconds


def _instant(text: str, field: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InvalidJob(field, "must be unix seconds, or ISO 8601 with an offset")
    return instant
