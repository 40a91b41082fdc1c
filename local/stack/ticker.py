"""What Cloud Scheduler publishes every minute in the cloud: a tick for control, and a bell for the bulk lane."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping

import httpx

from local import deadlines
from shared import control_message
from shared.deadlines import TICK_SECONDS
from shared.topology import BELL_ATTRIBUTES, topology


async def tick_forever(environment: Mapping[str, str], time_scale: float, *, with_bells: bool) -> None:
    """Publish every minute, until cancelled. What fails is left out: the next minute does the same.

    Args:
        environment: The variables of ``stack.env``.
        time_scale: Divides the minute.
        with_bells: Whether bells are rung: not without a subscription for them, where they would count as jobs.
    """
    base = f"http://{environment['PUBSUB_EMULATOR_HOST']}/v1/projects/{environment['GOOGLE_CLOUD_PROJECT']}/topics"
    tick = {"data": b64encode(control_message.encode(control_message.Tick())).decode()}
    published: list[tuple[str, object]] = [(topology().topics["control"].name, tick)]
    if with_bells:
        belled = [kind.name for kind in topology().topics.values() if kind.bell_name]
        published += [(name, {"attributes": BELL_ATTRIBUTES}) for name in belled]
    pause = max(deadlines.MIN_TICK_SECONDS, TICK_SECONDS / time_scale)
    async with httpx.AsyncClient(timeout=deadlines.PUBSUB_CALL_SECONDS, trust_env=False) as client:
        while True:
            await asyncio.sleep(pause)
            for topic, message in published:
                try:
                    await client.post(f"{base}/{topic}:publish", json={"messages": [message]})
                except httpx.HTTPError:
                    continue
