"""Whether the webhook takes what Customer.io signs, and nothing else."""

import time
import uuid
from collections.abc import Iterator

import httpx
import msgspec

from ops.doctor.finding import Finding, failed, ok, skipped
from ops.doctor.keys import Keys
from ops.target import Target
from shared.customerio.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

# Customer.io's own patience.
_CALL_SECONDS = 4.0
_KEY = "CUSTOMERIO_WEBHOOK_SIGNING_KEY"
METRIC = "ops_self_test"
"""Metric of the event that is sent: queries that count events of all metrics leave it out by this name."""


def check_webhook(target: Target, keys: Keys) -> Iterator[Finding]:
    """Send one event that is signed wrongly, and one that is signed as Customer.io does it.

    The second is taken like any other, and ends in BigQuery with metric ``ops_self_test``.
    """
    url = target.environment.get("CUSTOMERIO_WEBHOOK_URL")
    if not url:
        yield skipped("webhook", "give --webhook-url, as `terraform output -raw webhook_url` says it")
        return
    check = "webhook refuses a wrong signature"
    answer = _post(url, "not the key")
    if answer == 401:
        yield ok(check, "401")
    else:
        yield failed(check, f"{url} should answer 401, and not: {answer}")
    check = "webhook takes a right signature"
    if _KEY not in keys:
        yield skipped(check, f"{_KEY} is not known here")
        return
    answer = _post(url, keys[_KEY][0])
    if answer == 200:
        yield ok(check, f"200; the event is in BigQuery with metric {METRIC}")
    elif answer == 401:
        yield failed(check, f"401: {_KEY} (secret webhook-signing-key) is not the key that the webhook has")
    elif answer == 503:
        yield failed(check, "503: it could not publish to the events topic, or not read its key; see its log")
    else:
        yield failed(check, f"{url} should answer 200, and not: {answer}")


def _post(url: str, key: str) -> int | str:
    """The status, or a sentence about why there is none."""
    now = int(time.time())
    body = msgspec.json.encode(
        {"event_id": uuid.uuid4().hex, "object_type": "customer", "metric": METRIC, "timestamp": now, "data": {}}
    )
    headers = {
        TIMESTAMP_HEADER: str(now),
        SIGNATURE_HEADER: sign(key, now, body),
        "Content-Type": "application/json",
    }
    try:
        return httpx.post(url, content=body, headers=headers, timeout=_CALL_SECONDS, trust_env=False).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"no answer ({type(error).__name__})"
