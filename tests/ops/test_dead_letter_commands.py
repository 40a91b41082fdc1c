import asyncio
import hashlib
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result

from ops.commands.dead_letters.leases import LeasedMessages
from shared.redaction import loggable_key
from tests.function_process import ROOT
from tests.ops.conftest import Broker, Machine

Ops = Callable[..., Result]

CANARY = "canary-7f3a"
# As Machine.dead_letter has it.
FIRST_PUBLISHED = {"first_publish_time": "2026-05-01T12:00:00+00:00"}
SOON = ("--wait", "0.2")


def body(person: str = "42", **attributes: object) -> bytes:
    return json.dumps({"identifiers": {"id": person}, "attributes": attributes}).encode()


def test_list_counts_by_reason_and_shows_a_row_each(machine: Machine, ops: Ops) -> None:
    machine.dead_letter("identify", body(), job_id="J1")
    machine.dead_letter("identify", body(), job_id="J2")
    machine.dead_letter("send", b"not json", job_id="J3", reason="invalid", **{"class": "invalid_job"})
    result = ops("dead-letters", "list", "all", *SOON)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:3] == [
        ["kind", "class", "reason", "count"],
        ["identify", "rejected", "invalid", "2"],
        ["send", "invalid_job", "invalid", "1"],
    ]
    assert {line[-1] for line in lines[5::2]} == {loggable_key(job_id) for job_id in ("J1", "J2", "J3")}
    assert result.stderr.endswith("3 waiting\n")
    assert len(machine.waiting("cio-identify-dead-letter")) == 2, "they were given back"


def test_list_says_how_many_rows_it_leaves_out(machine: Machine, ops: Ops) -> None:
    for number in range(4):
        machine.dead_letter("track", body(), job_id=f"J{number}")
    result = ops("dead-letters", "list", "track", "--rows", "3", *SOON)
    assert "1 more" in result.stderr
    assert len(result.stdout.splitlines()) == 2 + 1 + 1 + 3 * 2


def test_nothing_that_a_job_holds_is_shown_unless_asked_for(machine: Machine, ops: Ops, tmp_path: Path) -> None:
    data = json.dumps(
        {
            "identifiers": {"email": f"{CANARY}@example.com"},
            "attributes": {"plan": CANARY, f"{CANARY}@example.com": 1, "deep": [{"x": CANARY}]},
        }
    ).encode()
    machine.dead_letter("identify", data, f"email:{CANARY}@example.com", job_id=f"{CANARY}@example.com", note=CANARY)
    machine.dead_letter("send", CANARY.encode(), job_id="01J0000000000000000000SEND")
    shown = ops("dead-letters", "list", "all", *SOON).stdout
    job_id = next(word for word in shown.split() if word.startswith("hashed-"))
    shown += ops("dead-letters", "show", "identify", job_id, *SOON).stdout
    shown += ops("dead-letters", "show", "all", "01J0000000000000000000SEND", *SOON).stdout
    ops("dead-letters", "export", "all", str(tmp_path / "hidden"), *SOON)
    shown += (tmp_path / "hidden").read_text()
    shown += ops("dead-letters", "replay", "all", *SOON).stdout
    assert CANARY not in shown
    revealed = ops("dead-letters", "show", "identify", job_id, "--reveal", *SOON).stdout
    assert json.loads(revealed)["data"] == json.loads(data)
    assert json.loads(revealed)["attributes"] == FIRST_PUBLISHED | {"job_id": f"{CANARY}@example.com", "note": CANARY}


def test_what_a_publisher_wrote_cannot_steer_the_terminal(machine: Machine, ops: Ops) -> None:
    machine.dead_letter("track", body(), job_id="J1", reason="\x1b[2J[red]x[/red]")
    shown = ops("dead-letters", "list", "track", "--reveal", *SOON).stdout
    assert "\x1b" not in shown
    assert "[2J[red]x[/red]" in shown


