"""What Pub/Sub refuses: https://docs.cloud.google.com/pubsub/quotas#resource_limits and the API reference."""

import re
from urllib.parse import urlsplit

from local.pubsub.errors import invalid, unsupported
from local.pubsub.filters import FilterError, parse_filter
from local.pubsub.wire import Pb, seconds

MESSAGES_PER_PUBLISH = 1000
PUBLISH_MAX_BYTES = 10_000_000
ATTRIBUTES_PER_MESSAGE = 100
ATTRIBUTE_KEY_MAX_BYTES = 256
ATTRIBUTE_VALUE_MAX_BYTES = 1024
ORDERING_KEY_MAX_BYTES = 1024
ACK_DEADLINE_SECONDS = (10, 600)
BACKOFF_SECONDS = (0, 600)
DELIVERY_ATTEMPTS = (5, 100)
RETENTION_SECONDS = (600, 31 * 86_400)

_RESOURCE = re.compile(r"projects/([^/\s]+)/(topics|subscriptions)/([A-Za-z][A-Za-z0-9\-_.~+%]{2,254})")
_PROJECT = re.compile(r"projects/[^/\s]+")


def check_name(name: str, collection: str) -> None:
    """``projects/P/<collection>/ID``: 3 to 255 of the allowed characters, a letter first, and not ``goog…``."""
    match = _RESOURCE.fullmatch(name)
    if match is None or match[2] != collection or match[3].startswith("goog"):
        reason = f"Invalid [{collection}] name: (name={name[:300]})"
        raise invalid(reason)


def check_project(name: str) -> None:
    if _PROJECT.fullmatch(name) is None:
        reason = f"Invalid [projects] name: (name={name[:300]})"
        raise invalid(reason)


def check_publish(request: Pb) -> None:
    """A publish request.

    Raises:
        Refused: INVALID_ARGUMENT, naming the limit.
    """
    messages = request.messages
    if (size := request.ByteSize()) > PUBLISH_MAX_BYTES:
        reason = f"The publish request has {size} bytes; the limit is {PUBLISH_MAX_BYTES}."
        raise invalid(reason)
    if not messages:
        reason = "A publish request has at least one message."
        raise invalid(reason)
    if len(messages) > MESSAGES_PER_PUBLISH:
        reason = f"A publish request has {len(messages)} messages; the limit is {MESSAGES_PER_PUBLISH}."
        raise invalid(reason)
    for message in messages:
        if not message.data and not message.attributes:
            reason = "Each message must contain either non-empty data, or at least one attribute."
            raise invalid(reason)
        if message.attributes:
            _check_attributes(message.attributes)
        if len(message.ordering_key) > ORDERING_KEY_MAX_BYTES // 4:
            _check_bytes("ordering key", message.ordering_key, ORDERING_KEY_MAX_BYTES)


def check_topic(topic: Pb) -> None:
    """A topic to be created or as an update would leave it."""
    for field in ("schema_settings", "ingestion_data_source_settings", "message_transforms"):
        _check_unsupported(topic, field)
    if topic.HasField("message_retention_duration"):
        _check_duration("message_retention_duration", topic.message_retention_duration, RETENTION_SECONDS)


def check_subscription(subscription: Pb) -> None:
    """A subscription with its defaults filled in, to be created or as an update would leave it."""
    for field in (
        "bigquery_config",
        "cloud_storage_config",
        "bigtable_config",
        "enable_exactly_once_delivery",
        "message_transforms",
    ):
        _check_unsupported(subscription, field)
    _check_range("ack_deadline_seconds", subscription.ack_deadline_seconds, ACK_DEADLINE_SECONDS)
    _check_duration("message_retention_duration", subscription.message_retention_duration, RETENTION_SECONDS)
    check_push_config(subscription.push_config)
    if subscription.HasField("retry_policy"):
        minimum, maximum = subscription.retry_policy.minimum_backoff, subscription.retry_policy.maximum_backoff
        _check_duration("minimum_backoff", minimum, BACKOFF_SECONDS)
        _check_duration("maximum_backoff", maximum, BACKOFF_SECONDS)
        if seconds(maximum) < seconds(minimum):
            reason = f"maximum_backoff is {seconds(maximum):g}s, below minimum_backoff, {seconds(minimum):g}s."
            raise invalid(reason)
    if subscription.HasField("dead_letter_policy"):
        check_name(subscription.dead_letter_policy.dead_letter_topic, "topics")
        _check_range("max_delivery_attempts", subscription.dead_letter_policy.max_delivery_attempts, DELIVERY_ATTEMPTS)
    try:
        if subscription.filter:
            parse_filter(subscription.filter)
    except FilterError as error:
        reason = f"Invalid filter: {error}."
        raise invalid(reason) from None


def check_push_config(push_config: Pb) -> None:
    if push_config.HasField("no_wrapper"):
        what = "push without the wrapper (no_wrapper)"
        raise unsupported(what)
    if not push_config.push_endpoint:
        return
    try:
        url = urlsplit(push_config.push_endpoint)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or any(character <= " " for character in push_config.push_endpoint):
        reason = "Invalid push endpoint: it must be an http or https URL."
        raise invalid(reason)


def check_lease(lease_seconds: int) -> None:
    """The seconds of a ModifyAckDeadline: 0 gives the message back."""
    _check_range("ack_deadline_seconds", lease_seconds, (0, ACK_DEADLINE_SECONDS[1]))


def check_stream_lease(lease_seconds: int) -> None:
    _check_range("stream_ack_deadline_seconds", lease_seconds, ACK_DEADLINE_SECONDS)


def _check_attributes(attributes: Pb) -> None:
    if len(attributes) > ATTRIBUTES_PER_MESSAGE:
        reason = f"A message has {len(attributes)} attributes; the limit is {ATTRIBUTES_PER_MESSAGE}."
        raise invalid(reason)
    for key, value in attributes.items():
        if not key or key.startswith("goog"):
            reason = "An attribute key must not be empty and must not start with 'goog'."
            raise invalid(reason)
        if len(key) > ATTRIBUTE_KEY_MAX_BYTES // 4:
            _check_bytes("attribute key", key, ATTRIBUTE_KEY_MAX_BYTES)
        if len(value) > ATTRIBUTE_VALUE_MAX_BYTES // 4:
            _check_bytes("attribute value", value, ATTRIBUTE_VALUE_MAX_BYTES)


def _check_bytes(what: str, text: str, limit: int) -> None:
    if (size := len(text.encode())) > limit:
        reason = f"The {what} has {size} bytes; the limit is {limit}."
        raise invalid(reason)


def _check_range(field: str, value: float, limits: tuple[int, int]) -> None:
    if not limits[0] <= value <= limits[1]:
        reason = f"{field} is {value:g}; it must be between {limits[0]} and {limits[1]}."
        raise invalid(reason)


def _check_duration(field: str, duration: Pb, limits: tuple[int, int]) -> None:
    if not limits[0] <= seconds(duration) <= limits[1]:
        reason = f"{field} is {seconds(duration):g}s; it must be between {limits[0]}s and {limits[1]}s."
        raise invalid(reason)


def _check_unsupported(config: Pb, field: str) -> None:
    if any(descriptor.name == field for descriptor, _ in config.ListFields()):
        raise unsupported(field)
