"""The send topic: transactional messages in six channels, as the App API takes them.

https://docs.customer.io/integrations/api/app/#tag/Transactional; the newer fields as customerio-python 3.2 sends them.
"""

import re
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from ..attributes import JobAttributes
from ..errors import InvalidJob
from . import limits
from .checks import Body, check_data_size, check_form, check_identifiers, check_not_empty, check_timestamp, read_object
from .fields import ID, CioID, Email
from .operation import person_key

Channel = Literal["email", "push", "sms", "whatsapp", "inbox_message", "in_app"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)

_IDENTIFIERS = ("id", "email", "cio_id")
_REQUIRED_WITHOUT_TEMPLATE = ("body", "subject", "from")
# The display name in front of an address may hold commas: "Lovelace, Ada" <ada@example.com>.
_QUOTED = re.compile(r'"[^"]*"')


class SendIdentifiers(msgspec.Struct):
    """Exactly one of these."""

    id: ID | None = None
    email: Email | None = None
    cio_id: CioID | None = None


class _Message(msgspec.Struct, kw_only=True):
    identifiers: SendIdentifiers
    transactional_message_id: Annotated[int | str, Meta(description="the template's number or trigger name")] | None = (
        None
    )
    message_data: Annotated[dict[str, Any], Meta(description="data that the template refers to")] | None = None
    send_at: Annotated[int, Meta(description="unix seconds, at most 90 days ahead")] | None = None
    language: str | None = None
    disable_message_retention: bool | None = None
    queue_draft: bool | None = None


class _Unsubscribable(_Message, kw_only=True):
    send_to_unsubscribed: Annotated[bool, Meta(description="true if absent")] | None = None


class EmailMessage(_Unsubscribable, kw_only=True):
    """An email. Without `transactional_message_id` it needs `body`, `subject` and `from`."""

    to: Annotated[
        str,
        Meta(
            description="addresses separated by commas; "
            f"`to`, `cc` and `bcc` have at most {limits.MAX_EMAIL_RECIPIENTS} together"
        ),
    ]
    from_: Annotated[str, Meta(description="sender's address")] | None = msgspec.field(default=None, name="from")
    reply_to: str | None = None
    cc: str | None = None
    bcc: str | None = None
    fake_bcc: bool | None = None
    subject: str | None = None
    preheader: str | None = None
    body: str | None = None
    body_plain: str | None = None
    body_amp: str | None = None
    headers: Annotated[dict[str, str] | list[Any] | str, Meta(description="names and values, ASCII only")] | None = None
    attachments: Annotated[dict[str, str], Meta(description="base64 by file name, less than 2 MB in all")] | None = None
    disable_css_preprocessing: bool | None = None
    tracked: bool | None = None


class Push(_Unsubscribable, kw_only=True):
    """A push notification."""

    to: Annotated[str, Meta(description="`all`, `last_used` or a device's token")] | None = None
    title: str | None = None
    message: str | None = None
    image_url: str | None = None
    link: str | None = None
    sound: Annotated[str, Meta(description="`default` or `none`")] | None = None
    custom_data: dict[str, str] | None = None
    custom_device: dict[str, Any] | None = None
    custom_payload: Annotated[dict[str, Any], Meta(description="`ios` and `android`")] | None = None


class SMS(_Unsubscribable, kw_only=True):
    """A text message."""

    to: Annotated[str, Meta(description="E.164 or liquid")] | None = None
    from_: str | None = msgspec.field(default=None, name="from")


class WhatsApp(_Unsubscribable, kw_only=True):
    """A WhatsApp message."""

    to: Annotated[str, Meta(description="E.164 or liquid")] | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    tracked: bool | None = None


class InboxMessage(_Message, kw_only=True):
    """A message for the notification inbox of a web page."""


class InApp(_Message, kw_only=True):
    """An in-app message."""


SEND_FORMS: dict[str, type[_Message]] = {
    "email": EmailMessage,
    "push": Push,
    "sms": SMS,
    "whatsapp": WhatsApp,
    "inbox_message": InboxMessage,
    "in_app": InApp,
}


class SendRequest(msgspec.Struct, frozen=True):
    """A send, checked: its channel, the person's key, and the body for the App API."""

    channel: Channel
    subject: str
    body: dict[str, Any]


def parse(data: bytes, attributes: JobAttributes) -> SendRequest:
    """Check a send job. The attribute ``channel`` defaults to ``email``.

    Raises:
        InvalidJob: if the job can never succeed.
    """
    check_data_size(data, limits.MAX_SEND_DATA_BYTES)
    channel = attributes.channel
    chosen = next((known for known in CHANNELS if known == channel), None)
    if chosen is None:
        raise InvalidJob("channel", f"the attribute must be one of {', '.join(CHANNELS)}")
    body = read_object(data)
    form = check_form(body, SEND_FORMS[chosen])
    name, value = check_identifiers(body["identifiers"], _IDENTIFIERS)
    body["identifiers"] = {name: value}
    check_timestamp(body.get("send_at"), "send_at")
    if isinstance(form, EmailMessage):
        _check_email(body, form)
    elif form.transactional_message_id is None:
        raise InvalidJob("transactional_message_id", "is required")
    return SendRequest(chosen, person_key(name, value), body)


def _check_email(body: Body, email: EmailMessage) -> None:
    check_not_empty(email.to, "to")
    if email.transactional_message_id is None:
        for field in _REQUIRED_WITHOUT_TEMPLATE:
            if not body.get(field):
                raise InvalidJob(field, "is required without transactional_message_id")
    listed = f"{email.to},{email.cc or ''},{email.bcc or ''}"
    if len(listed) > limits.MAX_RECIPIENT_CHARACTERS:
        problem = f"must be at most {limits.MAX_RECIPIENT_CHARACTERS} characters with cc and bcc; it has {len(listed)}"
        raise InvalidJob("to", problem)
    addresses = _QUOTED.sub("name", listed)
    recipients = sum(1 for each in addresses.split(",") if each.strip())
    if recipients > limits.MAX_EMAIL_RECIPIENTS:
        problem = f"must be at most {limits.MAX_EMAIL_RECIPIENTS} recipients with cc and bcc; it has {recipients}"
        raise InvalidJob("to", problem)
    if email.headers:
        _check_headers(email.headers)
    _check_attachments(email.attachments or {})


def _check_attachments(attachments: dict[str, str]) -> None:
    size = sum(_decoded_size(content) for content in attachments.values())
    if size >= limits.MAX_ATTACHMENT_BYTES:
        raise InvalidJob("attachments", f"must be less than {limits.MAX_ATTACHMENT_BYTES} bytes; they have {size}")


def _decoded_size(content: str) -> int:
    # Base64 may be wrapped into lines.
    return len("".join(content.split()).rstrip("=")) * 3 // 4


def _check_headers(headers: dict[str, str] | list[Any] | str) -> None:
    """Check headers, which are an object in some of the API's documentation and clients, and JSON as text in others."""
    written = _read_headers(headers) if isinstance(headers, str) else headers
    if not msgspec.json.encode(written).isascii():
        raise InvalidJob("headers", "must be ASCII")


def _read_headers(text: str) -> Any:
    if not text.isascii():
        raise InvalidJob("headers", "must be ASCII")
    try:
        headers = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        headers = None
    if not isinstance(headers, dict | list):
        raise InvalidJob("headers", "must be an object, an array, or either as JSON in text")
    return headers
