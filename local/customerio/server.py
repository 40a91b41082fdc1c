"""The two listening ports of the simulator, the Track host and the App host, in front of one workspace."""

import asyncio
import contextlib
from typing import Any, Self

from aiohttp import web

from local import deadlines
from local.customerio import (
    admin,
    app_account,
    app_customers,
    app_exports,
    app_messages,
    app_segments,
    broadcasts,
    sends,
    track_v1,
    track_v2,
)
from local.customerio.exchange import Host
from local.customerio.gateway import Credentials, Gateway, Routes
from local.customerio.rates import Rates
from local.customerio.webhooks import RetryPolicy, Target, Webhooks
from local.customerio.workspace import Region, Timing, Workspace


class Simulator:
    """Customer.io on loopback. `async with Simulator() as sim:` listens on `sim.track_url` and `sim.app_url`.

    Args:
        host: Address to listen on.
        track_port: Port of the Track API; 0 takes a free one.
        app_port: Port of the App API; 0 takes a free one.
        credentials: Accepted credentials; `sim.credentials` may be replaced while it runs, to rehearse a rotation.
        region: Region that `accounts/region` reports.
        redirect_to: Base URL of the right regional host; every Track call but `accounts/region` gets 301 to it.
        webhook: Where reporting webhooks go; None sends none.
        retry_policy: Timeout and pauses of the webhooks.
        rates: The account's rates, above which the answer is 429; the published ones by default.
        timing: Seconds that exports, broadcasts and people's reactions take.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        track_port: int = 0,
        app_port: int = 0,
        credentials: Credentials = Credentials(),  # noqa: B008 - frozen
        region: Region = "us",
        redirect_to: str | None = None,
        webhook: Target | None = None,
        retry_policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        rates: Rates | None = None,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        self.workspace = Workspace(Webhooks(webhook, retry_policy), region, rates or Rates.published(), timing)
        self._gateway = Gateway(self.workspace, credentials, redirect_to)
        self._address = host
        self._ports: dict[Host, int] = {"track": track_port, "app": app_port}
        self._stack = contextlib.AsyncExitStack()

    @property
    def credentials(self) -> Credentials:
        return self._gateway.credentials

    @credentials.setter
    def credentials(self, accepted: Credentials) -> None:
        self._gateway.credentials = accepted

    @property
    def track_url(self) -> str:
        return f"http://{self._address}:{self._ports['track']}"

    @property
    def app_url(self) -> str:
        return f"http://{self._address}:{self._ports['app']}"

    async def __aenter__(self) -> Self:
        async with self._stack:
            for host in self._ports:
                await self._listen(host)
            webhooks = asyncio.create_task(self.workspace.webhooks.run())
            self._stack.push_async_callback(_cancel, webhooks)
            self._stack.callback(self.workspace.stop)
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listen(self, host: Host) -> None:
        runner = web.AppRunner(
            self._application(host), access_log=None, shutdown_timeout=deadlines.SIMULATOR_SHUTDOWN_SECONDS
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self._address, self._ports[host]).start()
        self._ports[host] = runner.addresses[0][1]

    def _application(self, host: Host) -> web.Application:
        app = web.Application()
        admin.add_routes(app, self.workspace)
        routes = Routes(host, self._gateway, app)
        apis = _TRACK_APIS if host == "track" else _APP_APIS
        for api in apis:
            api.add_routes(routes)
        routes.add_unknown()
        return app


_TRACK_APIS = (track_v1, track_v2)
_APP_APIS = (sends, broadcasts, app_customers, app_messages, app_segments, app_exports, app_account)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
