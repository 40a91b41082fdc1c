"""``ops trace`` tells what happened: held against the simulator's own log of requests, while much goes wrong."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ops.story import build_story
from tests.stack.stack_helpers import PATIENCE, ROOT, RunningStack, until

# Pauses and attempts are told by the local broker; Google's emulator gives no attempt, and hangs on a pause.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("stack", ["local broker"], indirect=True, scope="session"),
]

SENDS = 150
FAULTS: list[dict[str, Any]] = [
    {"path": "/v1/send/", "status": 429, "retry_after": 1, "share": 0.03, "seed": 1},
    {"path": "/v1/send/", "status": 503, "share": 0.1, "seed": 2},
    {"path": "/v1/send/", "status": 500, "share": 0.05, "seed": 3},
    {"path": "/v1/send/", "reset": True, "share": 0.08, "seed": 4},
    {"path": "/v1/send/", "delay": 0.3, "share": 0.1, "seed": 5},
]


def trace(stack: RunningStack, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **stack.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ops", "trace", *arguments]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status, done.stderr
    return done


def story(stack: RunningStack, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(trace(stack, *arguments, "--json").stdout)
    return told


def steps(told: Mapping[str, Any]) -> list[str]:
    return [step["what"] for step in told["steps"]]


def publish(stack: RunningStack, name: str, **changed: Any) -> None:
    body = {"to": f"{name}@example.com", "identifiers": {"id": name}, "transactional_message_id": 5, **changed}
    stack.publish("cio-send", {key: value for key, value in body.items() if value is not None}, job_id=name)


def settled(stack: RunningStack, name: str, count: int = 1) -> list[dict[str, Any]] | None:
    rows = stack.rows(f"job_id = '{name}' AND outcome IN ('done', 'failed')", table="job_outcomes")
    return rows if len(rows) >= count else None


def test_a_send_is_told_from_publishing_to_the_open(stack: RunningStack) -> None:
    publish(stack, "told")
    until(lambda: stack.rows("job_id = 'told' AND opened_at IS NOT NULL", table="message_timeline"), "the open")
    told = story(stack, "told")
    assert (told["job_id"], told["kind"]) == ("told", "send")
    assert steps(told)[:2] == ["published", "applied"]
    assert {"sent", "delivered", "opened"} <= set(steps(told))
    delivery = next(each for each in stack.simulator("deliveries") if each["identifiers"].get("id") == "told")
    assert told["delivery_id"] == delivery["delivery_id"]
    assert story(stack, "--delivery", told["delivery_id"])["steps"] == told["steps"]
    assert [job["job_id"] for job in story(stack, "--person", "told")["jobs"]] == ["told"]
    shown = trace(stack, "told").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert told["delivery_id"] in shown


def test_a_dead_letter_says_why_and_a_replayed_one_tells_both(stack: RunningStack) -> None:
    publish(stack, "dies", transactional_message_id=None)
    until(lambda: settled(stack, "dies"), "the outcome")
    told = story(stack, "dies")
    assert steps(told) == ["published", "failed", "dead_letter"]
    assert told["steps"][-1]["error_class"] == "invalid_job"
    assert steps(story(stack, "dies")) == steps(told)  # looking took nothing away
    command = [sys.executable, "-m", "ops", "dead-letters", "replay", "send", "--job-id", "dies", "--yes"]
    environment = {**os.environ, **stack.environment, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=PATIENCE)
    until(lambda: settled(stack, "dies", 2), "the second outcome")
    assert steps(story(stack, "dies")) == ["published", "failed", "replayed", "failed", "dead_letter"]
    stack.dead_letters("send")


def test_a_job_that_waits_says_in_which_lane_and_whether_it_is_paused(stack: RunningStack) -> None:
    # Not a fault of Customer.io's own: five unknown outcomes would end the job.
    stack.faults({"path": "/v1/send/", "status": 429})
    publish(stack, "waits")
    until(lambda: stack.rows("job_id = 'waits' AND outcome = 'retried'", table="job_outcomes"), "a failed attempt")
    command = [sys.executable, "-m", "ops"]
    environment = {**os.environ, **stack.environment, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "pause", "send", "--reason", "trial"], check=True, env=environment, timeout=PATIENCE)
    told = story(stack, "waits")
    last = told["steps"][-1]
    assert last["what"] == "paused"
    # The stack's time is scaled: it may have moved already.
    assert last["lane"] == ("retry" if "moved" in steps(told) else "main")
    assert "paused by an operator (trial)" in last["detail"]
    stack.faults()
    subprocess.run([*command, "resume", "send"], check=True, env=environment, timeout=PATIENCE)
    until(lambda: settled(stack, "waits"), "the end")
    assert {"waiting", "paused"}.isdisjoint(steps(story(stack, "waits")))


def test_what_is_not_known_is_a_sentence_and_status_1(stack: RunningStack) -> None:
    assert "Nothing is known of job NOSUCH" in trace(stack, "NOSUCH", status=1).stderr


def test_under_faults_each_attempt_is_the_one_that_customerio_saw(stack: RunningStack) -> None:
    if "PUBSUB_ADMIN_URL" not in stack.environment:
        pytest.skip("Google's emulator counts no attempts")
    names = [f"faulty-{number}" for number in range(SENDS)]
    stack.faults(*FAULTS)
    for number, name in enumerate(names):
        publish(stack, name)
        if number == SENDS // 2:
            os.kill(stack.pids()["send"], signal.SIGKILL)
    listed = ", ".join(f"'{name}'" for name in names)

    def all_settled() -> list[dict[str, Any]] | None:
        rows = stack.rows(f"job_id IN ({listed})", table="job_outcomes")
        done = {row["job_id"] for row in rows if row["outcome"] in {"done", "failed"}}
        return rows if len(done) == SENDS else None

    until(all_settled, "all outcomes", patience=240, every=2)
    stack.faults()
    seen = defaultdict(list)
    for request in stack.simulator("requests"):
        if request["path"].startswith("/v1/send/") and request["body"]:
            seen[request["body"]["identifiers"]["id"]].append(request["status"])
    rows = stack.rows(f"job_id IN ({listed})", table="job_outcomes")
    stories = {name: build_story(name, [row for row in rows if row["job_id"] == name]).document() for name in names}
    told = {name: requests(stories[name]) for name in names}
    wrong = {name: (told[name], seen[name]) for name in names if not agrees(told[name], seen[name])}
    assert wrong == {}
    attempts = [attempt for each in told.values() for attempt in each]
    assert {429, 503, 500, None, 200} <= set(attempts)
    longest = max(names, key=lambda name: len(told[name]))
    assert requests(story(stack, longest)) == told[longest]


def requests(told: Mapping[str, Any]) -> list[Any]:
    """Statuses of the requests that the trace tells of, in order; ``"?"`` for an attempt without a record."""
    found: list[Any] = []
    for step in told["steps"]:
        if step["what"] == "unrecorded":
            found.append("?")
        elif step.get("requested"):
            found.append(200 if step["outcome"] == "done" else step.get("status"))
    return found


def agrees(told: Sequence[Any], seen: Sequence[int | None]) -> bool:
    """Whether they are the same requests in the same order. An attempt without a record may have made one or none."""
    if not told:
        return not seen
    if told[0] == "?":
        return agrees(told[1:], seen) or (bool(seen) and agrees(told[1:], seen[1:]))
    return bool(seen) and told[0] == seen[0] and agrees(told[1:], seen[1:])
