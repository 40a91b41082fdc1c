"""The signature of a Customer.io webhook: HMAC-SHA256 of ``v0:<X-CIO-Timestamp>:<raw body>``, lowercase hex.

Source: https://docs.customer.io/integrations/api/webhooks/ ("Securely verifying requests") and
``verifyRequestSignature`` of ``customerio-node``. Webhook actions of campaigns are signed in the same way.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Sequence

TIMESTAMP_HEADER = "x-cio-timestamp"
SIGNATURE_HEADER = "x-cio-signature"

# Digits only, and that is security: with a colon allowed, the start of a genuine body could be moved into the header
# ("1:{...") and what remains of the body would still verify.
_TIMESTAMP = re.compile(r"[0-9]{1,20}")
_SIGNATURE = re.compile(r"(?:v0=)?[0-9a-f]{64}")


def sign(key: bytes | str, timestamp: int | str, body: bytes) -> str:
    """The value of ``X-CIO-Signature`` for a body: 64 lowercase hex digits.

    Args:
        key: Signing key as Customer.io shows it; used as text, not decoded from hex.
        timestamp: Value of ``X-CIO-Timestamp``, unix seconds.
        body: Request body, byte for byte.
    """
    secret = key if isinstance(key, bytes) else key.encode("utf-8", "surrogatepass")
    return hmac.new(secret, b"v0:%b:%b" % (str(timestamp).encode(), body), hashlib.sha256).hexdigest()


def well_formed(timestamp_header: str | None, signature_header: str | None) -> bool:
    """Whether the headers can be a signature's at all; ``verify`` is False for what is not."""
    return bool(_TIMESTAMP.fullmatch(timestamp_header or "")) and bool(_SIGNATURE.fullmatch(signature_header or ""))


def verify(
    keys: Sequence[bytes | str],
    timestamp_header: str | None,
    signature_header: str | None,
    body: bytes,
    *,
    max_age: float | None = None,
) -> bool:
    """Whether one of the keys signed this body. Never raises.

    Args:
        keys: every key that is accepted at the moment; more than one during a rotation. Empty keys never verify.
        timestamp_header: ``X-CIO-Timestamp``, None when missing.
        signature_header: ``X-CIO-Signature``, None when missing; ``v0=`` in front of it is accepted.
        body: Request body, byte for byte as received.
        max_age: how many seconds the timestamp may differ from now. None, not checked: Customer.io prescribes no
            tolerance, retries for 7 days, and does not say whether a retry carries a fresh timestamp.
    """
    if timestamp_header is None or signature_header is None or not well_formed(timestamp_header, signature_header):
        return False
    if max_age is not None and abs(time.time() - int(timestamp_header)) > max_age:
        return False
    matched = False
    for key in keys:
        # Every key is tried, so that the time taken does not tell which one matched.
        matched |= bool(key) and hmac.compare_digest(
            sign(key, timestamp_header, body), signature_header.removeprefix("v0=")
        )
    return matched
