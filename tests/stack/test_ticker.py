"""What the stack publishes in Cloud Scheduler's place, on a broker with the subscriptions of the topology."""

import asyncio
from contextlib import suppress

import pytest

from local import deadlines
from local.pubsub.broker import Broker
from local.stack.provision import provision
from local.stack.ticker import tick_forever
from shared.topology import topology
from tests.local_pubsub.broker_helpers import PubSub

_NOWHERE = "http://127.0.0.1:9/"


@pytest.mark.parametrize(("with_bells", "rings"), [(True, 1), (False, 0)])
async def test_each_minute_control_gets_a_tick_and_lane_bulk_a_ring_that_no_lane_takes_for_a_job(
    monkeypatch: pytest.MonkeyPatch, *, with_bells: bool, rings: int
) -> None:
    monkeypatch.setattr(deadlines, "MIN_TICK_SECONDS", 0.05)
    async with Broker(host="127.0.0.1", port=0, admin_port=0) as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.host)
        pubsub = PubSub(broker.host, broker.admin_url)
        try:
            await asyncio.to_thread(provision, pubsub.project, dict.fromkeys(topology().functions, _NOWHERE))

            def has_arrived(name: str, count: int = 1) -> None:
                path = f"projects/{pubsub.project}/subscriptions/{name}"
                pubsub.wait_until(path, lambda stats: stats["backlog"] >= count)

            environment = {"PUBSUB_EMULATOR_HOST": broker.host, "GOOGLE_CLOUD_PROJECT": pubsub.project}
            ticking = asyncio.create_task(tick_forever(environment, 1e9, with_bells=with_bells))
            # The second tick comes after the first round's ring.
            await asyncio.to_thread(has_arrived, "cio-control", 2)
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
            send = topology().topics["send"]
            backlogs = {
                name: (await asyncio.to_thread(pubsub.stats, f"projects/{pubsub.project}/subscriptions/{name}"))[
                    "backlog"
                ]
                for name in [*(hop.subscription for hop in send.hops), str(send.bell_name)]
            }
            assert min(backlogs.pop("cio-send-bulk-bell"), 1) == rings
            assert set(backlogs.values()) == {0}
        finally:
            await asyncio.to_thread(pubsub.close)
