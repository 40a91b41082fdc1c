"""``pause`` and ``resume`` over the local Pub/Sub, with and without control, and how they show elsewhere."""

import json
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager

import pytest
from google.pubsub_v1.types import Subscription
from typer.testing import Result

from ops import deadlines, pauses
from ops.commands.doctor.pubsub import check_pubsub
from ops.target import Target
from shared.pubsub import pause
from shared.pubsub.pause import Pace, PushState
from shared.pubsub.push_switch import PushSwitch
from shared.push_targets import PushTarget
from shared.topology import topology
from tests.ops.conftest import Machine

Ops = Callable[..., Result]

URL = "http://127.0.0.1:9/"


def subscriptions(machine: Machine, kind: str) -> list[Subscription]:
    path = f"projects/{machine.project}/subscriptions/{{}}"
    names = topology().topics[kind].push_subscriptions
    return [machine.subscriber.get_subscription(subscription=path.format(name)) for name in names]


def pushes(machine: Machine, kind: str) -> list[bool]:
    return [bool(found.push_config.push_endpoint) for found in subscriptions(machine, kind)]


@contextmanager
def control(machine: Machine) -> Iterator[None]:
    """What the function does with each message of its topic."""
    names = tuple(found.name for found in subscriptions(machine, "send"))
    switch = PushSwitch({"send": PushTarget(names, URL)}, Pace(), client=lambda: machine.subscriber)
    asked, ended = machine.watch(topology().topics["control"].name), threading.Event()

    def run() -> None:
        while not ended.is_set():
            if asked(1):
                switch.reconcile("send", is_healthy=False)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_pause_takes_effect_at_once_on_every_lane_of_its_kind_alone(machine: Machine, ops: Ops) -> None:
    result = ops("pause", "send", "--reason", "Wrong template!")
    assert result.exit_code == 0
    assert result.stdout.startswith("send: paused by an operator (wrong-template)\n    since 2")
    assert "python -m ops resume send" in result.stderr
    assert pushes(machine, "send") == [False] * len(topology().topics["send"].push_subscriptions)
    assert all(pushes(machine, "track"))
    machine.publish("cio-send", b"{}")
    assert len(machine.waiting("cio-send")) == 1


def test_all_means_every_kind_that_calls_customerio(machine: Machine, ops: Ops) -> None:
    paused = json.loads(ops("pause", "all", "--for", "30m", "--json").stdout)["paused"]
    assert [each["kind"] for each in paused] == ["identify", "track", "send", "broadcast", "sync"]
    assert not any(any(pushes(machine, each["kind"])) for each in paused)
    assert all(pushes(machine, "events") + pushes(machine, "control"))


def test_the_time_of_a_pause_stands_in_its_labels(machine: Machine, ops: Ops) -> None:
    before = int(time.time())
    ops("pause", "send", "--for", "2h")
    state = pause.decode(subscriptions(machine, "send")[0].labels)
    assert state.paused_by == "operator"
    assert before <= state.since <= time.time()
    assert state.until - state.since == 7200


@pytest.mark.parametrize("text", ["", "2", "h", "0m", "8d", "-1h", "1.5h", "2 h"])
def test_a_time_that_is_none_or_too_long_is_refused(machine: Machine, ops: Ops, text: str) -> None:
    result = ops("pause", "send", "--for", text)
    assert result.exit_code == 2
    assert all(pushes(machine, "send"))


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize("kind", ["events", "control", "email"])
def test_another_kind_is_refused(machine: Machine, ops: Ops, command: str, kind: str) -> None:
    assert machine.project
    assert ops(command, kind).exit_code == 2


def test_a_pause_takes_the_place_of_one_that_a_probe_would_end(machine: Machine, ops: Ops) -> None:
    state = pause.pause_for_customerio(PushState(), "server_error", time.time(), Pace())
    for found in subscriptions(machine, "send"):
        request = {"subscription": {"name": found.name, "labels": pause.encode(state, {}), "push_config": {}}}
        machine.subscriber.update_subscription(request={**request, "update_mask": {"paths": ["labels", "push_config"]}})
    ops("pause", "send")
    assert {pause.decode(found.labels).paused_by for found in subscriptions(machine, "send")} == {"operator"}


def test_a_change_by_control_in_the_same_moment_does_not_undo_a_pause(
    machine: Machine, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """control read the subscription before the pause and writes after it."""
    lanes, rounds = pauses.lanes, []

    def undone_once(*arguments: object) -> list[pauses.Lane]:
        rounds.append(1)
        if len(rounds) == 2:
            found = subscriptions(machine, "send")[0]
            request = {"subscription": {"name": found.name, "labels": {}, "push_config": {"push_endpoint": URL}}}
            machine.subscriber.update_subscription(
                request={**request, "update_mask": {"paths": ["labels", "push_config"]}}
            )
        return lanes(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pauses, "lanes", undone_once)
    assert ops("pause", "send").exit_code == 0
    assert not any(pushes(machine, "send"))


def test_resume_waits_until_push_is_back(machine: Machine, ops: Ops) -> None:
    ops("pause", "send")
    with control(machine):
        result = ops("resume", "send")
    assert (result.exit_code, result.stdout) == (0, "send: pushes again\n")
    assert all(pushes(machine, "send"))
    assert dict(subscriptions(machine, "send")[0].labels) == {}


def test_resume_without_control_says_what_to_do_and_the_mark_is_gone(
    machine: Machine, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "RESUME_SECONDS", 0.3)
    ops("pause", "send")
    result = ops("resume", "send")
    assert result.exit_code == 1
    assert "cio-send, cio-send-retry, cio-send-bulk-bell does not push after 0.3 s" in result.stderr
    assert "`python -m ops logs control`" in result.stderr
    assert "`terraform apply`" in result.stderr
    with control(machine):  # the same again, once control is back
        assert json.loads(ops("resume", "send", "--json").stdout) == {"resumed": ["send"]}


def test_what_was_not_paused_is_left_alone(machine: Machine, ops: Ops) -> None:
    before = subscriptions(machine, "send")
    result = ops("resume", "send")
    assert (result.exit_code, result.stdout) == (0, "send: was not paused\n")
    assert subscriptions(machine, "send") == before


def test_status_shows_who_paused_why_since_when_and_until_when(machine: Machine, ops: Ops) -> None:
    machine.publish("cio-send", b"{}")
    ops("pause", "send", "--for", "2h", "--reason", "stop")
    shown = ops("status").stdout
    assert "send: paused by an operator (stop)\n    since " in shown
    assert max(map(len, shown.splitlines())) <= 80
    found = json.loads(ops("status", "--json").stdout)["pauses"]
    assert [(each["kind"], each["by"], each["reason"]) for each in found] == [("send", "operator", "stop")]
    assert json.loads(ops("status", "--json").stdout)["pauses"][0]["until"] is not None


def test_doctor_says_that_a_kind_is_paused_and_by_whom(
    machine: Machine, ops: Ops, environment: MutableMapping[str, str]
) -> None:
    ops("pause", "send", "--reason", "stop")
    target = Target(machine.project, "", environment)
    found = {each.check: each.text for each in check_pubsub(target) if each.verdict == "failed"}
    assert found["cio-send"].startswith("paused by an operator (stop), since ")
    assert "ops resume send" in found["cio-send"]
