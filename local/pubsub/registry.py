"""All topics and subscriptions, and how messages get from a topic to its subscriptions."""

from collections.abc import Sequence

import grpc

from local.pubsub import validation
from local.pubsub.clock import Clock
from local.pubsub.configs import (
    UPDATABLE_SUBSCRIPTION_FIELDS,
    UPDATABLE_TOPIC_FIELDS,
    copy,
    fill_in_defaults,
    updated,
    with_topic_retention,
)
from local.pubsub.errors import ApiError, already_exists, not_found
from local.pubsub.faults import Faults
from local.pubsub.memory import MemoryLimit
from local.pubsub.messages import Message, MessageIds, PublishTime, UnackedMessage
from local.pubsub.push import PushConsumers
from local.pubsub.subscription import Subscription
from local.pubsub.wire import Pb
from local.pubsub.wire import Subscription as SubscriptionPb
from local.pubsub.wire import Topic as TopicPb

# The topic that a subscription shows once its own was deleted.
DELETED_TOPIC = "_deleted-topic_"


class Topic:
    def __init__(self, config: Pb) -> None:
        self.name: str = config.name
        self.config = config
        self.subscriptions: dict[str, Subscription] = {}
        self.published = 0


class Registry:
    """All topics and subscriptions of one broker.

    Every method raises ``ApiError`` with the status Pub/Sub would answer: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS,
    RESOURCE_EXHAUSTED, UNAVAILABLE (a fault) or UNIMPLEMENTED.
    """

    def __init__(self, *, clock: Clock, memory: MemoryLimit, faults: Faults, push_consumers: PushConsumers) -> None:
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._clock = clock
        self._memory = memory
        self._faults = faults
        self._push_consumers = push_consumers
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
        config = updated(topic.config, wanted, mask, UPDATABLE_TOPIC_FIELDS)
        validation.check_topic(config)
        topic.config = config
        for subscription in topic.subscriptions.values():
            subscription.configure(with_topic_retention(copy(subscription.config), topic.config))
        return config

    def delete_topic(self, name: str) -> None:
        """Delete a topic. Its subscriptions keep their messages, and show ``DELETED_TOPIC``."""
        for subscription in self.topic(name).subscriptions.values():
            config = copy(subscription.config)
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
        fill_in_defaults(config)
        self._check(config)
        config.state = SubscriptionPb.State.ACTIVE
        subscription = Subscription(
            with_topic_retention(config, topic.config),
            clock=self._clock,
            memory=self._memory,
            faults=self._faults,
            forward=self._forward,
        )
        self.subscriptions[config.name] = topic.subscriptions[config.name] = subscription
        self._push_consumers.refresh(subscription)
        return config

    def update_subscription(self, wanted: Pb, mask: Pb) -> Pb:
        subscription = self.subscription(wanted.name)
        config = updated(subscription.config, wanted, mask, UPDATABLE_SUBSCRIPTION_FIELDS)
        fill_in_defaults(config)
        self._check(config)
        self._reconfigure(subscription, config)
        return config

    def modify_push_config(self, name: str, push_config: Pb) -> None:
        subscription = self.subscription(name)
        validation.check_push_config(push_config)
        config = copy(subscription.config)
        config.push_config.CopyFrom(push_config)
        self._reconfigure(subscription, config)

    def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        del self.subscriptions[name]
        if (topic := self.topics.get(subscription.config.topic)) is not None:
            topic.subscriptions.pop(name, None)
        subscription.close(not_found(name))
        self._push_consumers.refresh(subscription)

    def publish(self, request: Pb) -> list[str]:
        """Publish all messages of a ``PublishRequest``, or none.

        Returns:
            The message ids, in order.
        """
        topic = self.topic(request.topic)
        validation.check_publish(request)
        if self._faults.active and self._faults.draw("refuse_publish", topic=topic.name):
            raise ApiError(grpc.StatusCode.UNAVAILABLE, "A fault set on this broker refused the publish request.")
        published = PublishTime(self._clock.wall_ns())
        messages = [
            Message(
                message_id=self._message_ids.next(),
                data=message.data,
                attributes=dict(message.attributes),
                ordering_key=message.ordering_key,
                published=published,
            )
            for message in request.messages
        ]
        self._memory.check_room(messages, subscriptions=len(topic.subscriptions))
        self._deliver(topic, messages)
        return [message.id for message in messages]

    def close(self) -> None:
        stopped = ApiError(grpc.StatusCode.UNAVAILABLE, "The broker is stopping.")
        for subscription in self.subscriptions.values():
            subscription.close(stopped)

    def _deliver(self, topic: Topic, messages: Sequence[Message]) -> None:
        topic.published += len(messages)
        for subscription in topic.subscriptions.values():
            subscription.offer(messages)

    def _forward(self, source: Subscription, unacked: UnackedMessage) -> bool:
        """Publish a message to the dead-letter topic, with the attributes that Pub/Sub adds and the same ordering key.

        The memory limit is not asked: the source subscription releases as much as the dead-letter topic takes.
        """
        topic = self.topics.get(source.config.dead_letter_policy.dead_letter_topic)
        if topic is None:
            return False
        _, project, _, subscription_id = source.name.split("/")
        message = unacked.message
        attributes = {
            **message.attributes,
            "CloudPubSubDeadLetterSourceDeliveryCount": str(unacked.failures),
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
        self._push_consumers.refresh(subscription)
