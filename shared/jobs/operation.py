from typing import Any

import msgspec


class TrackOperation(msgspec.Struct, frozen=True):
    """One item of the Track API v2, checked and complete.

    Args:
        subject: key of whom or what it is about: ``id:42``, ``email:a@example.com``, ``object:1:acme``, ``delivery:…``.
        body: what goes to Customer.io.
        action: its action, such as ``identify``.
        ordered: whether it changes a person or an object, so that its order among others about the same matters.
        others: keys of whom else it touches: the secondary of a merge.
    """

    subject: str
    body: dict[str, Any]
    action: str
    ordered: bool
    others: tuple[str, ...] = ()


def person_key(name: str, value: str) -> str:
    """Key of a person by one identifier. Customer.io compares email addresses without regard to case."""
    return f"{name}:{value.lower() if name == 'email' else value}"
