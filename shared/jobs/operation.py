"""One Track API v2 item, checked, and the keys of the people and objects that it is about."""

from typing import Any

import msgspec

from ..forgetting import person_key
from .checks import check_item_size

__all__ = ["TrackOperation", "person_key"]


class TrackOperation(msgspec.Struct, frozen=True):
    """One item of the Track API v2, checked and complete.

    Args:
        subject: Key of the person, object or delivery, e.g. ``id:42``, ``email:a@example.com``, ``object:1:acme``.
        body: The item as it goes to Customer.io.
        action: The item's action, e.g. ``identify``.
        ordered: Whether it changes a person or an object, so that its order among others about the same one matters.
        others: Keys of further people: the secondary of a merge.
    """

    subject: str
    body: dict[str, Any]
    action: str
    ordered: bool
    others: tuple[str, ...] = ()

    def with_event_defaults(self, *, event_id: str, occurred_at: int) -> "TrackOperation":
        """Give an event the id and the time that its body does not name.

        Args:
            event_id: A ULID. A delivery's report has no id.
            occurred_at: Unix seconds. Without it Customer.io takes the time of receipt, which can be hours later.

        Raises:
            InvalidJob: if the item becomes larger than Customer.io takes.
        """
        body = dict(self.body)
        if body.get("timestamp") is None:
            body["timestamp"] = occurred_at
        if body["type"] == "person" and not body.get("id"):
            body["id"] = event_id
        check_item_size(body, len(msgspec.json.encode(body)))
        return msgspec.structs.replace(self, body=body)
