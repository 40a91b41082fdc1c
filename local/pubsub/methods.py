"""The unary methods of ``google.pubsub.v1``, as gRPC and REST both serve them."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from local.deadlines import EMPTY_PULL_WAIT_SECONDS
from local.pubsub import validation, wire
from local.pubsub.errors import invalid, unimplemented
from local.pubsub.messages import NANOSECONDS
from local.pubsub.pull import acknowledge, modify_ack_deadline, pull
from local.pubsub.registry import Registry
from local.pubsub.wire import Pb, PbClass

# An empty pull waits for this share of its client's deadline, so that it answers before the client gives up.
_SHARE_OF_DEADLINE = 0.9


@dataclass(frozen=True, slots=True)
class Method:
    """One unary method.

    Attributes:
        request_class: The class of its request.
        call: Answers a request, given the seconds until the client's deadline (None without one). Raises ``ApiError``
            with the status Pub/Sub would answer.
    """

    request_class: PbClass
    call: Callable[[Pb, float | None], Awaitable[Pb]]


def publisher_methods(registry: Registry) -> dict[str, Method]:
    """Return the methods of ``google.pubsub.v1.Publisher`` by name."""

    def publish(request: Pb) -> Pb:
        return wire.PublishResponse(message_ids=registry.publish(request))

    def update_topic(request: Pb) -> Pb:
        return registry.update_topic(request.topic, request.update_mask)

    def get_topic(request: Pb) -> Pb:
        return registry.topic(request.topic).config

    def list_topics(request: Pb) -> Pb:
        names, token = _page_of_project(registry.topics, request)
        return wire.ListTopicsResponse(topics=[registry.topics[name].config for name in names], next_page_token=token)

    def list_topic_subscriptions(request: Pb) -> Pb:
        names, token = _page(registry.topic(request.topic).subscriptions, request)
        return wire.ListTopicSubscriptionsResponse(subscriptions=names, next_page_token=token)

    def delete_topic(request: Pb) -> Pb:
        registry.delete_topic(request.topic)
        return wire.Empty()

    return {
        "CreateTopic": _immediate(wire.Topic, registry.create_topic),
        "UpdateTopic": _immediate(wire.UpdateTopicRequest, update_topic),
        "GetTopic": _immediate(wire.GetTopicRequest, get_topic),
        "ListTopics": _immediate(wire.ListTopicsRequest, list_topics),
        "ListTopicSubscriptions": _immediate(wire.ListTopicSubscriptionsRequest, list_topic_subscriptions),
        "DeleteTopic": _immediate(wire.DeleteTopicRequest, delete_topic),
        "Publish": _immediate(wire.PublishRequest, publish),
    }


def subscriber_methods(registry: Registry) -> dict[str, Method]:
    """Return the unary methods of ``google.pubsub.v1.Subscriber`` by name."""
    return _subscription_methods(registry) | _delivery_methods(registry)


def _subscription_methods(registry: Registry) -> dict[str, Method]:

    def update_subscription(request: Pb) -> Pb:
        return registry.update_subscription(request.subscription, request.update_mask)

    def get_subscription(request: Pb) -> Pb:
        return registry.subscription(request.subscription).config

    def list_subscriptions(request: Pb) -> Pb:
        names, token = _page_of_project(registry.subscriptions, request)
        return wire.ListSubscriptionsResponse(
            subscriptions=[registry.subscriptions[name].config for name in names], next_page_token=token
        )

    def delete_subscription(request: Pb) -> Pb:
        registry.delete_subscription(request.subscription)
        return wire.Empty()

    def modify_push_config(request: Pb) -> Pb:
        registry.modify_push_config(request.subscription, request.push_config)
        return wire.Empty()

    return {
        "CreateSubscription": _immediate(wire.Subscription, registry.create_subscription),
        "UpdateSubscription": _immediate(wire.UpdateSubscriptionRequest, update_subscription),
        "GetSubscription": _immediate(wire.GetSubscriptionRequest, get_subscription),
        "ListSubscriptions": _immediate(wire.ListSubscriptionsRequest, list_subscriptions),
        "DeleteSubscription": _immediate(wire.DeleteSubscriptionRequest, delete_subscription),
        "ModifyPushConfig": _immediate(wire.ModifyPushConfigRequest, modify_push_config),
    }


def _delivery_methods(registry: Registry) -> dict[str, Method]:
    def modify_deadline(request: Pb) -> Pb:
        subscription = registry.subscription(request.subscription)
        modify_ack_deadline(subscription, _not_empty(request.ack_ids), request.ack_deadline_seconds)
        return wire.Empty()

    def ack(request: Pb) -> Pb:
        acknowledge(registry.subscription(request.subscription), _not_empty(request.ack_ids))
        return wire.Empty()

    def seek(request: Pb) -> Pb:
        if request.HasField("snapshot"):
            raise unimplemented("snapshots")
        subscription = registry.subscription(request.subscription)
        if not request.HasField("time"):
            raise invalid("The SeekRequest names no target: it needs a time.")
        subscription.seek(request.time.seconds * NANOSECONDS + request.time.nanos)
        return wire.SeekResponse()

    async def pull_messages(request: Pb, remaining: float | None) -> Pb:
        subscription = registry.subscription(request.subscription)
        wait = 0.0 if request.return_immediately else EMPTY_PULL_WAIT_SECONDS
        if remaining is not None:
            wait = min(wait, remaining * _SHARE_OF_DEADLINE)
        messages = await pull(subscription, max_messages=request.max_messages, wait_seconds=wait)
        return wire.PullResponse(received_messages=messages)

    return {
        "ModifyAckDeadline": _immediate(wire.ModifyAckDeadlineRequest, modify_deadline),
        "Acknowledge": _immediate(wire.AcknowledgeRequest, ack),
        "Seek": _immediate(wire.SeekRequest, seek),
        "Pull": Method(wire.PullRequest, pull_messages),
    }


def _immediate(request_class: PbClass, answer: Callable[[Pb], Pb]) -> Method:
    async def call(request: Pb, _: float | None) -> Pb:
        return answer(request)

    return Method(request_class, call)


def _not_empty(ack_ids: Pb) -> Pb:
    if not ack_ids:
        raise invalid("The request needs at least one ack id.")
    return ack_ids


def _page_of_project(names: Iterable[str], request: Pb) -> tuple[list[str], str]:
    validation.check_project(request.project)
    prefix = f"{request.project}/"
    return _page((name for name in names if name.startswith(prefix)), request)


def _page(names: Iterable[str], request: Pb) -> tuple[list[str], str]:
    """Return one page of a listing in order of name, and the token of the next page; empty if there is none."""
    rest = sorted(name for name in names if name > request.page_token)
    if request.page_size <= 0 or len(rest) <= request.page_size:
        return rest, ""
    return rest[: request.page_size], rest[request.page_size - 1]
