"""The rules by which the App API refuses a send: https://docs.customer.io/integrations/api/app/."""

import time
from typing import Any

from local import deadlines
from local.customerio.deliveries import Channel
from local.customerio.exchange import encode
from local.customerio.items import Errors, check_identifiers
from shared.jobs import limits as published

type Body = dict[str, Any]

_IDENTIFIERS = ("id", "email", "cio_id")
_RECIPIENT_FIELDS = ("to", "cc", "bcc")
_TEXTS = ("from", "reply_to", "subject", "preheader", "body", "body_plain", "body_amp", "title", "message", "language")
_FLAGS = ("disable_message_retention", "queue_draft", "send_to_unsubscribed", "tracked", "disable_css_preprocessing")
_SOUNDS = ("default", "none")


def send_problem(body: Body, channel: Channel) -> str | None:
    """The first published rule that the body of a send breaks, or None."""
    errors: Errors = []
    check_identifiers(body.get("identifiers"), _IDENTIFIERS, "identifiers", errors)
    if errors:
        return f"{errors[0].field}: {errors[0].message}"
    return (
        _template_problem(body, channel)
        or _type_problem(body)
        or _schedule_problem(body)
        or _recipient_problem(body, channel)
        or _channel_problem(body, channel)
    )


def _template_problem(body: Body, channel: Channel) -> str | None:
    template = body.get("transactional_message_id")
    if template is None:
        if channel != "email":
            return "transactional_message_id: is required"
        missing = [field for field in ("body", "subject", "from") if not body.get(field)]
        return f"{missing[0]}: is required without transactional_message_id" if missing else None
    if isinstance(template, bool) or not isinstance(template, int | str) or template == "":
        return "transactional_message_id: must be a number or a name"
    return None


def _type_problem(body: Body) -> str | None:
    for field in _TEXTS:
        if not isinstance(body.get(field, ""), str):
            return f"{field}: must be text"
    for field in _FLAGS:
        if not isinstance(body.get(field, False), bool):
            return f"{field}: must be true or false"
    if not isinstance(body.get("message_data", {}), dict):
        return "message_data: must be an object"
    attachments = body.get("attachments", {})
    if not isinstance(attachments, dict) or not all(isinstance(content, str) for content in attachments.values()):
        return "attachments: must be an object of base64 texts by file name"
    return None


def _schedule_problem(body: Body) -> str | None:
    send_at = body.get("send_at", 0)
    if isinstance(send_at, bool) or not isinstance(send_at, int):
        return "send_at: must be a unix time in seconds"
    if send_at > time.time() + deadlines.MAX_SEND_AT_SECONDS_AHEAD:
        return "send_at: cannot be more than 90 days ahead"
    return None


def _recipient_problem(body: Body, channel: Channel) -> str | None:
    to = body.get("to")
    if (to is not None or channel == "email") and (not isinstance(to, str) or not to):
        return "to: must be a non-blank text"
    recipients = sum(text.count(",") + 1 for field in _RECIPIENT_FIELDS if isinstance(text := body.get(field), str))
    if channel == "email" and recipients > published.MAX_EMAIL_RECIPIENTS:
        return f"to, cc, bcc: cannot be more than {published.MAX_EMAIL_RECIPIENTS} recipients"
    return None


def _channel_problem(body: Body, channel: Channel) -> str | None:
    if channel == "push" and body.get("sound", "default") not in _SOUNDS:
        return "sound: must be default or none"
    if channel == "email" and not encode(body.get("headers", "")).isascii():
        return "headers: must be ASCII"
    return None


def attachment_bytes(body: Body) -> int:
    """Size of all attachments once decoded. Base64 writes three bytes as four characters, padded at the end."""
    return sum(len(content) * 3 // 4 - content[-2:].count("=") for content in body.get("attachments", {}).values())
