"""Attributes that Pub/Sub accepts: https://cloud.google.com/pubsub/quotas#resource_limits."""

from collections.abc import Mapping

MAXIMUM_ATTRIBUTES = 100
MAXIMUM_KEY_BYTES = 256
MAXIMUM_VALUE_BYTES = 1024

# Named arguments of PublisherClient.publish: an attribute of such a name cannot be passed to it.
TAKEN = frozenset({"self", "topic", "data", "ordering_key", "retry", "timeout"})
RENAMED = "original-"


def publishable(attributes: Mapping[str, str]) -> dict[str, str]:
    """Cut and renamed until Pub/Sub accepts them; the first ones win when there are too many.

    A name that the client reserves gets the prefix ``original-``; names that begin with ``goog``, which Pub/Sub keeps
    for itself, and empty or oversized ones are left out.
    """
    kept = {
        f"{RENAMED}{key}" if key in TAKEN else key: cut(value)
        for key, value in attributes.items()
        if key and not key.startswith("goog") and len(key.encode()) <= MAXIMUM_KEY_BYTES
    }
    return dict(list(kept.items())[:MAXIMUM_ATTRIBUTES])


def cut(value: str) -> str:
    """The longest beginning of ``value`` that fits into an attribute, never half a character."""
    encoded = value.encode(errors="replace")
    return value if len(encoded) <= MAXIMUM_VALUE_BYTES else encoded[:MAXIMUM_VALUE_BYTES].decode(errors="ignore")