def test_show_says_when_there_is_no_such_job(machine: Machine, ops: Ops) -> None:
    empty = ops("dead-letters", "show", "track", "J9", *SOON)
    assert (empty.exit_code, empty.stdout) == (1, "")
    assert "No dead letter with job id J9 in cio-track-dead-letter (it is empty)." in empty.stderr
    for number in range(3):
        machine.dead_letter("track", body(), job_id=f"J{number}")
    others = ops("dead-letters", "show", "track", "J9", *SOON)
    assert "No dead letter with job id J9 in cio-track-dead-letter (3 others there)." in others.stderr
    anywhere = ops("dead-letters", "show", "all", "J9", *SOON)
    assert "in any dead-letter subscription (3 others there)." in anywhere.stderr


def test_export_writes_a_private_file_of_what_could_be_published_again(
    machine: Machine, ops: Ops, tmp_path: Path
) -> None:
    machine.dead_letter("send", body(), job_id="J1", channel="sms")
    machine.dead_letter("send", b"\xff", job_id="J2")
    file = tmp_path / "letters.jsonl"
    result = ops("dead-letters", "export", "send", str(file), "--reveal", *SOON)
    assert result.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first, second = sorted(
        map(json.loads, file.read_text().splitlines()), key=lambda line: line["attributes"]["job_id"]
    )
    assert (first["data"], first["attributes"]) == (
        json.loads(body()),
        FIRST_PUBLISHED | {"job_id": "J1", "channel": "sms"},
    )
    assert first["dead_letter"]["reason"] == "invalid"
    assert second["data_base64"] == "/w=="
    again = ops("dead-letters", "export", "send", str(file), *SOON)
    assert again.exit_code == 1
    assert "File exists" in again.stderr


