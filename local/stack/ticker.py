"""The minute of the function control, which Cloud Scheduler keeps in the cloud."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping

import httpx

from local import deadlines
from shared import control_message
from shared.deadlines import TICK_SECONDS
from shared.topology import topology


async def tick_forever(environment: Mapping[str, str], time_scale: float) -> None:
    """Publish a tick every minute, until cancelled. One that fails is left out: the next one does the same.

    Args:
        environment: The variables of ``stack.env``.
        time_scale: Divides the minute.
    """
    topic = f"projects/{environment['GOOGLE_CLOUD_PROJECT']}/topics/{topology().topics['control'].name}"
    url = f"http://{environment['PUBSUB_EMULATOR_HOST']}/v1/{topic}:publish"
    body = {"messages": [{"data": b64encode(control_message.encode(control_message.Tick())).decode()}]}
    pause = max(deadlines.MIN_TICK_SECONDS, TICK_SECONDS / time_scale)
    async with httpx.AsyncClient(timeout=deadlines.PUBSUB_CALL_SECONDS, trust_env=False) as client:
        while True:
            await asyncio.sleep(pause)
            try:
                await client.post(url, json=body)
            except httpx.HTTPError:
                continue
