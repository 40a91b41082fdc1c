"""The gRPC services of ``google.pubsub.v1``."""

from collections.abc import AsyncIterator

import grpc
import grpc.aio

from local.pubsub import wire
from local.pubsub.errors import ApiError, unimplemented
from local.pubsub.methods import Method, publisher_methods, subscriber_methods
from local.pubsub.pull import PullStream
from local.pubsub.registry import Registry
from local.pubsub.wire import Pb

# Lazy aliases: the classes are generic for the type checker only.
type _Context = grpc.aio.ServicerContext[Pb, Pb]
type _Handler = grpc.RpcMethodHandler[Pb, Pb]


def grpc_handlers(registry: Registry) -> list[grpc.GenericRpcHandler]:
    """Return the handlers of Publisher and Subscriber, and one that answers UNIMPLEMENTED to every other method."""
    publisher = {name: _unary(method) for name, method in publisher_methods(registry).items()}
    subscriber = {name: _unary(method) for name, method in subscriber_methods(registry).items()}
    subscriber["StreamingPull"] = _streaming_pull(registry)
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber),
        _Unimplemented(),
    ]


def _unary(method: Method) -> _Handler:
    async def answer(request: Pb, context: _Context) -> Pb:
        try:
            return await method.call(request, context.time_remaining())
        except ApiError as error:
            await context.abort(error.code, error.message)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=method.request_class.FromString, response_serializer=_serialize
    )


def _streaming_pull(registry: Registry) -> _Handler:
    async def answer(requests: AsyncIterator[Pb], context: _Context) -> AsyncIterator[Pb]:
        try:
            first = await anext(requests, None)
            if first is None:
                return
            stream = PullStream(registry.subscription(first.subscription), first)
            async for response in stream.responses(requests):
                yield response
        except ApiError as error:
            await context.abort(error.code, error.message)

    return grpc.stream_stream_rpc_method_handler(
        answer, request_deserializer=wire.StreamingPullRequest.FromString, response_serializer=_serialize
    )


class _Unimplemented(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Names the missing method in its answer (schemas, snapshots, DetachSubscription, IAM), where gRPC would not."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler:
        error = unimplemented(handler_call_details.method.lstrip("/"))

        async def answer(_: bytes, context: _Context) -> bytes:
            await context.abort(error.code, error.message)
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


def _serialize(message: Pb) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
