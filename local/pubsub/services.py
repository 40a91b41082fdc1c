"""The gRPC methods of ``google.pubsub.v1`` on top of the registry."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import grpc
import grpc.aio

from local.pubsub import validation, wire
from local.pubsub.errors import Refused, invalid, unsupported
from local.pubsub.pull import PULL_WAIT_SECONDS, PullStream, acknowledge, modify_deadline, pull
from local.pubsub.registry import Registry, page
from local.pubsub.wire import Pb, PbClass

# Lazy aliases: the classes are generic for the type checker only.
type _Context = grpc.aio.ServicerContext[Pb, Pb]
type _Handler = grpc.RpcMethodHandler[Pb, Pb]

_SHARE_OF_DEADLINE = 0.9
"""An empty pull answers before its client gives up."""


def service_handlers(registry: Registry) -> list[grpc.GenericRpcHandler]:
    """Publisher and Subscriber; and a clear UNIMPLEMENTED for every other method."""
    publisher, subscriber = Publisher(registry), Subscriber(registry)
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher.handlers()),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber.handlers()),
        _Unimplemented(),
    ]


class Publisher:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def handlers(self) -> dict[str, _Handler]:
        return {
            "CreateTopic": _plain(self._registry.create_topic, wire.Topic),
            "UpdateTopic": _plain(self._update_topic, wire.UpdateTopicRequest),
            "GetTopic": _plain(self._get_topic, wire.GetTopicRequest),
            "ListTopics": _plain(self._list_topics, wire.ListTopicsRequest),
            "ListTopicSubscriptions": _plain(self._list_topic_subscriptions, wire.ListTopicSubscriptionsRequest),
            "DeleteTopic": _plain(self._delete_topic, wire.DeleteTopicRequest),
            "Publish": _plain(self._publish, wire.PublishRequest),
        }

    def _publish(self, request: Pb) -> Pb:
        return wire.PublishResponse(message_ids=self._registry.publish(request))

    def _update_topic(self, request: Pb) -> Pb:
        return self._registry.update_topic(request.topic, request.update_mask)

    def _get_topic(self, request: Pb) -> Pb:
        return self._registry.topic(request.topic).config

    def _list_topics(self, request: Pb) -> Pb:
        names, token = _page_of_project(self._registry.topics, request)
        return wire.ListTopicsResponse(
            topics=[self._registry.topics[name].config for name in names], next_page_token=token
        )

    def _list_topic_subscriptions(self, request: Pb) -> Pb:
        topic = self._registry.topic(request.topic)
        names, token = page(topic.subscriptions, request.page_size, request.page_token)
        return wire.ListTopicSubscriptionsResponse(subscriptions=names, next_page_token=token)

    def _delete_topic(self, request: Pb) -> Pb:
        self._registry.delete_topic(request.topic)
        return wire.Empty()


class Subscriber:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def handlers(self) -> dict[str, _Handler]:
        return {
            "CreateSubscription": _plain(self._registry.create_subscription, wire.Subscription),
            "UpdateSubscription": _plain(self._update_subscription, wire.UpdateSubscriptionRequest),
            "GetSubscription": _plain(self._get_subscription, wire.GetSubscriptionRequest),
            "ListSubscriptions": _plain(self._list_subscriptions, wire.ListSubscriptionsRequest),
            "DeleteSubscription": _plain(self._delete_subscription, wire.DeleteSubscriptionRequest),
            "ModifyPushConfig": _plain(self._modify_push_config, wire.ModifyPushConfigRequest),
            "ModifyAckDeadline": _plain(self._modify_ack_deadline, wire.ModifyAckDeadlineRequest),
            "Acknowledge": _plain(self._acknowledge, wire.AcknowledgeRequest),
            "Seek": _plain(self._seek, wire.SeekRequest),
            "Pull": _waiting(self._pull, wire.PullRequest),
            "StreamingPull": grpc.stream_stream_rpc_method_handler(
                self._streaming_pull,
                request_deserializer=wire.StreamingPullRequest.FromString,
                response_serializer=_serialize,
            ),
        }

    def _update_subscription(self, request: Pb) -> Pb:
        return self._registry.update_subscription(request.subscription, request.update_mask)

    def _get_subscription(self, request: Pb) -> Pb:
        return self._registry.subscription(request.subscription).config

    def _list_subscriptions(self, request: Pb) -> Pb:
        names, token = _page_of_project(self._registry.subscriptions, request)
        return wire.ListSubscriptionsResponse(
            subscriptions=[self._registry.subscriptions[name].config for name in names], next_page_token=token
        )

    def _delete_subscription(self, request: Pb) -> Pb:
        self._registry.delete_subscription(request.subscription)
        return wire.Empty()

    def _modify_push_config(self, request: Pb) -> Pb:
        self._registry.modify_push_config(request.subscription, request.push_config)
        return wire.Empty()

    def _modify_ack_deadline(self, request: Pb) -> Pb:
        subscription = self._registry.subscription(request.subscription)
        modify_deadline(subscription, _some(request.ack_ids), request.ack_deadline_seconds)
        return wire.Empty()

    def _acknowledge(self, request: Pb) -> Pb:
        acknowledge(self._registry.subscription(request.subscription), _some(request.ack_ids))
        return wire.Empty()

    def _seek(self, request: Pb) -> Pb:
        if request.HasField("snapshot"):
            what = "snapshots"
            raise unsupported(what)
        subscription = self._registry.subscription(request.subscription)
        if not request.HasField("time"):
            reason = "No target was specified in the SeekRequest: it needs a time."
            raise invalid(reason)
        subscription.seek(request.time.seconds * 1_000_000_000 + request.time.nanos)
        return wire.SeekResponse()

    async def _pull(self, request: Pb, context: _Context) -> Pb:
        subscription = self._registry.subscription(request.subscription)
        wait = 0.0
        if not request.return_immediately:
            remaining = context.time_remaining()
            wait = PULL_WAIT_SECONDS if remaining is None else min(PULL_WAIT_SECONDS, remaining * _SHARE_OF_DEADLINE)
        return wire.PullResponse(
            received_messages=await pull(subscription, max_messages=request.max_messages, wait_seconds=wait)
        )

    async def _streaming_pull(self, requests: AsyncIterator[Pb], context: _Context) -> AsyncIterator[Pb]:
        try:
            first = await anext(requests, None)
            if first is None:
                return
            stream = PullStream(self._registry.subscription(first.subscription), first)
            async for response in stream.responses(requests):
                yield response
        except Refused as refused:
            await context.abort(refused.code, refused.reason)


class _Unimplemented(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Schemas, snapshots, Detach, IAM: named in the answer, rather than a bare "method not found"."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler:
        method = handler_call_details.method.lstrip("/")

        async def refuse(_: bytes, context: _Context) -> bytes:
            refused = unsupported(method)
            await context.abort(refused.code, refused.reason)
            return b""

        return grpc.unary_unary_rpc_method_handler(refuse)


def _plain(method: Callable[[Pb], Pb], request_class: PbClass) -> _Handler:
    async def call(request: Pb, _: _Context) -> Pb:
        return method(request)

    return _waiting(call, request_class)


def _waiting(method: Callable[[Pb, _Context], Awaitable[Pb]], request_class: PbClass) -> _Handler:
    async def answer(request: Pb, context: _Context) -> Pb:
        try:
            return await method(request, context)
        except Refused as refused:
            await context.abort(refused.code, refused.reason)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=request_class.FromString, response_serializer=_serialize
    )


def _serialize(message: Pb) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized


def _some(ack_ids: Pb) -> Pb:
    if not ack_ids:
        reason = "No ack ids specified."
        raise invalid(reason)
    return ack_ids


def _page_of_project(names: Iterable[str], request: Pb) -> tuple[list[str], str]:
    validation.check_project(request.project)
    prefix = f"{request.project}/"
    return page((name for name in names if name.startswith(prefix)), request.page_size, request.page_token)
