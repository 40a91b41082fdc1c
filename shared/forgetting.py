"""Marks of people who are forgotten: hashes that find what is theirs in every store, and tell nobody who they were.

A mark is the SHA-256 of the project and a person's key, so that BigQuery can compute it from a column too.
"""

import hashlib
from collections.abc import Iterable, Iterator
from email.utils import getaddresses
from typing import Any

import msgspec

_IDENTIFIERS = ("id", "email", "cio_id", "phone")
# Below these a Track item, a send and a merge name people.
_NAMING_FIELDS = ("identifiers", "primary", "secondary")
# Fields of sends and webhooks that hold addresses or phone numbers.
_ADDRESS_FIELDS = ("to", "recipient", "email_address")


def person_key(name: str, value: str) -> str:
    """Key of a person by one identifier. Customer.io ignores case in email addresses, so the key is in lower case."""
    return f"{name}:{value.lower() if name == 'email' else value}"


def mark(project: str, key: str) -> str:
    """Return the mark of a person's key.

    Args:
        project: Google Cloud project, so that marks of two projects cannot be compared.
        key: Key of the person, such as ``id:42``; an email address in lower case.
    """
    return hashlib.sha256(f"{project}/{key}".encode(errors="surrogatepass")).hexdigest()


def marks(project: str, keys: Iterable[str]) -> frozenset[str]:
    """Return the marks of several keys."""
    return frozenset(mark(project, key) for key in keys)


def people_in(data: bytes) -> frozenset[str]:
    """List the keys of the people whom a job or a webhook names as its own, even if it is invalid.

    An address counts where there are no identifiers. The audience of a broadcast, several recipients of one send and
    people related to an object are not listed: that message is about others too.
    """
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()
    return frozenset(_people(body)) if isinstance(body, dict) else frozenset()


def _people(body: dict[str, Any]) -> Iterator[str]:
    if _is_text(body.get("id")):
        yield person_key("id", str(body["id"]))  # a user record's; the id of an event is nobody's
    yield from _of_a_profile(body)
    if "event_id" in body and isinstance(data := body.get("data"), dict):  # a webhook
        yield from _of_a_profile(data)
        if _is_text(data.get("customer_id")):
            yield person_key("id", str(data["customer_id"]))


def _of_a_profile(body: dict[str, Any]) -> Iterator[str]:
    """The identifiers. Only where there are none does the address count: several people may have the same one."""
    identified = list(_identified(body))
    yield from identified or _addressed(body)


def _identified(body: dict[str, Any]) -> Iterator[str]:
    for field in _NAMING_FIELDS:
        named = body.get(field)
        if not isinstance(named, dict):
            continue
        for name in _IDENTIFIERS:
            if _is_text(value := named.get(name)):
                yield person_key(name, str(value))


def _addressed(body: dict[str, Any]) -> Iterator[str]:
    for field in _ADDRESS_FIELDS:
        if not isinstance(text := body.get(field), str) or not text.strip():
            continue
        addresses = [address for _, address in getaddresses([text]) if "@" in address]
        if len(addresses) == 1:  # otherwise it is a message to others too
            yield person_key("email", addresses[0])
        elif not addresses:
            yield person_key("phone", text.strip())


def _is_text(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""
