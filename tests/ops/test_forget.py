"""``forget`` on a whole stack: afterwards nothing of the person is anywhere, and nothing brings them back."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from unittest import mock

import httpx
import pytest
from typer.testing import CliRunner, Result

from ops import deadlines
from ops.cli import app
from shared.topology import topology
from tests.stack.stack_helpers import RunningStack, running_stack, until

pytestmark = pytest.mark.slow

Ops = Callable[..., Result]
# FORGET_PEOPLE=500 makes it 10,000 jobs.
PEOPLE, ROUNDS = int(os.environ.get("FORGET_PEOPLE", "12")), 5
VICTIM = 7
LATE_SECONDS = 60.0


def identity(number: int) -> dict[str, str]:
    """Somebody whose id, address and name are found wherever their bytes are. The victim's are the greatest of all."""
    word = "zz-forgotten" if number == VICTIM else "someone"
    return {
        "id": f"{word}-id-{number:05}",
        "email": f"{word}.mail.{number:05}@example.com",
        "name": f"{word}-name-{number:05}",
    }


NEEDLES = list(identity(VICTIM).values())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), {}) as running:
        yield running


@pytest.fixture
def ops(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ops]:
    """Runs a command in this process, on the stack and in its folder."""
    monkeypatch.chdir(stack.directory)
    runner = CliRunner()

    def run(*arguments: str, status: int = 0) -> Result:
        result = runner.invoke(app, [*arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    with mock.patch.dict(os.environ, stack.environment):
        yield run


def publish_about(stack: RunningStack, number: int, round_number: int) -> None:
    who = identity(number)
    ordered = {"ordering_key": f"id:{who['id']}"}
    stack.publish("cio-sync", {"id": who["id"], "email": who["email"], "first_name": who["name"]}, **ordered)
    body = {"identifiers": {"id": who["id"]}, "attributes": {"round": round_number, "nick": who["name"]}}
    stack.publish("cio-identify", body, **ordered)
    stack.publish("cio-track", {"identifiers": {"id": who["id"]}, "name": "viewed", "attributes": {"by": who["name"]}})
    message = {"transactional_message_id": "1", "identifiers": {"id": who["id"]}, "to": who["email"]}
    message["message_data"] = {"name": who["name"]}
    stack.publish("cio-send", message)


def publish_failing(stack: RunningStack, number: int) -> None:
    """Jobs that become dead letters."""
    who = identity(number)
    stack.publish("cio-track", {"identifiers": {"id": who["id"]}, "name": "", "attributes": {"by": who["name"]}})
    stack.publish("cio-send", {"identifiers": {"email": who["email"]}, "to": who["email"]}, channel="pigeon")
    stack.publish("cio-identify", {"identifiers": {"id": who["id"]}, "action": "nonsense"})


def settle(stack: RunningStack) -> None:
    """Wait until no message waits, no webhook is to come, and every row is written."""

    def is_quiet() -> bool:
        told = stack.broker("stats")["subscriptions"]
        waiting = sum(each["backlog"] for name, each in told.items() if not name.endswith("dead-letter"))
        return not waiting and not stack.simulator("counts")["webhooks"]["queued"]

    until(lambda: is_quiet() and (time.sleep(0.5) or is_quiet()), "a quiet stack", patience=60 + 2 * PEOPLE)


def found_in(stack: RunningStack) -> list[str]:
    """Every place in which something of the victim is found."""
    needles = re.compile("|".join(map(re.escape, NEEDLES)).encode(), re.IGNORECASE)
    places = [
        str(path.relative_to(stack.directory))
        for path in stack.directory.rglob("*")
        if path.is_file() and needles.search(path.read_bytes())
    ]
    for name in ("people", "events", "deliveries"):
        # The suppression list is what keeps the person away.
        told = [each for each in stack.simulator(name) if not each.get("suppressed")]
        if needles.search(json.dumps(told).encode()):
            places.append(f"simulator: {name}")
    tables = {table: json.dumps(stack.rows(table=table), default=str) for table in ("events", "job_outcomes")}
    places += [f"table {name}" for name, text in tables.items() if needles.search(text.encode())]
    return places + waiting_with(stack, needles)


def waiting_with(stack: RunningStack, needles: re.Pattern[bytes]) -> list[str]:
    """The subscriptions that hold a dead letter of the victim. What was pulled is given back."""
    places = []
    with stack.subscriber() as client:
        for topic in topology().topics.values():
            path = f"projects/{stack.project}/subscriptions/{topic.dead_letter_name}"
            if not stack.broker("stats")["subscriptions"][path]["backlog"]:
                continue
            pulled = client.pull(subscription=path, max_messages=1000, timeout=5).received_messages
            if any(needles.search(each.message.data + repr(each.message.attributes).encode()) for each in pulled):
                places.append(f"dead letters {topic.dead_letter_name}")
            ids = [each.ack_id for each in pulled]
            if ids:
                client.modify_ack_deadline(subscription=path, ack_ids=ids, ack_deadline_seconds=0)
    return places


def hold_back(stack: RunningStack, *, seconds: float) -> None:
    faults = [{"kind": "delay", "seconds": seconds}] if seconds else []
    httpx.put(f"{stack.environment['PUBSUB_ADMIN_URL']}/_broker/faults", json={"faults": faults}).raise_for_status()


def test_nothing_of_a_forgotten_person_is_left_and_nothing_brings_them_back(stack: RunningStack, ops: Ops) -> None:
    for round_number in range(ROUNDS):
        for number in range(PEOPLE):
            publish_about(stack, number, round_number)
    publish_failing(stack, VICTIM)
    publish_failing(stack, VICTIM + 1)
    settle(stack)
    before = found_in(stack)
    assert {"simulator: people", "simulator: deliveries", "table events", "dead letters cio-send-dead-letter"} <= {
        *before
    }
    others = {table: len(stack.rows(table=table)) for table in ("events", "job_outcomes")}

    would = json.loads(ops("forget", NEEDLES[0], "--dry-run", "--json").stdout)["would_delete"]
    assert would["dead_letters"] == 3
    assert would["claims"] == ROUNDS
    assert would["profiles"] == 1
    assert would["events"] >= ROUNDS
    assert json.loads(ops("forget", NEEDLES[0], "--json").stdout)["would_delete"] == would
    assert ops("forget", NEEDLES[0]).stderr.endswith("Nothing was changed. --yes forgets this person.\n")

    hold_back(stack, seconds=LATE_SECONDS)
    publish_about(stack, VICTIM, 99)
    hold_back(stack, seconds=0)

    receipt = json.loads(ops("forget", NEEDLES[0], "--yes", "--json").stdout)
    assert receipt["state"] == "complete"
    assert {name: each["count"] for name, each in receipt["stores"].items()} == {"customer.io": 1, **would}
    assert not any(needle in json.dumps(receipt) for needle in NEEDLES)
    assert found_in(stack) == []

    settle(stack)  # the late jobs among them
    assert found_in(stack) == []
    assert stack.person(NEEDLES[0]) is None
    assert [row["how"] for row in stack.rows("how = 'forgotten'", table="job_outcomes")] == ["forgotten"] * 4
    # Of the others nothing is missing.
    assert len(stack.rows(table="events")) == others["events"] - would["events"]
    assert len(stack.dead_letters("send")) == 1
    assert json.loads(ops("forget", "status", "--json").stdout) == {"open": [], "kept": 1}

    who = identity(VICTIM)
    stack.publish("cio-sync", {"id": who["id"], "email": who["email"], "restore": True}, ordering_key=f"id:{who['id']}")
    until(lambda: stack.person(who["id"]), "the person who was brought back")


def test_a_forget_job_is_finished_by_status(stack: RunningStack, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "FUNCTIONS_KNOW_SECONDS", 0.0)
    publish_about(stack, 3, 0)
    settle(stack)
    who = identity(3)
    stack.publish("cio-sync", {"id": who["id"], "forget": True}, ordering_key=f"id:{who['id']}")
    settle(stack)
    assert stack.person(who["id"]) is None
    assert "1 person is not wholly forgotten" in ops("status").stdout
    assert "1 person is not wholly forgotten" in ops("doctor", status=0).stdout
    told = json.loads(ops("forget", "status", "--json").stdout)
    assert [each["state"] for each in told["open"]] == ["complete"]
    assert "not wholly forgotten" not in ops("status").stdout
    rows = json.dumps(stack.rows(), default=str)
    assert who["id"] not in rows
    assert who["email"] not in rows


def test_an_unknown_person_and_a_wrong_key_are_said_in_a_sentence(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "FUNCTIONS_KNOW_SECONDS", 0.0)
    counts = json.loads(ops("forget", "email:nobody@example.com", "--yes", "--json").stdout)["stores"]
    assert {name: each["count"] for name, each in counts.items() if each["count"]} == {"customer.io": 1}
    monkeypatch.setenv("CUSTOMERIO_TRACK_API_KEY", "wrong")
    refused = ops("forget", "somebody-else", "--yes", status=1)
    assert "answers 401 to suppress" in refused.stderr
    assert "somebody-else" not in refused.stderr
    [left] = json.loads(ops("forget", "status", "--json").stdout)["open"]
    assert left["state"] == "open"
    assert "customer.io" not in left["stores"]
