from collections.abc import AsyncIterator

import httpx
import pytest

from local.customerio import Credentials, Rates, RetryPolicy, Simulator, Target, Timing
from tests.local_customerio.receiver import SIGNING_KEY, Receiver, running_receiver

ACCEPTED = Credentials()
UNLIMITED = Rates(track=1e6, send=1e6, app=1e6, broadcast_pause=0.0)
AT_ONCE = Timing(export=0.0, trigger=0.0, reaction=0.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as endpoint:
        yield endpoint


@pytest.fixture
async def sim(receiver: Receiver) -> AsyncIterator[Simulator]:
    """A simulator without waits: no rates, everything reported at once, webhooks with short timeouts and pauses."""
    async with Simulator(
        webhook=Target(receiver.url, SIGNING_KEY),
        retry_policy=RetryPolicy(timeout=0.2, first_backoff=0.02, long_wait=0.3),
        rates=UNLIMITED,
        timing=AT_ONCE,
    ) as simulator:
        yield simulator


@pytest.fixture
async def track(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=sim.track_url, auth=(ACCEPTED.site_id, ACCEPTED.track_api_key), verify=False
    ) as client:
        yield client


@pytest.fixture
async def app(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    bearer = {"Authorization": f"Bearer {ACCEPTED.app_api_key}"}
    async with httpx.AsyncClient(base_url=sim.app_url, headers=bearer, verify=False) as client:
        yield client
