"""Waiting costs nothing: Customer.io turns the account away, or is gone, for longer than both lanes last."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.topology import topology
from tests.stack.stack_helpers import ROOT, RunningStack, running_stack, until

pytestmark = pytest.mark.slow

# An hour of the lanes takes a second: both together last 15 s. A tick comes every half second, the shortest there is.
TIME_SCALE = 3600
LANES_SECONDS = sum(
    min(lane.maximum_backoff_seconds, lane.minimum_backoff_seconds * 2.0**attempt)
    for lane in (topology().lanes["main"], topology().lanes["retry"])
    for attempt in range(lane.attempts - 1)
)
KINDS = ("identify", "track", "send", "broadcast", "sync")
_HTML = "<html><body>Not found</body></html>"
_QUOTA = {"meta": {"error": "daily quota exceeded"}}
JOBS = 10

# One fault per API at a time, so that one outage shows several.
OUTAGES: dict[str, list[dict[str, Any]]] = {
    "401, 403, no answer": [
        {"path": "/api/v2", "status": 401},
        {"path": "/v1/send", "status": 403, "body": _HTML},
        {"path": "/v1/campaigns", "reset": True},
    ],
    "404 page, quota, 402": [
        {"path": "/api/v2", "status": 404, "body": _HTML},
        {"path": "/v1/send", "status": 429, "body": _QUOTA},
        {"path": "/v1/campaigns", "status": 402},
    ],
    "503, no answer, 301": [
        {"path": "/api/v2", "status": 503},
        {"path": "/v1/send", "reset": True},
        {"path": "/v1/campaigns", "status": 301},
    ],
}


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("pauses"), {"STACK_TIME_SCALE": str(TIME_SCALE)}) as stack:
        yield stack


def lanes(stack: RunningStack, *kinds: str) -> list[dict[str, Any]]:
    """Counters of every lane of these kinds, from the broker."""
    known = stack.broker("stats")["subscriptions"]
    names = [name for kind in kinds for name in topology().topics[kind].push_subscriptions]
    return [known[f"projects/{stack.project}/subscriptions/{name}"] for name in names]


def pushing(stack: RunningStack, *kinds: str) -> list[bool]:
    names = [name for kind in kinds for name in topology().topics[kind].push_subscriptions]
    with stack.subscriber() as client:
        found = [client.get_subscription(subscription=f"projects/{stack.project}/subscriptions/{n}") for n in names]
    return [bool(each.push_config.push_endpoint) for each in found]


def publish(stack: RunningStack, name: str) -> None:
    for number in range(JOBS):
        person = f"{name}-{number}"
        stack.publish("cio-identify", {"identifiers": {"id": f"i-{person}"}, "attributes": {"plan": "pro"}})
        stack.publish("cio-track", {"identifiers": {"id": f"t-{person}"}, "name": name})
        stack.publish("cio-sync", {"id": f"s-{person}", "plan": "pro"})
        stack.publish("cio-send", {"identifiers": {"id": person}, "transactional_message_id": 1, "to": "a@example.com"})
    audience = {"emails": ["a@example.com"], "email_ignore_missing": True}
    stack.publish("cio-broadcast", {"broadcast_id": 12, **audience})


def applied(stack: RunningStack) -> bool:
    return all(lane["backlog"] == 0 for lane in lanes(stack, *KINDS))


def ops(stack: RunningStack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **stack.environment},
        cwd=stack.directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def outage(stack: RunningStack, *faults: dict[str, Any]) -> Iterator[None]:
    stack.faults(*faults)
    try:
        yield
    finally:
        stack.faults()


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_longer_than_both_lanes_costs_no_job(hurried: RunningStack, name: str) -> None:
    with outage(hurried, *OUTAGES[name]):
        publish(hurried, name[:3])
        until(lambda: not any(pushing(hurried, *KINDS)), "the pause of every kind")
        until(lambda: all(lane["in_flight"] == 0 for lane in lanes(hurried, *KINDS)), "the pushes under way")
        attempts = [lane["delivered"] for lane in lanes(hurried, *KINDS)]
        requests, began = len(hurried.simulator("requests?since=0")), time.monotonic()
        time.sleep(1.2 * LANES_SECONDS / TIME_SCALE)  # the outage lasts: there is no event to wait for
        seconds = time.monotonic() - began
        assert [lane["delivered"] for lane in lanes(hurried, *KINDS)] == attempts
        asked = len(hurried.simulator("requests?since=0")) - requests
        assert 0 < asked < 20 * seconds * TIME_SCALE / 60
        assert asked <= 3 * (seconds / 0.5 + 2)  # one probe per API and tick
    until(lambda: applied(hurried), "every job")
    assert [hurried.dead_letters(kind) for kind in KINDS] == [[]] * len(KINDS)


def test_the_neighbours_of_a_paused_kind_go_on(hurried: RunningStack) -> None:
    with outage(hurried, {"path": "/v1/send", "status": 401}):
        publish(hurried, "neighbours")
        until(lambda: not any(pushing(hurried, "send")), "the pause")
        until(
            lambda: all(lane["backlog"] == 0 for lane in lanes(hurried, "identify", "track", "broadcast", "sync")),
            "them",
        )
        assert all(pushing(hurried, "identify", "track", "broadcast", "sync", "events"))
    until(lambda: applied(hurried), "the sends")


def test_an_operators_pause_outlasts_good_probes_and_ends_when_asked(hurried: RunningStack) -> None:
    assert ops(hurried, "pause", "send", "--reason", "wrong template").returncode == 0
    publish(hurried, "operator")
    until(lambda: all(lane["backlog"] == 0 for lane in lanes(hurried, "identify", "track", "sync")), "the others")
    ticks = hurried.log("control").count('"outcome":"still_paused"')
    until(lambda: hurried.log("control").count('"outcome":"still_paused"') > ticks + 2, "three ticks")
    assert not any(pushing(hurried, "send"))
    shown = json.loads(ops(hurried, "status", "--json").stdout)["pauses"]
    assert [(each["kind"], each["by"]) for each in shown] == [("send", "operator")]
    resumed = ops(hurried, "resume", "send")
    assert (resumed.returncode, resumed.stdout) == (0, "send: pushes again\n")
    until(lambda: applied(hurried), "the sends")


def test_a_pause_for_a_time_ends_by_itself(hurried: RunningStack) -> None:
    assert ops(hurried, "pause", "track", "--for", "8s").returncode == 0
    assert not any(pushing(hurried, "track"))
    until(lambda: all(pushing(hurried, "track")), "push")


def test_what_terraform_puts_back_during_a_pause_is_paused_again(hurried: RunningStack) -> None:
    with outage(hurried, {"path": "/v1/send", "status": 401}):
        publish(hurried, "apply")
        until(lambda: not any(pushing(hurried, "send")), "the pause")
        with hurried.subscriber() as client:
            name = f"projects/{hurried.project}/subscriptions/cio-send"
            request = {"name": name, "push_config": {"push_endpoint": "http://127.0.0.1:9/"}}
            client.update_subscription(request={"subscription": request, "update_mask": {"paths": ["push_config"]}})
        until(lambda: not any(pushing(hurried, "send")), "the pause once more")
    until(lambda: applied(hurried), "the sends")
