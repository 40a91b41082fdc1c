from types import TracebackType
from typing import Self

import grpc.aio
from aiohttp import web

from local.pubsub.admin import admin_app
from local.pubsub.clock import Clock
from local.pubsub.faults import Faults
from local.pubsub.messages import Memory
from local.pubsub.push import Pushes
from local.pubsub.registry import Registry
from local.pubsub.services import service_handlers

DEFAULT_MEMORY_LIMIT_BYTES = 512 * 1024 * 1024

_GRPC_OPTIONS = (
    # Above Pub/Sub's own limits, so that an oversized request is answered with those.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # Without it a second broker on the same port starts and takes half of the connections.
    ("grpc.so_reuseport", 0),
)
_STOP_GRACE_SECONDS = 0.5


class Broker:
    """A Pub/Sub on the running event loop.

        async with Broker(time_scale=20) as broker:
            os.environ["PUBSUB_EMULATOR_HOST"] = broker.host

    Args:
        host: address to listen on.
        port: of gRPC; 0 takes a free one.
        admin_port: of the HTTP surface for stats and faults; 0 takes a free one.
        time_scale: what retry-policy backoffs and the push slow-down are divided by; ack deadlines and the rest stay.
        memory_limit_bytes: of held messages; beyond it a publish is answered RESOURCE_EXHAUSTED.

    Raises:
        RuntimeError, OSError: a port is taken.
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
        memory = Memory(memory_limit_bytes)
        faults = Faults()
        self._pushes = Pushes(clock)
        self._registry = Registry(clock=clock, memory=memory, faults=faults, pushes=self._pushes)
        self._admin = web.AppRunner(
            admin_app(registry=self._registry, pushes=self._pushes, memory=memory, faults=faults), access_log=None
        )
        self._server: grpc.aio.Server | None = None

    @property
    def host(self) -> str:
        """``HOST:PORT``, as ``PUBSUB_EMULATOR_HOST`` takes it."""
        return f"{self._address}:{self._port}"

    @property
    def admin_url(self) -> str:
        """The root of the HTTP surface, without a trailing slash."""
        return f"http://{self._address}:{self._admin_port}"

    async def __aenter__(self) -> Self:
        await self._admin.setup()
        try:
            await self._start()
        except BaseException:
            await self._admin.cleanup()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._registry.close()
        if self._server is not None:
            await self._server.stop(_STOP_GRACE_SECONDS)
        await self._pushes.close()
        await self._admin.cleanup()

    async def _start(self) -> None:
        site = web.TCPSite(self._admin, self._address, self._admin_port)
        await site.start()
        self._admin_port = self._admin.addresses[0][1]
        server = grpc.aio.server(options=_GRPC_OPTIONS)
        server.add_generic_rpc_handlers(service_handlers(self._registry))
        self._port = server.add_insecure_port(f"{self._address}:{self._port}")
        await server.start()
        self._server = server
