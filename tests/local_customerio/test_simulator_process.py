import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from local.customerio.__main__ import parse_arguments, simulator

ROOT = Path(__file__).parents[2]


async def test_prints_one_ready_line_serves_both_hosts_and_stops_on_sigterm() -> None:
    environ = {
        **os.environ,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "track-key",
        "CUSTOMERIO_APP_API_KEY": "app-key",
        "CUSTOMERIO_REGION": "eu",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.customerio", "--app-api-key", "other-key", "--time-scale", "1000"),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(10):
        line = (await process.stdout.readline()).decode()
    name, ready, track, app = line.split()
    assert (name, ready, track[:23], app[:21]) == (
        "simulator",
        "ready",
        "track=http://127.0.0.1:",
        "app=http://127.0.0.1:",
    )
    async with httpx.AsyncClient(verify=False, headers={"Authorization": "Bearer other-key"}) as client:
        region = await client.get(f"{track[6:]}/api/v1/accounts/region", auth=("site", "track-key"))
        assert region.json()["region"] == "eu"
        addresses = await client.get(f"{app[4:]}/v1/info/ip_addresses")
        assert addresses.json()["ip_addresses"][0] == "34.76.143.229"
        for _ in range(2):
            assert (await client.post(f"{app[4:]}/v1/campaigns/1/triggers", json={})).status_code == 200
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")


@pytest.mark.parametrize(
    ("scale", "option", "hour"),
    [(1.0, [], 3600.0), (20.0, [], 180.0), (20.0, ["--webhook-long-wait-seconds", "2"], 2.0)],
)
async def test_the_hour_is_scaled_and_bounded(scale: float, option: list[str], hour: float) -> None:
    sim = simulator(parse_arguments(["--time-scale", str(scale), *option], {}))
    assert sim.workspace.webhooks._retry_policy.long_wait == hour
    assert sim.workspace.webhooks._retry_policy.timeout == 4.0


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CUSTOMERIO_WEBHOOK_URL": "http://127.0.0.1:1/"}, "--webhook-signing-key"),
        ({"CUSTOMERIO_REGION": "mars"}, "--region"),
    ],
)
def test_a_wrong_environment_is_refused(
    environ: dict[str, str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments([], environ)
    assert named in capsys.readouterr().err
