"""ULIDs: 48 bits of milliseconds and 80 random bits, written as 26 characters of Crockford's base 32.

https://github.com/ulid/spec. Customer.io drops an event whose id it has seen, and refuses an id that is not a ULID.
"""

import hashlib
import os
import re
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)
# 2020-01-01, the time part of ids that may not depend on when the job was published.
_UNDATED_MS = 1_577_836_800_000
_LATEST_MS = 2**48 - 1


def is_ulid(text: str) -> bool:
    return _ULID.fullmatch(text) is not None


def new_ulid() -> str:
    """Make a ULID with the present time."""
    return _encoded(time.time_ns() // 1_000_000, os.urandom(10))


def job_ulid(key: str, at_ms: int | None) -> str:
    """Derive the ULID that belongs to a job key: equal keys give equal ULIDs.

    Args:
        key: The job key. A ULID is kept; anything else becomes 80 bits of its SHA-256.
        at_ms: Time part in unix milliseconds. None takes a fixed instant, so that the key alone decides.
    """
    if is_ulid(key):
        return key.upper()
    at = _UNDATED_MS if at_ms is None else min(max(at_ms, 0), _LATEST_MS)
    return _encoded(at, hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:10])


def _encoded(milliseconds: int, tail: bytes) -> str:
    number = milliseconds << 80 | int.from_bytes(tail)
    return "".join([_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)])
