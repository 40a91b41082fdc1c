"""Whether the webhook accepts what Customer.io signs, and nothing else."""

import time
import uuid
from collections.abc import Iterator

import httpx
import msgspec

from ops import deadlines
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.commands.doctor.keys import Keys
from ops.target import Target
from shared.customerio.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

_KEY = "CUSTOMERIO_WEBHOOK_SIGNING_KEY"
METRIC = "ops_self_test"
"""Metric of the test event, by which queries can leave it out."""


def check_webhook(target: Target, keys: Keys) -> Iterator[Finding]:
    """Send one event with a wrong signature, and one that is signed as Customer.io does it.

    The second is treated like any other, and arrives in BigQuery with metric ``ops_self_test``.
    """
    url = target.environment.get("CUSTOMERIO_WEBHOOK_URL")
    if not url:
        yield skipped("webhook", "give --webhook-url, which `terraform output -raw webhook_url` prints")
        return
    check = "webhook refuses a wrong signature"
    answer = _post(url, "not the key")
    if answer == 401:
        yield ok(check, "401")
    else:
        yield failed(check, f"{url} must answer 401; it gave {answer}: check --webhook-url")
    check = "webhook accepts a right signature"
    if _KEY not in keys:
        yield skipped(check, f"{_KEY} is not known here")
        return
    answer = _post(url, keys[_KEY][0])
    if answer == 200:
        yield ok(check, f"200; the event goes to BigQuery with metric {METRIC}")
    elif answer == 401:
        yield failed(
            check, f"401: {_KEY} (secret webhook-signing-key) is not the key that the webhook has; set the same in both"
        )
    elif answer == 503:
        yield failed(
            check,
            "503: it could not publish to the events topic, or not read its key: run `python -m ops logs webhook`",
        )
    else:
        yield failed(check, f"{url} must answer 200; it gave {answer}: check --webhook-url")


def _post(url: str, key: str) -> int | str:
    """Post a signed test event; the status, or words that say why there is none."""
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
        return httpx.post(
            url, content=body, headers=headers, timeout=deadlines.WEBHOOK_SECONDS, trust_env=False
        ).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"no answer ({type(error).__name__})"
