"""Checks of requests against Pub/Sub's limits.

The limits are those of https://docs.cloud.google.com/pubsub/quotas#resource_limits and of the API reference. Every
``check_`` function raises ``ApiError``: INVALID_ARGUMENT if a limit is exceeded, UNIMPLEMENTED for a feature that the
broker lacks.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from local.deadlines import (
    MAX_ACK_DEADLINE_SECONDS,
    MAX_RETENTION_SECONDS,
    MAX_RETRY_BACKOFF_SECONDS,
    MIN_ACK_DEADLINE_SECONDS,
    MIN_RETENTION_SECONDS,
)
from local.pubsub.errors import invalid, unimplemented
from local.pubsub.filters import FilterError, parse_filter
from local.pubsub.wire import Pb, seconds

MAX_MESSAGES_PER_PUBLISH = 1000
MAX_PUBLISH_BYTES = 10_000_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024
MIN_DELIVERY_ATTEMPTS = 5
MAX_DELIVERY_ATTEMPTS = 100

# A character takes at most four bytes of UTF-8. So a text of up to a quarter of its limit is short enough unencoded.
_MAX_BYTES_PER_CHARACTER = 4

_RESOURCE = re.compile(r"projects/([^/\s]+)/(topics|subscriptions)/([A-Za-z][A-Za-z0-9\-_.~+%]{2,254})")
_PROJECT = re.compile(r"projects/[^/\s]+")


def check_name(name: str, collection: str) -> None:
    """Check ``projects/PROJECT/COLLECTION/ID``: the id has 3 to 255 characters, a letter first, no ``goog``."""
    match = _RESOURCE.fullmatch(name)
    if match is None or match[2] != collection or match[3].startswith("goog"):
        raise invalid(f"Invalid [{collection}] name: (name={name[:300]})")


def check_project(name: str) -> None:
    if _PROJECT.fullmatch(name) is None:
        raise invalid(f"Invalid [projects] name: (name={name[:300]})")


def check_publish(request: Pb) -> None:
    messages = request.messages
    if (size := request.ByteSize()) > MAX_PUBLISH_BYTES:
        raise invalid(f"The publish request has {size} bytes; the limit is {MAX_PUBLISH_BYTES}.")
    if not messages:
        raise invalid("A publish request needs at least one message.")
    if len(messages) > MAX_MESSAGES_PER_PUBLISH:
        raise invalid(f"A publish request has {len(messages)} messages; the limit is {MAX_MESSAGES_PER_PUBLISH}.")
    for message in messages:
        if not message.data and not message.attributes:
            raise invalid("Each message must contain either non-empty data, or at least one attribute.")
        if message.attributes:
            _check_attributes(message.attributes)
        if len(message.ordering_key) > MAX_ORDERING_KEY_BYTES // _MAX_BYTES_PER_CHARACTER:
            _check_bytes("ordering key", message.ordering_key, MAX_ORDERING_KEY_BYTES)


def check_topic(topic: Pb) -> None:
    """Check a topic as it would be after its creation or update."""
    _check_unset(topic, ("schema_settings", "ingestion_data_source_settings", "message_transforms"))
    if topic.HasField("message_retention_duration"):
        _check_duration(
            "message_retention_duration", topic.message_retention_duration, MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS
        )


def check_subscription(subscription: Pb) -> None:
    """Check a subscription, its defaults filled in, as it would be after its creation or update."""
    _check_unset(
        subscription,
        (
            "bigquery_config",
            "cloud_storage_config",
            "bigtable_config",
            "enable_exactly_once_delivery",
            "message_transforms",
        ),
    )
    _check_range(
        "ack_deadline_seconds", subscription.ack_deadline_seconds, MIN_ACK_DEADLINE_SECONDS, MAX_ACK_DEADLINE_SECONDS
    )
    _check_duration(
        "message_retention_duration",
        subscription.message_retention_duration,
        MIN_RETENTION_SECONDS,
        MAX_RETENTION_SECONDS,
    )
    check_push_config(subscription.push_config)
    if subscription.HasField("retry_policy"):
        minimum, maximum = subscription.retry_policy.minimum_backoff, subscription.retry_policy.maximum_backoff
        _check_duration("minimum_backoff", minimum, 0, MAX_RETRY_BACKOFF_SECONDS)
        _check_duration("maximum_backoff", maximum, 0, MAX_RETRY_BACKOFF_SECONDS)
        if seconds(maximum) < seconds(minimum):
            raise invalid(f"maximum_backoff is {seconds(maximum):g}s, below minimum_backoff, {seconds(minimum):g}s.")
    if subscription.HasField("dead_letter_policy"):
        check_name(subscription.dead_letter_policy.dead_letter_topic, "topics")
        _check_range(
            "max_delivery_attempts",
            subscription.dead_letter_policy.max_delivery_attempts,
            MIN_DELIVERY_ATTEMPTS,
            MAX_DELIVERY_ATTEMPTS,
        )
    try:
        if subscription.filter:
            parse_filter(subscription.filter)
    except FilterError as error:
        raise invalid(f"Invalid filter: {error}.") from None


def check_push_config(push_config: Pb) -> None:
    if push_config.HasField("no_wrapper"):
        raise unimplemented("push without a wrapper (no_wrapper)")
    if not push_config.push_endpoint:
        return
    try:
        url = urlsplit(push_config.push_endpoint)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or any(character <= " " for character in push_config.push_endpoint):
        raise invalid("Invalid push endpoint: it must be an http or https URL.")


def check_modified_ack_deadline(deadline_seconds: int) -> None:
    """Check the seconds of a ModifyAckDeadline request, where 0 is a nack."""
    _check_range("ack_deadline_seconds", deadline_seconds, 0, MAX_ACK_DEADLINE_SECONDS)


def check_stream_ack_deadline(deadline_seconds: int) -> None:
    _check_range("stream_ack_deadline_seconds", deadline_seconds, MIN_ACK_DEADLINE_SECONDS, MAX_ACK_DEADLINE_SECONDS)


def _check_attributes(attributes: Pb) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise invalid(f"A message has {len(attributes)} attributes; the limit is {MAX_ATTRIBUTES}.")
    for key, value in attributes.items():
        # Google's own clients carry their trace context in googclient_ attributes.
        if not key or (key.startswith("goog") and not key.startswith("googclient_")):
            raise invalid("An attribute key must not be empty and must not start with 'goog'.")
        if len(key) > MAX_ATTRIBUTE_KEY_BYTES // _MAX_BYTES_PER_CHARACTER:
            _check_bytes("attribute key", key, MAX_ATTRIBUTE_KEY_BYTES)
        if len(value) > MAX_ATTRIBUTE_VALUE_BYTES // _MAX_BYTES_PER_CHARACTER:
            _check_bytes("attribute value", value, MAX_ATTRIBUTE_VALUE_BYTES)


def _check_bytes(field: str, text: str, limit: int) -> None:
    if (size := len(text.encode())) > limit:
        raise invalid(f"The {field} has {size} bytes; the limit is {limit}.")


def _check_range(field: str, value: float, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise invalid(f"{field} is {value:g}; it must be between {minimum} and {maximum}.")


def _check_duration(field: str, duration: Pb, minimum: int, maximum: int) -> None:
    if not minimum <= seconds(duration) <= maximum:
        raise invalid(f"{field} is {seconds(duration):g}s; it must be between {minimum}s and {maximum}s.")


def _check_unset(config: Pb, fields: Iterable[str]) -> None:
    """Check that none of the fields is set: the broker does not implement them."""
    present = {descriptor.name for descriptor, _ in config.ListFields()}
    for field in fields:
        if field in present:
            raise unimplemented(field)