def test_a_replay_shows_first_and_changes_nothing(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-track")
    machine.dead_letter("track", body(), job_id="J1")
    result = ops("dead-letters", "replay", "track", *SOON)
    assert result.exit_code == 0
    assert "pulled 1 = replayed 0 + kept 1" in result.stdout
    assert "--yes replays this one" in result.stderr
    assert watch(1) == []
    assert len(machine.waiting("cio-track-dead-letter")) == 1


def test_a_replay_puts_the_job_back_as_it_was_and_keeps_the_others(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-identify")
    machine.dead_letter("identify", body("1"), "id:1", job_id="J1", team="crm", **{"original-topic": "mine"})
    machine.dead_letter("identify", body("2"), "id:2", job_id="J2", reason="other")
    result = ops("dead-letters", "replay", "identify", "--reason", "invalid", "--yes", *SOON)
    assert result.exit_code == 0
    assert "pulled 2 = replayed 1 + kept 1" in result.stdout
    (message,) = watch(2)
    assert (message.data, message.ordering_key) == (body("1"), "id:1")
    published = message.attributes.pop("first_publish_time")
    assert datetime.fromisoformat(published).tzinfo is not None
    assert dict(message.attributes) == {"job_id": "J1", "team": "crm", "topic": "mine"}
    assert [kept.attributes["job_id"] for kept in machine.waiting("cio-identify-dead-letter")] == ["J2"]


def test_a_replay_of_one_person_keeps_the_order_in_which_the_jobs_were_published(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-identify")
    for minute in (30, 10, 50, 20, 40):
        published = f"2026-05-01T12:{minute}:00+00:00"
        machine.dead_letter("identify", body(), "id:42", job_id=f"J{minute}", first_publish_time=published)
    machine.dead_letter("identify", body("7"), "id:7", job_id="other")
    ops("dead-letters", "replay", "identify", "--person", "42", "--yes", "--rate", "1000", *SOON)
    assert [message.attributes["job_id"] for message in watch(6)] == ["J10", "J20", "J30", "J40", "J50"]


def test_a_replay_of_all_kinds_puts_each_on_its_own_topic(machine: Machine, ops: Ops) -> None:
    watches = {topic: machine.watch(topic) for topic in ("cio-track", "cio-events")}
    machine.dead_letter("track", body(), job_id="J1")
    machine.dead_letter("events", b"{}", job_id="J2")
    result = ops("dead-letters", "replay", "all", "--yes", *SOON)
    assert "pulled 2 = replayed 2 + kept 0" in result.stdout
    assert {topic: [m.attributes["job_id"] for m in watch(1)] for topic, watch in watches.items()} == {
        "cio-track": ["J1"],
        "cio-events": ["J2"],
    }


def test_a_job_that_pubsub_itself_forwarded_is_replayed_under_the_key_that_functions_know(
    machine: Machine, ops: Ops
) -> None:
    watch = machine.watch("cio-track")
    forwarded = {
        "CloudPubSubDeadLetterSourceSubscription": "cio-track-retry",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-05-01T12:00:00.123Z",
    }
    machine.publish("cio-track-dead-letter", b"data", **forwarded)
    assert "attempts_spent" in ops("dead-letters", "list", "track", *SOON).stdout
    ops("dead-letters", "replay", "track", "--yes", *SOON)
    (message,) = watch(1)
    # The first publish time in milliseconds, a zero byte, and the data: shared.pubsub.message's key.
    assert message.attributes["job_id"] == hashlib.sha256(b"1777636800123\0data").hexdigest()


def test_a_new_guarantee_is_for_jobs_alone_whose_outcome_is_unknown(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-send")
    undecided = {"class": "unknown_outcome", "reason": "unknown_outcome", "delivery_guarantee": "at_most_once"}
    machine.dead_letter("send", body(), job_id="J1", **undecided)
    machine.dead_letter("send", body(), job_id="J2", delivery_guarantee="at_most_once")
    assert "1 may or may not have been sent" in ops("dead-letters", "replay", "send", *SOON).stderr
    result = ops("dead-letters", "replay", "send", "--guarantee", "at_least_once", "--yes", *SOON)
    assert "may or may not" not in result.stderr
    assert {m.attributes["job_id"]: m.attributes["delivery_guarantee"] for m in watch(2)} == {
        "J1": "at_least_once",
        "J2": "at_most_once",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), "1000000000"), (("--drop-expiry",), None), (("--expires-at", "4102444800"), "4102444800")],
)
def test_an_expiry_can_be_lifted(machine: Machine, ops: Ops, options: tuple[str, ...], expected: str | None) -> None:
    watch = machine.watch("cio-send")
    machine.dead_letter("send", body(), job_id="J1", expires_at="1000000000", reason="expired", **{"class": "expired"})
    result = ops("dead-letters", "replay", "send", "--yes", *options, *SOON)
    assert ("1 expired and would come back" in result.stderr) is not bool(options)
    assert [message.attributes.get("expires_at") for message in watch(1)] == [expected]


@pytest.mark.parametrize(
    "options",
    [("--expires-at", "1000000000"), ("--expires-at", "soon"), ("--expires-at", "4102444800", "--drop-expiry")],
)
def test_an_expiry_that_makes_no_sense_is_refused(ops: Ops, options: tuple[str, ...]) -> None:
    assert ops("dead-letters", "replay", "send", *options).exit_code == 2


def test_a_message_that_was_not_published_is_kept(machine: Machine, ops: Ops) -> None:
    machine.dead_letter("track", body(), job_id="J1")
    machine.publisher.delete_topic(topic=f"projects/{machine.project}/topics/cio-track")
    result = ops("dead-letters", "replay", "track", "--yes", *SOON)
    assert result.exit_code == 1
    assert "pulled 1 = replayed 0 + kept 1" in result.stdout
    assert "1 not published: NotFound" in result.stderr
    assert len(machine.waiting("cio-track-dead-letter")) == 1


def test_a_discard_shows_first_then_drops_what_was_chosen(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-track")
    machine.dead_letter("track", body(), job_id="J1")
    machine.dead_letter("track", body(), job_id="J2")
    shown = ops("dead-letters", "discard", "track", "--job-id", "J1", *SOON)
    assert "pulled 2 = discarded 0 + kept 2" in shown.stdout
    done = ops("dead-letters", "discard", "track", "--job-id", "J1", "--yes", *SOON)
    assert (done.exit_code, "pulled 2 = discarded 1 + kept 1" in done.stdout) == (0, True)
    assert [kept.attributes["job_id"] for kept in machine.waiting("cio-track-dead-letter")] == ["J2"]
    assert watch(1) == []


def test_a_limit_is_kept_and_said(machine: Machine, ops: Ops) -> None:
    for number in range(5):
        machine.dead_letter("track", body(), job_id=f"J{number}")
    result = ops("dead-letters", "discard", "track", "--limit", "2", "--yes", *SOON)
    assert "pulled 2 = discarded 2 + kept 0" in result.stdout
    assert "Stopped at --limit 2: more of track may wait." in result.stderr
    assert len(machine.waiting("cio-track-dead-letter")) == 3


def test_a_subscription_that_does_not_exist_is_an_error(ops: Ops) -> None:
    result = ops("dead-letters", "list", "track", "--project", "nobody", *SOON)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("NotFound: 404")
    assert "check --project and --environment" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("list", "trak"), ("list", "track", "--since", "tomorrow"), ("replay", "track", "--rate", "0")]
)
def test_a_wrong_argument_is_refused(ops: Ops, arguments: tuple[str, ...]) -> None:
    assert ops("dead-letters", *arguments).exit_code == 2


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_was_not_replayed_is_given_back_when_the_command_is_ended(
    machine: Machine, broker: Broker, number: signal.Signals
) -> None:
    for job in range(5):
        await asyncio.to_thread(machine.dead_letter, "track", body(), job_id=f"J{job}")
    async with httpx.AsyncClient(base_url=broker.admin_url) as client, asyncio.timeout(60):

        async def left() -> tuple[int, int]:
            await asyncio.sleep(0.02)
            stats = (await client.get("/_broker/stats")).json()["subscriptions"]
            of_track = stats[f"projects/{machine.project}/subscriptions/cio-track-dead-letter"]
            return of_track["backlog"], of_track["in_flight"]

        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ops", "dead-letters", "replay", "track", "--yes", "--rate", "0.1", *SOON),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        while await left() != (4, 4):
            pass
        process.send_signal(number)
        output, notes = await process.communicate()
        assert process.returncode == 130
        assert b"pulled 5 = replayed 1 + kept 4" in output
        assert notes.splitlines()[-1] == b"interrupted"
        assert await left() == (4, 0)


