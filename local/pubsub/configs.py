"""Topic and subscription resources: defaults, and updates by mask."""

from local.deadlines import (
    DEFAULT_ACK_DEADLINE_SECONDS,
    DEFAULT_EXPIRATION_SECONDS,
    DEFAULT_MAX_RETRY_BACKOFF_SECONDS,
    DEFAULT_MIN_RETRY_BACKOFF_SECONDS,
    DEFAULT_RETENTION_SECONDS,
)
from local.pubsub.errors import invalid
from local.pubsub.wire import Pb

_DEFAULT_DELIVERY_ATTEMPTS = 5

UPDATABLE_TOPIC_FIELDS = frozenset({"labels", "message_storage_policy", "message_retention_duration", "kms_key_name"})
UPDATABLE_SUBSCRIPTION_FIELDS = frozenset(
    {
        "push_config",
        "ack_deadline_seconds",
        "retain_acked_messages",
        "message_retention_duration",
        "labels",
        "expiration_policy",
        "dead_letter_policy",
        "retry_policy",
    }
)


def fill_in_defaults(config: Pb) -> None:
    """Set the documented defaults of a subscription's unset fields."""
    config.push_config.SetInParent()
    if not config.ack_deadline_seconds:
        config.ack_deadline_seconds = DEFAULT_ACK_DEADLINE_SECONDS
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.seconds = DEFAULT_RETENTION_SECONDS
    if not config.HasField("expiration_policy"):
        config.expiration_policy.ttl.seconds = DEFAULT_EXPIRATION_SECONDS
    if config.HasField("retry_policy"):
        if not config.retry_policy.HasField("minimum_backoff"):
            config.retry_policy.minimum_backoff.seconds = DEFAULT_MIN_RETRY_BACKOFF_SECONDS
        if not config.retry_policy.HasField("maximum_backoff"):
            config.retry_policy.maximum_backoff.seconds = DEFAULT_MAX_RETRY_BACKOFF_SECONDS
    if config.HasField("dead_letter_policy") and not config.dead_letter_policy.max_delivery_attempts:
        config.dead_letter_policy.max_delivery_attempts = _DEFAULT_DELIVERY_ATTEMPTS


def with_topic_retention(config: Pb, topic_config: Pb) -> Pb:
    """Copy a topic's retention into its subscription's config, as Pub/Sub shows it."""
    config.ClearField("topic_message_retention_duration")
    if topic_config.HasField("message_retention_duration"):
        config.topic_message_retention_duration.CopyFrom(topic_config.message_retention_duration)
    return config


def updated(current: Pb, wanted: Pb, mask: Pb, updatable: frozenset[str]) -> Pb:
    """Return a copy of ``current`` with the masked fields of ``wanted``.

    Raises:
        ApiError: INVALID_ARGUMENT, if the mask is empty, or names a field that is unknown or cannot be updated.
    """
    if not mask.paths:
        raise invalid("The update_mask must be set, and must contain a non-empty paths list.")
    for path in mask.paths:
        field = path.partition(".")[0]
        if field not in current.DESCRIPTOR.fields_by_name:
            raise invalid(f"Invalid update_mask: {field[:100]} is not a known field.")
        if field not in updatable:
            raise invalid(f"The field {field} cannot be updated.")
    if not mask.IsValidForDescriptor(current.DESCRIPTOR):
        raise invalid("Invalid update_mask: a path does not name a field.")
    config = copy(current)
    mask.MergeMessage(wanted, config, replace_message_field=True, replace_repeated_field=True)
    return config


def copy(config: Pb) -> Pb:
    copied = type(config)()
    copied.CopyFrom(config)
    return copied
