"""What the product promises, seen from outside: a stack as a user starts it, official clients, plain JSON."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.customerio.signature import sign
from shared.redaction import loggable_key
from shared.topology import topology
from tests.docs.markdown import ROOT, python_blocks
from tests.stack.stack_helpers import RunningStack, post, read_env, until

PAYLOADS = json.loads((Path(__file__).parents[1] / "data" / "webhook-payloads.json").read_text())
GOLDEN: dict[str, Any] = next(entry for entry in PAYLOADS["published"] if "raw_body" in entry)


def test_plain_json_without_attributes_reaches_customerio(stack: RunningStack) -> None:
    stack.publish("cio-identify", {"identifiers": {"id": "plain"}, "attributes": {"plan": "pro"}})
    person = until(lambda: stack.person("plain"), "the person")
    assert person["attributes"]["plan"] == "pro"


def test_an_event_is_counted_once_however_often_it_is_published_under_one_id(stack: RunningStack) -> None:
    for _ in range(3):
        stack.publish("cio-track", {"identifiers": {"id": "once"}, "name": "signed_up"}, job_id="order-7")
    stack.publish("cio-track", {"identifiers": {"id": "once"}, "name": "the end"}, job_id="order-8")

    def names() -> list[str] | None:
        seen = [event["name"] for event in stack.simulator("events") if event["identifiers"].get("id") == "once"]
        return seen if "the end" in seen else None

    until(names, "the last event")
    until(
        lambda: stack.log("track").count(loggable_key("order-7")) >= 3,
        "pushes",
    )
    assert sorted(names() or []) == ["signed_up", "the end"]


def test_a_message_goes_out_once_and_its_events_come_back(stack: RunningStack) -> None:
    body = {"to": "one@example.com", "identifiers": {"id": "one"}, "transactional_message_id": 5}
    for _ in range(2):
        stack.publish("cio-send", body, job_id="01J0000000000000000000SEND")
    delivery = until(
        lambda: next((each for each in stack.simulator("deliveries") if each["identifiers"].get("id") == "one"), None),
        "the delivery",
    )
    where = f"delivery_id = '{delivery['delivery_id']}'"
    rows = until(lambda: found if len(found := stack.rows(where)) >= 3 else None, "its events in BigQuery")
    assert {row["metric"] for row in rows} == {"sent", "delivered", "opened"}
    until(lambda: stack.log("send").count('"job_id":"01J0000000000000000000SEND"') >= 2, "both pushes")
    sent = [each for each in stack.simulator("deliveries") if each["identifiers"].get("id") == "one"]
    assert len(sent) == 1


def test_a_job_that_cannot_succeed_is_dead_lettered_with_its_reason(stack: RunningStack) -> None:
    stack.publish("cio-send", {"identifiers": {"id": "1"}, "transactional_message_id": 5})
    ((data, attributes),) = until(lambda: stack.dead_letters("send"), "the dead letter")
    assert json.loads(data)["transactional_message_id"] == 5
    assert {name: attributes[name] for name in ("class", "reason", "field", "message", "function", "lane")} == {
        "class": "invalid_job",
        "reason": "invalid",
        "field": "to",
        "message": "is required",
        "function": "send",
        "lane": "main",
    }
    assert attributes["job_id"]


def test_of_fifty_jobs_only_the_one_that_customerio_refuses_is_dead_lettered(stack: RunningStack) -> None:
    fault = {"match": "fifty-3", "reason": "invalid", "field": "attributes.plan", "message": "not like this"}
    stack.faults({"path": "/api/v2", "items": fault})
    try:
        for n in range(50):
            stack.publish(
                "cio-identify", {"identifiers": {"id": f"fifty-{n + 100 if n != 3 else 3}"}, "attributes": {"n": n}}
            )
        ((data, attributes),) = until(lambda: stack.dead_letters("identify"), "the dead letter")
    finally:
        stack.faults()
    assert json.loads(data)["identifiers"]["id"] == "fifty-3"
    told = {name: attributes[name] for name in ("class", "status", "reason", "field", "message")}
    assert told == {
        "class": "rejected",
        "status": "207",
        "reason": "invalid",
        "field": "attributes.plan",
        "message": "not like this",
    }

    def applied() -> bool:
        people = [each for each in stack.simulator("people") if str(each.get("id")).startswith("fifty-")]
        return len(people) == 49

    until(applied, "the other 49")
    assert stack.dead_letters("identify") == []


def test_a_function_killed_in_the_middle_of_its_batches_loses_nothing(stack: RunningStack) -> None:
    before = stack.pids()["identify"]
    stack.faults({"path": "/api/v2", "delay": 0.5})
    try:
        for n in range(200):
            stack.publish("cio-identify", {"identifiers": {"id": f"killed-{n}"}})
        until(lambda: any("killed-" in json.dumps(each["body"]) for each in stack.simulator("requests")), "a batch")
        os.kill(before, signal.SIGKILL)
    finally:
        stack.faults()
    until(lambda: stack.pids()["identify"] != before, "the function's new process")

    def all_there() -> bool:
        return len([each for each in stack.simulator("people") if str(each.get("id")).startswith("killed-")]) == 200

    until(all_there, "all 200 people")
    assert stack.dead_letters("identify") == []


def golden_headers(**changed: str) -> dict[str, str]:
    return GOLDEN["headers"] | changed


def test_the_golden_webhook_is_accepted_and_becomes_a_row(stack: RunningStack) -> None:
    key = GOLDEN["signing_key"]
    body = GOLDEN["raw_body"].encode()
    assert key in stack.environment["CUSTOMERIO_WEBHOOK_SIGNING_KEY"].split(",")
    url = stack.environment["CUSTOMERIO_WEBHOOK_URL"]
    assert post(url, body, golden_headers()) == 200
    (row,) = until(lambda: stack.rows(f"event_id = '{GOLDEN['payload']['event_id']}'"), "the row")
    assert (row["metric"], row["object_type"], row["recipient"]) == ("sent", "email", "test@example.com")
    assert row["campaign_id"] == 23

    flipped = bytes([body[0], body[1] ^ 1, *body[2:]])
    assert post(url, flipped, golden_headers()) == 401
    assert post(url, json.dumps(json.loads(body)).encode(), golden_headers()) == 401
    assert post(url, body, golden_headers(**{"X-CIO-Timestamp": "1692633433"})) == 401
    assert post(url, body, {"X-CIO-Timestamp": "1692633432"}) == 401
    assert post(url, body, golden_headers(**{"X-CIO-Signature": "ü" * 64})) == 401


def test_what_is_signed_and_no_event_is_kept_and_does_not_stall_the_stream(stack: RunningStack) -> None:
    key = stack.environment["CUSTOMERIO_WEBHOOK_SIGNING_KEY"].split(",")[0]
    body = b'{"not": "an event"}'
    headers = {"X-CIO-Timestamp": "1692633432", "X-CIO-Signature": sign(key, "1692633432", body)}
    assert post(stack.environment["CUSTOMERIO_WEBHOOK_URL"], body, headers) == 200
    ((data, attributes),) = until(lambda: stack.dead_letters("events"), "the quarantined body")
    assert data == body
    assert attributes["class"] == "not_an_event"


def test_nothing_of_anybody_is_in_a_log(stack: RunningStack) -> None:
    canary = "canary-7f3a@example.com"
    stack.publish("cio-identify", {"identifiers": {"email": canary}, "attributes": {"note": canary}}, job_id=canary)
    stack.publish("cio-identify", {"identifiers": {"email": canary}, "attributes": {canary: "x" * 1001}})
    stack.publish("cio-identify", canary.encode())
    letters: list[dict[str, str]] = []

    def both_came() -> bool:
        letters.extend(attributes for _, attributes in stack.dead_letters("identify"))
        return len(letters) == 2

    until(both_came, "the dead letters")
    assert "7f3a@" not in str(letters)
    until(lambda: stack.person_by_email(canary), "the person")
    for part in topology().functions:
        assert "7f3a@" not in stack.log(part)


def test_the_environment_file_is_there_while_it_runs_and_names_every_process(stack: RunningStack) -> None:
    told = read_env(stack.directory / ".local" / "stack.env")
    assert set(topology().functions) <= stack.pids().keys()
    for pid in stack.pids().values():
        os.kill(pid, 0)
    assert {"PUBSUB_EMULATOR_HOST", "CUSTOMERIO_TRACK_URL", "CUSTOMERIO_WEBHOOK_URL"} <= told.keys()


@pytest.mark.parametrize("name", list(topology().functions))
def test_every_function_answers_what_is_no_push(stack: RunningStack, name: str) -> None:
    log = (stack.directory / "stack.log").read_text()
    address = next(line.split()[-1] for line in log.splitlines() if line.startswith(f"{name} "))
    assert post(f"http://{address}/", b"canary", {}) == (401 if name == "webhook" else 400)


@pytest.mark.parametrize("block", python_blocks((ROOT / "docs" / "local-stack.md").read_text()))
def test_a_python_block_of_the_page_runs_against_the_stack(stack: RunningStack, block: str, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(block)
    environment = os.environ | stack.environment
    run = subprocess.run(
        [sys.executable, script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
