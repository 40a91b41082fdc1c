"""The account's rates hold by default, and reactions to a message take their time."""

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import aiohttp
import httpx

from local.customerio import Rates, RetryPolicy, Simulator, Target, Timing
from local.customerio.rates import TokenBucket
from tests.local_customerio.conftest import UNLIMITED
from tests.local_customerio.receiver import SIGNING_KEY, Receiver

SEND: dict[str, Any] = {"transactional_message_id": 44, "to": "a@example.com", "identifiers": {"id": "1"}}
BEARER = {"Authorization": "Bearer local-app-key"}


def test_the_published_rates_are_those_of_the_topology_and_only_the_broadcast_pause_is_scaled() -> None:
    assert Rates.published() == Rates(track=1000, send=100, app=10, broadcast_pause=10)
    assert Rates.published(20) == Rates(track=1000, send=100, app=10, broadcast_pause=0.5)


def test_a_bucket_starts_full_and_fills_at_its_rate() -> None:
    now = 0.0
    bucket = TokenBucket(10, 30, lambda: now)
    assert sum(bucket.take() for _ in range(100)) == 30
    now = 0.5
    assert sum(bucket.take() for _ in range(100)) == 5
    now = 1000.0
    assert sum(bucket.take() for _ in range(100)) == 30


async def statuses(method: str, url: str, number: int) -> Counter[int]:
    """Statuses of equal requests made at once. aiohttp's client, because httpx's pool slows down with its waiters."""
    async with aiohttp.ClientSession(headers=BEARER, connector=aiohttp.TCPConnector(limit=20)) as session:

        async def status() -> int:
            async with session.request(method, url, json=SEND) as answer:
                return answer.status

        return Counter(await asyncio.gather(*(status() for _ in range(number))))


async def test_more_than_three_seconds_worth_of_sends_at_once_is_429() -> None:
    async with Simulator() as sim, httpx.AsyncClient(base_url=sim.app_url, headers=BEARER) as app:
        seen = await statuses("POST", f"{sim.app_url}/v1/send/email", 900)
        assert 300 <= seen[200] < 900
        assert seen[429] == 900 - seen[200]
        assert (await app.get("/_sim/counts")).json()["sends"] == {"email": seen[200]}
        # A read draws on a rate of its own, and a stranger on none.
        assert (await app.get("/v1/workspaces")).status_code == 200
        async with httpx.AsyncClient(base_url=sim.app_url) as stranger:
            assert (await stranger.post("/v1/send/email", json=SEND)).status_code == 401


async def test_the_other_app_calls_have_ten_requests_a_second() -> None:
    async with Simulator() as sim:
        seen = await statuses("GET", f"{sim.app_url}/v1/workspaces", 300)
        assert 30 <= seen[200] < 300


async def test_reset_gives_the_rates_back() -> None:
    rates = Rates(track=1, send=1, app=0.001, broadcast_pause=1000)
    async with Simulator(rates=rates) as sim, httpx.AsyncClient(base_url=sim.app_url, headers=BEARER) as app:
        assert (await app.post("/v1/campaigns/1/triggers", json={})).status_code == 200
        assert (await app.post("/v1/campaigns/1/triggers", json={})).status_code == 429
        await app.delete("/_sim")
        assert (await app.post("/v1/campaigns/1/triggers", json={})).status_code == 200


async def test_reactions_come_one_after_the_other_and_differ_between_people(receiver: Receiver) -> None:
    async with (
        Simulator(webhook=Target(receiver.url, SIGNING_KEY), rates=UNLIMITED, timing=Timing(reaction=0.2)) as sim,
        httpx.AsyncClient(base_url=sim.app_url, headers=BEARER) as app,
    ):
        for _ in range(3):
            await app.post("/v1/send/email", json=SEND)
        assert (await app.get("/_sim/counts")).json()["webhooks"]["queued"] >= 3
        arrivals = [await receiver.next() for _ in range(9)]
        metrics: dict[str, list[tuple[str, float]]] = {}
        for arrival in arrivals:
            event = arrival.event
            metrics.setdefault(event["data"]["delivery_id"], []).append((event["metric"], arrival.seconds))
        for reported in metrics.values():
            assert [metric for metric, _ in reported] == ["sent", "delivered", "opened"]
            assert all(later > earlier for (_, earlier), (_, later) in pairwise(reported))
        to_open = {reported[2][1] - reported[1][1] for reported in metrics.values()}
        assert min(to_open) >= 0.01
        assert len(to_open) == 3
        assert (await app.get("/_sim/counts")).json()["webhooks"]["queued"] == 0


async def test_reset_cancels_reactions_that_are_still_to_come(receiver: Receiver) -> None:
    async with (
        Simulator(
            webhook=Target(receiver.url, SIGNING_KEY),
            retry_policy=RetryPolicy(),
            rates=UNLIMITED,
            timing=Timing(reaction=1000, trigger=1000),
        ) as sim,
        httpx.AsyncClient(base_url=sim.app_url, headers=BEARER) as app,
    ):
        await app.post("/v1/send/email", json=SEND)
        await app.post("/v1/campaigns/9/triggers", json={})
        assert (await receiver.next()).event["metric"] == "sent"
        assert (await app.get("/_sim/counts")).json()["webhooks"]["queued"] == 2
        await app.delete("/_sim")
        assert (await app.get("/_sim/counts")).json()["webhooks"]["queued"] == 0
