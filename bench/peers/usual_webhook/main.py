"""The usual receiver of webhooks: synchronous, verifies the signature, publishes the body and waits for its id."""

import hashlib
import hmac
import os

import functions_framework
from flask import Request
from google.cloud.pubsub_v1 import PublisherClient

client = PublisherClient()


@functions_framework.http
def usual_webhook(request: Request) -> tuple[str, int]:
    body = request.get_data()
    signed = b"v0:%b:%b" % (request.headers["X-CIO-Timestamp"].encode(), body)
    expected = hmac.new(os.environ["CUSTOMERIO_WEBHOOK_SIGNING_KEY"].encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers["X-CIO-Signature"]):
        return "", 401
    client.publish(os.environ["EVENTS_TOPIC"], body).result(timeout=3)
    return "", 200
