"""One simulated workspace: its state, its faults, its records, and the way a request goes through them."""

from local.customerio import track_v1, track_v2
from local.customerio.app_api import AppApi
from local.customerio.broadcasts import Broadcasts
from local.customerio.faults import Faults
from local.customerio.records import Records
from local.customerio.webhooks import Webhooks
from local.customerio.wire import Answer, Call
from local.customerio.world import World

# Events and deliveries on record; counters see all of them.
KEPT = 200_000


class Workspace:
    """`redirect_to` is the base URL of the region the workspace is really in; None if it is in this one."""

    def __init__(self, webhooks: Webhooks, region: str, redirect_to: str | None, broadcast_pause: float) -> None:
        self.webhooks = webhooks
        self.faults = Faults()
        self._region = region
        self._redirect_to = redirect_to
        self._broadcast_pause = broadcast_pause
        self._start_empty()

    def reset(self) -> None:
        """Forget everything: people, records, counts, faults, queued webhooks."""
        self.webhooks.clear()
        self.faults.clear()
        self._start_empty()

    def answer(self, call: Call) -> Answer:
        """Apply one request. Never waits."""
        if call.host == "app":
            return self._app_api.answer(call)
        # Either regional host answers accounts/region, so that a client can find out where it belongs.
        if self._redirect_to is not None and call.parts != ("api", "v1", "accounts", "region"):
            return Answer(301, b"", headers={"Location": self._redirect_to.rstrip("/") + call.path})
        if call.parts[:2] == ("api", "v2"):
            return track_v2.answer(call, self.world)
        return track_v1.answer(call, self.world, self._region)

    def _start_empty(self) -> None:
        self.world = World(KEPT)
        self.records = Records()
        broadcasts = Broadcasts(self.world, self.webhooks.queue, self._broadcast_pause)
        self._app_api = AppApi(self.world, broadcasts, self.webhooks.queue, self._region)
