"""Probes: what a healthy account answers is healthy, what turns real requests away is not, and nothing changes."""

import asyncio
from collections.abc import Callable
from unittest import mock

import httpx
import pytest
from aiohttp import web

from local.customerio import Credentials, Simulator
from shared import deadlines
from shared.customerio.http import BasicCredentials, BearerCredentials, Connection
from shared.customerio.probe import Probe, broadcast_probe, send_probe, track_probe
from shared.secrets import EnvironmentSecret
from tests.customerio.conftest import Answer, Connect, Upstream, reset, status

PROBES: dict[str, Callable[[Connection], Probe]] = {
    "track": track_probe,
    "send": send_probe,
    "broadcast": broadcast_probe,
}
_QUOTA = {"meta": {"error": "daily quota exceeded"}}
_EXPLAINED = {"meta": {"error": "not found"}}


def page(code: int) -> Answer:
    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(text="<html>Not here</html>", content_type="text/html", status=code)

    return answer


@pytest.fixture(params=PROBES)
def api(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def probe(api: str, upstream: Upstream, connect: Connect) -> Probe:
    return PROBES[api](connect(upstream.url, BearerCredentials(EnvironmentSecret("key"))))


async def test_the_simulator_refuses_a_probe_for_its_body_and_nothing_happens(api: str, connect: Connect) -> None:
    accepted = Credentials()
    async with Simulator() as simulator:
        url = simulator.track_url if api == "track" else simulator.app_url
        basic = BasicCredentials(EnvironmentSecret(accepted.site_id), EnvironmentSecret(accepted.track_api_key))
        bearer = BearerCredentials(EnvironmentSecret(accepted.app_api_key))
        assert await PROBES[api](connect(url, basic if api == "track" else bearer)).refusal() == ""
        wrong = connect(url, BearerCredentials(EnvironmentSecret("wrong")))
        assert await PROBES[api](wrong).refusal() == "credentials_refused"
        async with httpx.AsyncClient() as client:
            after = (await client.get(f"{simulator.track_url}/_sim/counts")).json()
            people = (await client.get(f"{simulator.track_url}/_sim/people")).json()
    assert people == []
    assert {name: count for name, count in after.items() if count and name not in {"requests", "webhooks"}} == {}


@pytest.mark.parametrize("code", [200, 207, 400, 413, 422])
async def test_a_refusal_of_the_body_shows_that_real_requests_are_taken(
    probe: Probe, upstream: Upstream, code: int
) -> None:
    upstream.then(status(code))
    assert await probe.refusal() == ""


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([status(401)] * 5, "credentials_refused"),
        ([status(402)], "account_refused"),
        ([page(403)], "account_refused"),
        ([page(404)], "account_refused"),
        ([status(301, location="https://track-eu.customer.io")], "wrong_region"),
        ([status(429)], "rate_limited"),
        ([status(429, _QUOTA)], "quota_exceeded"),
        ([status(500)], "server_error"),
        ([status(503)], "server_error"),
        ([reset], "no_answer"),
    ],
    ids=["401", "402", "403", "404", "301", "429", "quota", "500", "503", "reset"],
)
async def test_what_turns_real_requests_away_turns_the_probe_away(
    probe: Probe, upstream: Upstream, answers: list[Answer], reason: str
) -> None:
    upstream.then(*answers)
    assert await probe.refusal() == reason


async def test_customerios_own_404_is_healthy_where_a_job_can_cause_it(
    probe: Probe, api: str, upstream: Upstream
) -> None:
    upstream.then(status(404, _EXPLAINED))
    assert await probe.refusal() == ("account_refused" if api == "track" else "")


async def test_an_answer_that_does_not_come_in_time_is_none(probe: Probe, upstream: Upstream) -> None:
    async def hang(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await hung.wait()
        return web.Response()

    hung = asyncio.Event()
    upstream.then(hang)
    with mock.patch.object(deadlines, "PROBE_SECONDS", 1.2):
        assert await probe.refusal() == "timeout"
    hung.set()


async def test_nobody_at_the_address_is_unhealthy(api: str, connect: Connect) -> None:
    away = connect("http://127.0.0.1:9", BearerCredentials(EnvironmentSecret("key")))
    assert await PROBES[api](away).refusal() == "unreachable"


async def test_a_broadcast_probe_can_trigger_nothing(upstream: Upstream, connect: Connect) -> None:
    """No broadcast has the number 0, and the body is not an object, without which none is triggered."""
    await broadcast_probe(connect(upstream.url, BearerCredentials(EnvironmentSecret("key")))).refusal()
    assert (upstream.paths, upstream.bodies) == (["/v1/campaigns/0/triggers"], [b"[]"])
