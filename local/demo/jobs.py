"""The demo's jobs: 190 that can succeed, made by the publisher, and 10 that cannot, made by a client without checks."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.publisher import Publisher

Publish = Callable[[Publisher], Any]

# Customer.io refuses this person's job until the demo lifts the fault. Then an operator replays it.
REFUSED_PERSON = "demo-refused"


@dataclass(frozen=True, slots=True)
class BadJob:
    """A message that no function can apply, and its topic."""

    topic: str
    data: bytes
    channel: str = ""


def good_jobs() -> Iterator[tuple[str, Publish]]:
    """The kind and the publishing call of each of the 190 jobs."""
    yield "identify", lambda p: p.identify(REFUSED_PERSON, plan="pro")
    for n in range(59):
        yield "identify", _identify(n)
    for n in range(60):
        yield "track", _track(n)
    for n in range(40):
        yield "send", _send(n)
    for n in range(28):
        yield "sync", _sync(n)
    for n in range(2):
        yield "broadcast", _broadcast(n)


def _identify(n: int) -> Publish:
    return lambda p: p.identify(f"person-{n}", email=f"person-{n}@example.com", plan="pro" if n % 2 else "free")


def _track(n: int) -> Publish:
    return lambda p: p.track(f"person-{n % 59}", "order_placed", {"total": n, "currency": "EUR"})


def _send(n: int) -> Publish:
    identifiers = {"id": f"person-{n}"}
    if n < 28:
        return lambda p: p.send_email(
            to=f"person-{n}@example.com", identifiers=identifiers, transactional_message_id=7, message_data={"order": n}
        )
    if n % 2:
        return lambda p: p.send_push(identifiers=identifiers, transactional_message_id=8, message_data={"order": n})
    return lambda p: p.send_sms(identifiers=identifiers, transactional_message_id=8, message_data={"order": n})


def _sync(n: int) -> Publish:
    if n >= 26:
        return lambda p: p.user_deleted(f"user-{n}")
    opted_in = n < 24
    return lambda p: p.sync_user(
        {
            "id": f"user-{n}",
            "email": f"user-{n}@example.com",
            "first_name": "User",
            "last_name": str(n),
            "plan": "pro",
            "preferences": {"marketing": opted_in and n % 2 == 0, "transactional": opted_in},
        }
    )


def _broadcast(n: int) -> Publish:
    # People whose own job is still on its way must not fail the broadcast.
    return lambda p: p.broadcast(12, ids=[f"person-{n}", f"person-{n + 1}"], id_ignore_missing=True, data={"round": n})


def bad_jobs() -> list[BadJob]:
    """The 10 jobs, each wrong in its own way."""

    def body(**fields: Any) -> bytes:
        return json.dumps(fields).encode()

    person = {"identifiers": {"id": "person-1"}}
    return [
        BadJob("cio-identify", b'{"identifiers": {"id": "person-1"'),
        BadJob("cio-identify", body(identifiers={"id": "x" * 151})),
        BadJob("cio-identify", body(**person, attributes={"bio": "x" * 1001})),
        BadJob("cio-track", body(**person, attributes={"total": 3})),
        BadJob("cio-track", body(**person, name="order_placed", timestamp=1767225600000)),
        BadJob("cio-track", body(identifiers={"id": "1", "email": "person-1@example.com"}, name="order_placed")),
        BadJob("cio-send", body(**person, transactional_message_id=7)),
        BadJob("cio-send", body(**person, transactional_message_id=7, to="person-1@example.com"), channel="pigeon"),
        BadJob("cio-sync", body(email="person-1@example.com")),
        BadJob("cio-broadcast", body(broadcast_id=12, ids=["person-1"], emails=["person-1@example.com"])),
    ]
