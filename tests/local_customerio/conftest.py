from collections.abc import AsyncIterator

import httpx
import pytest

from local.customerio import Credentials, Patience, Simulator, Target
from tests.local_customerio.receiver import SIGNING_KEY, Receiver, running_receiver

ACCEPTED = Credentials()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as endpoint:
        yield endpoint


@pytest.fixture
async def sim(receiver: Receiver) -> AsyncIterator[Simulator]:
    """Broadcasts without a pause; webhooks with a timeout of 0.2 s, a first backoff of 0.02 s and an hour of 0.3 s."""
    async with Simulator(
        webhook=Target(receiver.url, SIGNING_KEY),
        patience=Patience(timeout=0.2, first_backoff=0.02, long_wait=0.3),
        broadcast_pause=0.0,
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
