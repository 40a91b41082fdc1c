"""Holds back a send whose recipients are not allowed, before anything is written down or sent."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..jobs import SendRequest
from ..outcome import Failed
from ..recipients import RecipientPolicy

_ADDRESSES = ("to", "cc", "bcc")
# Headers by which a mail server could be told of further recipients.
_RECIPIENT_HEADERS = frozenset(
    {"to", "cc", "bcc", "apparently-to", "resent-to", "resent-cc", "resent-bcc", "x-rcpt-to", "envelope-to"}
)
# Liquid that stands for what Customer.io has stored of the person. Any other could hold an address of its own.
_STORED = re.compile(r"\s*\{\{\s*customer\.(email|phone)\s*\}\}\s*")
# Devices that Customer.io has stored of the person; a token could be anybody's.
_STORED_DEVICES = frozenset({"all", "last_used"})


def allowed_send(request: SendRequest, policy: RecipientPolicy) -> SendRequest | Failed:
    """Return the send as it may go out: as it is, redirected, or as a failure that names the field."""
    if policy.everybody:
        return request
    field = next(_refused(request, policy), None)
    if field is None:
        return request
    if request.channel == "email" and policy.redirect_to and field in _ADDRESSES:
        return _redirected(request, policy.redirect_to)
    return Failed(
        error_class="recipient_not_allowed",
        reason="recipient_not_allowed",
        field=field,
        message=f"this environment does not write to everybody ({policy}): add the recipient to `recipients`",
        subject=request.subject,
    )


def refused_broadcast(policy: RecipientPolicy) -> Failed | None:
    """Return the failure of a broadcast where none may be triggered: only Customer.io knows whom it reaches."""
    if policy.allows_broadcasts:
        return None
    return Failed(
        error_class="recipient_not_allowed",
        reason="broadcasts_not_allowed",
        message="this environment triggers no broadcasts: set `broadcasts` in `recipients`",
    )


def _refused(request: SendRequest, policy: RecipientPolicy) -> Iterator[str]:
    """List the fields that name a recipient who is not allowed; what a redirect cannot cure comes first."""
    body = request.body
    match request.channel:
        case "email":
            if not _RECIPIENT_HEADERS.isdisjoint(_header_names(body.get("headers"))):
                yield "headers"
            for name in _ADDRESSES:
                if body.get(name) and not _allows_addresses(body[name], body["identifiers"], policy):
                    yield name
        case "sms" | "whatsapp" if body.get("to") and not _STORED.fullmatch(body["to"]):
            if not policy.allows_phone(body["to"]):
                yield "to"
        case "push" if body.get("to") and body["to"] not in _STORED_DEVICES:
            yield "to"
        case _ if not _allows_person(body["identifiers"], policy):
            yield "identifiers"


def _allows_addresses(text: str, identifiers: Mapping[str, Any], policy: RecipientPolicy) -> bool:
    if _STORED.fullmatch(text):
        return _allows_person(identifiers, policy)
    return "{" not in text and policy.allows_addresses(text)


def _allows_person(identifiers: Mapping[str, Any], policy: RecipientPolicy) -> bool:
    email = identifiers.get("email")
    return _allows_id(identifiers, policy) or (isinstance(email, str) and policy.allows_addresses(email))


def _allows_id(identifiers: Mapping[str, Any], policy: RecipientPolicy) -> bool:
    return identifiers.get("id") is not None and policy.allows_id(str(identifiers["id"]))


def _header_names(headers: Any) -> Iterator[str]:
    """List the names of an email's headers, in each form that the API takes: object, array of pairs, JSON as text."""
    written = msgspec.json.decode(headers) if isinstance(headers, str) and headers else headers
    if isinstance(written, dict):
        yield from (name.strip().lower() for name in written)
    for entry in written if isinstance(written, list) else ():
        yield str(entry.get("name", "to") if isinstance(entry, dict) else "to").strip().lower()


def _redirected(request: SendRequest, inbox: str) -> SendRequest:
    body = {name: value for name, value in request.body.items() if name not in _ADDRESSES}
    return msgspec.structs.replace(request, body={**body, "to": inbox})
