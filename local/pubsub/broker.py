"""The broker: Pub/Sub on the running event loop."""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc.aio
from aiohttp import web

from local.deadlines import BROKER_STOP_GRACE_SECONDS
from local.pubsub.admin import admin_app
from local.pubsub.clock import Clock
from local.pubsub.faults import Faults
from local.pubsub.grpc_api import grpc_handlers
from local.pubsub.memory import DEFAULT_MEMORY_LIMIT_BYTES, MemoryLimit
from local.pubsub.push import PushConsumers
from local.pubsub.registry import Registry
from local.pubsub.rest_api import rest_app
from local.pubsub.shared_port import SharedPort

_GRPC_OPTIONS = (
    # Above Pub/Sub's own limits, so that an oversized request is answered with those.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
)


class Broker:
    """A Pub/Sub on the running event loop, for gRPC and REST.

        async with Broker(time_scale=20) as broker:
            os.environ["PUBSUB_EMULATOR_HOST"] = broker.host

    Args:
        host: The address to listen on.
        port: The port of gRPC and REST; 0 takes a free one.
        admin_port: The port of the admin surface (stats and faults); 0 takes a free one.
        time_scale: Divides retry-policy backoffs and push backoff. Ack deadlines and everything else are real.
        memory_limit_bytes: Limit of held messages. Beyond it a publish is answered RESOURCE_EXHAUSTED.

    Raises:
        OSError: if a port is taken.
        ValueError: if ``time_scale`` is not above 0.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        admin_port: int = 0,
        time_scale: float = 1.0,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    ) -> None:
        self._address = host
        self._port = port
        self._admin_port = admin_port
        clock = Clock(time_scale)
        memory = MemoryLimit(memory_limit_bytes)
        faults = Faults()
        self._push_consumers = PushConsumers(clock)
        self._registry = Registry(clock=clock, memory=memory, faults=faults, push_consumers=self._push_consumers)
        self._admin = web.AppRunner(
            admin_app(registry=self._registry, push_consumers=self._push_consumers, memory=memory, faults=faults),
            access_log=None,
        )
        # A pull whose client has gone must end, or it would lease messages to nobody.
        self._rest = web.AppRunner(
            rest_app(self._registry),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=BROKER_STOP_GRACE_SECONDS,
        )
        self._stack = AsyncExitStack()

    @property
    def host(self) -> str:
        """``HOST:PORT``, the value for ``PUBSUB_EMULATOR_HOST``."""
        return f"{self._address}:{self._port}"

    @property
    def admin_url(self) -> str:
        """The root of the admin surface, without a trailing slash."""
        return f"http://{self._address}:{self._admin_port}"

    async def __aenter__(self) -> Self:
        async with self._stack as stack:
            await self._start_admin(stack)
            stack.push_async_callback(self._push_consumers.close)
            await self._start_api(stack)
            # Runs first: waiting pulls and streams are answered before their connections close.
            stack.callback(self._registry.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start_admin(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._admin.cleanup)
        await self._admin.setup()
        site = web.TCPSite(self._admin, self._address, self._admin_port)
        await site.start()
        self._admin_port = self._admin.addresses[0][1]

    async def _start_api(self, stack: AsyncExitStack) -> None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pubsub-"))
        grpc_socket = str(Path(folder) / "grpc")
        server = grpc.aio.server(options=_GRPC_OPTIONS)
        server.add_generic_rpc_handlers(grpc_handlers(self._registry))
        server.add_insecure_port(f"unix:{grpc_socket}")
        await server.start()
        stack.push_async_callback(self._rest.cleanup)
        await self._rest.setup()
        assert self._rest.server is not None
        port = SharedPort(rest=self._rest.server, grpc_socket=grpc_socket)
        stack.callback(port.close)
        stack.push_async_callback(server.stop, BROKER_STOP_GRACE_SECONDS)
        stack.callback(port.stop_accepting)
        self._port = await port.start(self._address, self._port)
