"""Pushes and webhooks of a benchmark, as the functions get them."""

import base64
import json
from collections.abc import Iterator

from shared.customerio.signature import sign

SIGNING_KEY = "bench-signing-key"
_TIMESTAMP = "1767225600"


def requests(kind: str, first: int, count: int) -> Iterator[bytes]:
    """Yield HTTP requests for ``count`` jobs of one kind, numbered from ``first``, each about another person."""
    for number in range(first, first + count):
        body = webhook(number) if kind == "webhook" else push(kind, number)
        signature = ""
        if kind == "webhook":
            signed = sign(SIGNING_KEY, _TIMESTAMP, body)
            signature = f"X-CIO-Timestamp: {_TIMESTAMP}\r\nX-CIO-Signature: {signed}\r\n"
        head = f"POST / HTTP/1.1\r\nHost: f\r\n{signature}Content-Type: application/json\r\nContent-Length: {len(body)}"
        yield f"{head}\r\n\r\n".encode() + body


def push(kind: str, number: int) -> bytes:
    """The body of one push, as Pub/Sub sends it."""
    data = webhook(number) if kind == "archive" else json.dumps(_job(kind, number)).encode()
    attributes = {"job_id": f"01J{number:023d}"}
    if kind == "archive":
        attributes = {"event_id": f"01E{number:023d}", "received_at": "2026-01-01T00:00:00+00:00"}
    if kind == "broadcast":
        attributes["audience"] = "as_configured"
    message = {
        "data": base64.b64encode(data).decode(),
        "attributes": attributes,
        "messageId": str(number),
        "publishTime": "2026-01-01T00:00:00.000Z",
    }
    return json.dumps(
        {"message": message, "subscription": f"projects/p/subscriptions/cio-{kind}", "deliveryAttempt": 1}
    ).encode()


def webhook(number: int) -> bytes:
    """The body of one reporting webhook."""
    data = {
        "customer_id": f"user-{number}",
        "delivery_id": f"RPILAgUBcRhIBqSfeiIwdIYJKxTY{number:08d}",
        "identifiers": {"id": f"user-{number}", "email": f"user-{number}@example.com", "cio_id": f"d9c1{number:08x}"},
        "recipient": f"user-{number}@example.com",
        "subject": "Thank you for your order",
        "campaign_id": 23,
        "action_id": 38,
        "content_id": 1146,
    }
    event = {"event_id": f"01E{number:023d}", "object_type": "email", "metric": "delivered", "timestamp": 1767225600}
    return json.dumps({**event, "data": data}).encode()


def _job(kind: str, number: int) -> dict[str, object]:
    """A job of about 300 bytes."""
    person = f"user-{number}"
    known = {"plan": "pro", "logins": number, "city": "Zürich", "note": "n" * 120}
    match kind:
        case "send":
            to = f"{person}@example.com"
            return {
                "to": to,
                "identifiers": {"id": person},
                "transactional_message_id": "7",
                "message_data": known,
            }
        case "broadcast":
            return {"broadcast_id": 7, "data": known}
        case "sync":
            return {"id": person, "email": f"{person}@example.com", **known}
        case "track":
            named: dict[str, object] = {"action": "event", "name": "order_placed"}
        case _:
            named = {"action": "identify"}
    return {"type": "person", "identifiers": {"id": person}, "attributes": known, **named}
