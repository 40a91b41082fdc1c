"""Topics and subscriptions: what exists, and the way of a message from one to the other."""

from collections.abc import Iterable, Sequence

import grpc

from local.pubsub import validation
from local.pubsub.clock import Clock
from local.pubsub.errors import Refused, already_exists, invalid, not_found
from local.pubsub.faults import Faults
from local.pubsub.messages import Memory, Message, MessageIds, PublishTime
from local.pubsub.push import Pushes
from local.pubsub.queues import Delivery
from local.pubsub.subscription import Subscription
from local.pubsub.wire import Pb
from local.pubsub.wire import Subscription as SubscriptionPb
from local.pubsub.wire import Topic as TopicPb

DELETED_TOPIC = "_deleted-topic_"
"""What a subscription shows as its topic once that is deleted."""

_UPDATABLE_TOPIC = frozenset({"labels", "message_storage_policy", "message_retention_duration", "kms_key_name"})
_UPDATABLE_SUBSCRIPTION = frozenset(
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


class Topic:
    def __init__(self, config: Pb) -> None:
        self.name: str = config.name
        self.config = config
        self.subscriptions: dict[str, Subscription] = {}
        self.published = 0


class Registry:
    """All topics and subscriptions of one broker.

    Every method raises ``Refused`` with the status Pub/Sub would answer: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS,
    RESOURCE_EXHAUSTED, UNAVAILABLE (a fault) or UNIMPLEMENTED.
    """

    def __init__(self, *, clock: Clock, memory: Memory, faults: Faults, pushes: Pushes) -> None:
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._clock = clock
        self._memory = memory
        self._faults = faults
        self._pushes = pushes
        self._message_ids = MessageIds(clock.wall_ns())

    def topic(self, name: str) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            validation.check_name(name, "topics")
            raise not_found(name)
        return topic

    def subscription(self, name: str) -> Subscription:
        subscription = self.subscriptions.get(name)
        if subscription is None:
            validation.check_name(name, "subscriptions")
            raise not_found(name)
        return subscription

    def create_topic(self, config: Pb) -> Pb:
        validation.check_name(config.name, "topics")
        if config.name in self.topics:
            raise already_exists(config.name)
        validation.check_topic(config)
        config.state = TopicPb.State.ACTIVE
        self.topics[config.name] = Topic(config)
        return config

    def update_topic(self, wanted: Pb, mask: Pb) -> Pb:
        topic = self.topic(wanted.name)
        config = _merged(topic.config, wanted, mask, _UPDATABLE_TOPIC)
        validation.check_topic(config)
        topic.config = config
        for subscription in topic.subscriptions.values():
            subscription.configure(_with_topic_retention(_copy(subscription.config), topic))
        return config

    def delete_topic(self, name: str) -> None:
        """Its subscriptions stay, with what they hold, and show ``DELETED_TOPIC``."""
        for subscription in self.topic(name).subscriptions.values():
            config = _copy(subscription.config)
            config.topic = DELETED_TOPIC
            config.ClearField("topic_message_retention_duration")
            subscription.configure(config)
        del self.topics[name]

    def create_subscription(self, config: Pb) -> Pb:
        validation.check_name(config.name, "subscriptions")
        validation.check_name(config.topic, "topics")
        if config.name in self.subscriptions:
            raise already_exists(config.name)
        topic = self.topic(config.topic)
        _fill_in_defaults(config)
        self._check(config)
        config.state = SubscriptionPb.State.ACTIVE
        subscription = Subscription(
            _with_topic_retention(config, topic),
            clock=self._clock,
            memory=self._memory,
            faults=self._faults,
            forward=self._forward,
        )
        self.subscriptions[config.name] = topic.subscriptions[config.name] = subscription
        self._pushes.refresh(subscription)
        return config

    def update_subscription(self, wanted: Pb, mask: Pb) -> Pb:
        subscription = self.subscription(wanted.name)
        config = _merged(subscription.config, wanted, mask, _UPDATABLE_SUBSCRIPTION)
        _fill_in_defaults(config)
        self._check(config)
        self._reconfigure(subscription, config)
        return config

    def modify_push_config(self, name: str, push_config: Pb) -> None:
        subscription = self.subscription(name)
        validation.check_push_config(push_config)
        config = _copy(subscription.config)
        config.push_config.CopyFrom(push_config)
        self._reconfigure(subscription, config)

    def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        del self.subscriptions[name]
        if (topic := self.topics.get(subscription.config.topic)) is not None:
            topic.subscriptions.pop(name, None)
        subscription.close(not_found(name))
        self._pushes.refresh(subscription)

    def publish(self, request: Pb) -> list[str]:
        """Keep the messages of a ``PublishRequest``, all or none.

        Returns:
            Their message ids, in order.
        """
        topic = self.topic(request.topic)
        validation.check_publish(request)
        if self._faults.active and self._faults.strike("refuse_publish", topic=topic.name):
            reason = "A fault set on this broker refused the publish request."
            raise Refused(grpc.StatusCode.UNAVAILABLE, reason)
        published = PublishTime(self._clock.wall_ns())
        kept = [
            Message(
                message_id=self._message_ids.next(),
                data=message.data,
                attributes=dict(message.attributes),
                ordering_key=message.ordering_key,
                published=published,
            )
            for message in request.messages
        ]
        self._memory.admit(kept, copies=len(topic.subscriptions))
        self._deliver(topic, kept)
        return [message.id for message in kept]

    def close(self) -> None:
        stopping = Refused(grpc.StatusCode.UNAVAILABLE, "The broker is stopping.")
        for subscription in self.subscriptions.values():
            subscription.close(stopping)

    def _deliver(self, topic: Topic, messages: Sequence[Message]) -> None:
        topic.published += len(messages)
        for subscription in topic.subscriptions.values():
            subscription.offer(messages)

    def _forward(self, source: Subscription, delivery: Delivery) -> bool:
        """Publish a spent message to the dead-letter topic, with the attributes Pub/Sub adds; the key stays.

        The memory cap does not stop it: the source lets go of as much as the topic takes.
        """
        topic = self.topics.get(source.config.dead_letter_policy.dead_letter_topic)
        if topic is None:
            return False
        _, project, _, subscription_id = source.name.split("/")
        message = delivery.message
        attributes = {
            **message.attributes,
            "CloudPubSubDeadLetterSourceDeliveryCount": str(delivery.failures),
            "CloudPubSubDeadLetterSourceSubscription": subscription_id,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": message.published_text,
        }
        forwarded = Message(
            message_id=self._message_ids.next(),
            data=message.data,
            attributes=attributes,
            ordering_key=message.ordering_key,
            published=PublishTime(self._clock.wall_ns()),
        )
        self._deliver(topic, [forwarded])
        return True

    def _check(self, config: Pb) -> None:
        validation.check_subscription(config)
        dead_letter_topic = config.dead_letter_policy.dead_letter_topic
        if dead_letter_topic and dead_letter_topic not in self.topics:
            raise not_found(dead_letter_topic)

    def _reconfigure(self, subscription: Subscription, config: Pb) -> None:
        subscription.configure(config)
        self._pushes.refresh(subscription)


def page[T](names: Iterable[str], page_size: int, page_token: str) -> tuple[list[str], str]:
    """One page of a listing in order of name, and the token of the next one; all that is left if ``page_size`` is 0."""
    rest = sorted(name for name in names if name > page_token)
    if page_size <= 0 or len(rest) <= page_size:
        return rest, ""
    return rest[:page_size], rest[page_size - 1]


def _fill_in_defaults(config: Pb) -> None:
    config.push_config.SetInParent()
    if not config.ack_deadline_seconds:
        config.ack_deadline_seconds = 10
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.seconds = 7 * 86_400
    if not config.HasField("expiration_policy"):
        config.expiration_policy.ttl.seconds = 31 * 86_400
    if config.HasField("retry_policy"):
        if not config.retry_policy.HasField("minimum_backoff"):
            config.retry_policy.minimum_backoff.seconds = 10
        if not config.retry_policy.HasField("maximum_backoff"):
            config.retry_policy.maximum_backoff.seconds = 600
    if config.HasField("dead_letter_policy") and not config.dead_letter_policy.max_delivery_attempts:
        config.dead_letter_policy.max_delivery_attempts = 5


def _with_topic_retention(config: Pb, topic: Topic) -> Pb:
    config.ClearField("topic_message_retention_duration")
    if topic.config.HasField("message_retention_duration"):
        config.topic_message_retention_duration.CopyFrom(topic.config.message_retention_duration)
    return config


def _merged(current: Pb, wanted: Pb, mask: Pb, updatable: frozenset[str]) -> Pb:
    if not mask.paths:
        reason = "The update_mask must be set, and must contain a non-empty paths list."
        raise invalid(reason)
    for path in mask.paths:
        field = path.partition(".")[0]
        if field not in current.DESCRIPTOR.fields_by_name:
            reason = f"Invalid update_mask: {field[:100]} is not a known field."
            raise invalid(reason)
        if field not in updatable:
            reason = f"The field {field} cannot be updated."
            raise invalid(reason)
    config = _copy(current)
    try:
        mask.MergeMessage(wanted, config, replace_message_field=True, replace_repeated_field=True)
    except ValueError:
        reason = "Invalid update_mask: a path does not name a field."
        raise invalid(reason) from None
    return config


def _copy(config: Pb) -> Pb:
    copy = type(config)()
    copy.CopyFrom(config)
    return copy