def test_a_message_that_is_lost_from_the_count_is_told(
    machine: Machine, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge = LeasedMessages.acknowledge

    def acknowledge_one_in_silence(leased: LeasedMessages, message_ids: Iterable[str]) -> None:
        acknowledge(leased, message_ids)
        leased.acknowledged -= 1

    monkeypatch.setattr(LeasedMessages, "acknowledge", acknowledge_one_in_silence)
    machine.dead_letter("track", body(), job_id="J1")
    machine.dead_letter("track", body(), job_id="J2")
    result = ops("dead-letters", "discard", "track", "--yes", *SOON)
    assert result.exit_code == 1
    assert "pulled 2 = discarded 1 + kept 0" in result.stdout
    assert "The count is off by 1" in result.stderr


@pytest.mark.usefixtures("interruptible")
async def test_ctrl_c_ends_a_reading_at_once_and_gives_everything_back(machine: Machine, broker: Broker) -> None:
    await asyncio.to_thread(machine.dead_letter, "track", body(), job_id="J1")
    async with httpx.AsyncClient(base_url=broker.admin_url) as client, asyncio.timeout(60):

        async def leased() -> int:
            await asyncio.sleep(0.02)
            stats = (await client.get("/_broker/stats")).json()["subscriptions"]
            count: int = stats[f"projects/{machine.project}/subscriptions/cio-track-dead-letter"]["in_flight"]
            return count

        # Without the local broker's word, the reading goes on until nothing comes for ten minutes.
        environment = {name: value for name, value in os.environ.items() if name != "PUBSUB_ADMIN_URL"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ops", "dead-letters", "list", "track", "--wait", "600"),
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        while await leased() != 1:
            pass
        process.send_signal(signal.SIGINT)
        _, notes = await process.communicate()
        assert process.returncode == 130
        assert notes.splitlines()[-1] == b"interrupted"
        assert await leased() == 0


def test_an_empty_subscription_of_the_local_broker_is_not_waited_for(machine: Machine, ops: Ops) -> None:
    machine.dead_letter("track", body(), job_id="J1")
    started = time.monotonic()
    assert ops("dead-letters", "list", "all", "--wait", "600").stderr.endswith("1 waiting\n")
    assert time.monotonic() - started < 60


def test_a_list_fits_80_columns_with_each_job_id_in_one_piece(
    machine: Machine, ops: Ops, environment: MutableMapping[str, str]
) -> None:
    environment["COLUMNS"] = "80"
    ids = ["01M86RQGW9067W5WJ8X792ESDC", "a1b2c3d4-0000-4000-8000-00000000000a", "mine"]
    for job_id in ids:
        message = "it may or may not have been sent: look in Customer.io, then replay or discard it from here"
        undecided = {"class": "unknown_outcome", "reason": "unknown_outcome", "message": message}
        machine.dead_letter("broadcast", body(), job_id=job_id, **undecided)
    lines = ops("dead-letters", "list", "all", *SOON).stdout.splitlines()
    assert {line.split()[-1] for line in lines if line.startswith("20")} == {loggable_key(job_id) for job_id in ids}
    uuid = next(line for line in lines if ids[1] in line)
    assert max(len(line) for line in lines if line != uuid) <= 80
    for job_id in ids:
        assert ops("dead-letters", "show", "broadcast", loggable_key(job_id), *SOON).exit_code == 0


def test_a_job_that_nests_very_deep_is_shown(machine: Machine, ops: Ops) -> None:
    data = b'{"identifiers":{"id":"1"},"a":' + b'{"a":' * 1500 + b'"canary"' + b"}" * 1501
    machine.dead_letter("track", data, job_id="J1")
    result = ops("dead-letters", "show", "track", "J1", *SOON)
    assert result.exit_code == 0
    assert "<text, 6 characters>" in result.stdout
    assert "canary" not in result.stdout
    assert "canary" in ops("dead-letters", "show", "track", "J1", "--reveal", *SOON).stdout


def test_json_is_one_document(machine: Machine, ops: Ops, tmp_path: Path) -> None:
    machine.dead_letter("track", body(), job_id="J1")
    machine.dead_letter("track", body(), job_id="J2", reason="other")
    shown = loggable_key("J1")

    def document(*arguments: str) -> Any:
        return json.loads(ops("dead-letters", *arguments, "--json", *SOON).stdout)

    listed = document("list", "track", "--reason", "invalid")
    assert (listed["waiting"], listed["matching"]) == (2, 1)
    assert listed["dead_letters"][0]["dead_letter"]["job_id"] == shown
    (found,) = document("show", "track", "J1")["dead_letters"]
    assert found["dead_letter"]["job_id_in_logs"] == shown
    assert document("export", "track", str(tmp_path / "file"))["written"] == 2
    preview = document("replay", "track", "--job-id", "J1")
    assert preview == {"pulled": 2, "matching": 1, "replayed": 0, "kept": 2, "problems": {}}
    assert document("discard", "track", "--yes")["discarded"] == 2
    assert document("list", "track") == {"waiting": 0, "matching": 0, "dead_letters": []}


def test_a_replay_keeps_to_its_rate(machine: Machine, ops: Ops) -> None:
    for job in range(9):
        machine.dead_letter("track", body(), job_id=f"J{job}")
    started = time.monotonic()
    ops("dead-letters", "replay", "track", "--yes", "--rate", "20", *SOON)
    assert time.monotonic() - started >= 0.4
