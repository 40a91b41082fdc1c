import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from typer.testing import Result

from ops import backlog, clients, console
from ops.backlog import Backlog, CloudMonitoring
from ops.errors import OperatorError
from shared.topology import topology
from tests.function_process import ROOT
from tests.ops.conftest import Machine

# Identify and sync have one lane, the others two; each has its dead letters.
LANES = sum(len(topic.hops) + 1 for topic in topology().topics.values())

Ops = Callable[..., Result]

NAME = "projects/demo-project/subscriptions/dev-cio-track"


def test_each_lane_has_a_line_with_backlog_and_age(machine: Machine, ops: Ops) -> None:
    for number in range(3):
        machine.dead_letter("track", b"{}", job_id=str(number))
    result = ops("status")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["kind", "lane", "backlog", "oldest"]
    assert len(lines) == 1 + LANES
    assert ["track", "main", "0", "-"] in lines
    assert ["track", "dead-letter", "3", "0s"] in lines
    assert result.exit_code == 0


def test_a_project_without_the_subscriptions_is_an_error(machine: Machine, ops: Ops) -> None:
    result = ops("status", "--project", f"not-{machine.project}")
    assert result.exit_code == 1
    assert "run `python -m ops doctor`" in result.stderr


def test_an_emulator_that_tells_no_numbers_is_an_error(ops: Ops, environment: MutableMapping[str, str]) -> None:
    del environment["PUBSUB_ADMIN_URL"]
    result = ops("status", "--project", "p")
    assert result.exit_code == 1
    assert "PUBSUB_ADMIN_URL is not set" in result.stderr


def test_a_broker_that_is_gone_is_an_error(ops: Ops, environment: MutableMapping[str, str]) -> None:
    environment["PUBSUB_ADMIN_URL"] = "http://127.0.0.1:9"
    result = ops("status", "--project", "p")
    assert result.exit_code == 1
    assert "start the local stack with `make run`" in result.stderr


@dataclass
class FakeMonitoring:
    """projects.timeSeries.list of Cloud Monitoring, a series a page."""

    url: str = ""
    status: int = 200
    values: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str) -> dict[str, Any]:
        split = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(split.query).items()}
        assert split.path == "/v3/projects/demo-project/timeSeries"
        self.asked.append(asked)
        metric = asked["filter"].split('"')[1]
        page = int(asked.get("pageToken", 0))
        series = [
            {
                "resource": {"labels": {"subscription_id": name}},
                "points": [{"value": value}, {"value": {"int64Value": "9"}}],
            }
            for name, value in self.values.get(metric, {}).items()
        ]
        more = {"nextPageToken": str(page + 1)} if page + 1 < len(series) else {}
        return {"timeSeries": series[page : page + 1], **more}


@pytest.fixture
def cloud() -> Iterator[FakeMonitoring]:
    fake = FakeMonitoring()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(fake.answer(self.path)).encode()
            self.send_response(fake.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def session() -> Iterator[AuthorizedSession]:
    with AuthorizedSession(AnonymousCredentials()) as opened:  # type: ignore[no-untyped-call]
        yield opened


def test_cloud_monitoring_is_asked_for_both_metrics(cloud: FakeMonitoring, session: AuthorizedSession) -> None:
    cloud.values = {
        "pubsub.googleapis.com/subscription/num_undelivered_messages": {
            "dev-cio-track": {"int64Value": "12"},
            "dev-cio-send": {"int64Value": "0"},
        },
        "pubsub.googleapis.com/subscription/oldest_unacked_message_age": {"dev-cio-track": {"int64Value": "90"}},
    }
    others = [NAME.replace("track", other) for other in ("send", "sync")]
    found = CloudMonitoring("demo-project", session, url=cloud.url).backlogs([NAME, *others])
    assert found == {NAME: Backlog(12, 90.0), others[0]: Backlog(0, None)}
    assert cloud.asked[0]["filter"] == (
        'metric.type = "pubsub.googleapis.com/subscription/num_undelivered_messages" AND '
        'resource.labels.subscription_id = one_of("dev-cio-track", "dev-cio-send", "dev-cio-sync")'
    )
    assert len(cloud.asked) == 3, "two pages and one"


@pytest.mark.parametrize(("status", "said"), [(403, "roles/monitoring.viewer"), (500, "answered 500")])
def test_what_cloud_monitoring_refuses_is_said(
    cloud: FakeMonitoring, session: AuthorizedSession, status: int, said: str
) -> None:
    cloud.status = status
    with pytest.raises(OperatorError, match=said):
        CloudMonitoring("demo-project", session, url=cloud.url).backlogs([NAME])


def test_cloud_monitoring_that_cannot_be_reached_is_said(session: AuthorizedSession) -> None:
    with pytest.raises(OperatorError, match=r"does not answer \(ConnectionError"):
        CloudMonitoring("demo-project", session, url="http://127.0.0.1:9").backlogs([NAME])


def test_in_the_cloud_status_shows_what_cloud_monitoring_says(
    cloud: FakeMonitoring,
    session: AuthorizedSession,
    ops: Ops,
    environment: MutableMapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del environment["PUBSUB_EMULATOR_HOST"]
    monkeypatch.setattr(clients, "monitoring", lambda: session)
    monkeypatch.setattr(backlog, "_MONITORING", cloud.url)
    cloud.values = {
        "pubsub.googleapis.com/subscription/num_undelivered_messages": {"dev-cio-track-retry": {"int64Value": "12"}},
        "pubsub.googleapis.com/subscription/oldest_unacked_message_age": {
            "dev-cio-track-retry": {"int64Value": "90061"}
        },
    }
    result = ops("status", "--project", "demo-project", "--environment", "dev")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["track", "retry", "12", "1d", "1h"] in lines
    assert ["track", "main", "?", "?"] in lines
    # Pauses are read from Pub/Sub, for which there are no credentials here: the backlog is shown all the same.
    assert result.stderr.startswith("Pauses are not known. ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59, "59s"), (60, "1m"), (125, "2m 5s"), (3600, "1h"), (90061, "1d 1h")]
)
def test_an_age_has_two_units(seconds: float, text: str) -> None:
    assert console.age(seconds) == text


def test_json_has_a_number_for_each_lane(machine: Machine, ops: Ops) -> None:
    machine.dead_letter("track", b"{}", job_id="J1")
    lanes = json.loads(ops("status", "--json").stdout)["lanes"]
    assert len(lanes) == LANES
    (found,) = [each for each in lanes if (each["kind"], each["lane"]) == ("track", "dead-letter")]
    assert found["subscription"] == f"projects/{machine.project}/subscriptions/cio-track-dead-letter"
    assert found["backlog"] == 1
    assert found["oldest_seconds"] >= 0


def test_watching_and_json_exclude_each_other(machine: Machine, ops: Ops) -> None:
    assert machine.project
    assert ops("status", "--watch", "--json").exit_code == 2


@pytest.mark.usefixtures("interruptible")
async def test_watching_shows_the_table_again_until_ctrl_c(machine: Machine) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops", "status", "--watch", "--project", machine.project),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        for table in range(2):
            assert (await process.stdout.readline()).split()[:2] == [b"kind", b"lane"], table
            for _ in range(LANES):
                await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
