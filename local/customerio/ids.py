"""New identifiers in the form of Customer.io's, and the check that an event id is a ULID."""

import itertools
import re
import secrets
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}")
_RANDOM_BITS = 80
_ULID_LENGTH = 26
_DELIVERY_ID_BYTES = 21

_counter = itertools.count(1)


def is_ulid(value: object) -> bool:
    """Whether a value is 26 characters of Crockford's base 32, the first at most 7, since a ULID holds 128 bits."""
    return isinstance(value, str) and _ULID.fullmatch(value) is not None


def new_ulid() -> str:
    number = time.time_ns() // 1_000_000 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(5 * (_ULID_LENGTH - 1), -1, -5))


def new_cio_id() -> str:
    """Twelve hexadecimal digits, like the published example d9c106000001."""
    return f"d9c1{next(_counter):08x}"


def new_delivery_id() -> str:
    """28 URL-safe characters, like the published example RPILAgUBcRhIBqSfeiIwdIYJKxTY."""
    return secrets.token_urlsafe(_DELIVERY_ID_BYTES)
