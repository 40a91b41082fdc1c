"""``import``: each row is published once, however often the command is interrupted, and refused rows are listed."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery as google_bigquery
from google.pubsub_v1.types import PubsubMessage
from typer.testing import Result

from local import bigquery
from tests.function_process import ROOT
from tests.ops.conftest import Machine

Ops = Callable[..., Result]


def write(name: str, records: Iterable[Any]) -> Path:
    path = Path(name)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def users(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"id": f"u{number}", "plan": "pro", **fields} for number in range(count)]


def bodies(messages: Iterable[PubsubMessage]) -> list[Any]:
    return [json.loads(message.data) for message in messages]


def counts(result: Result) -> dict[str, int]:
    document = json.loads(result.stdout)
    return {name: document[name] for name in ("published", "unchanged", "refused", "not_published")}


def test_every_row_is_published_once_as_bulk(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    write("users.jsonl", users(40))
    result = ops("import", "sync", "--from", "users.jsonl", "--json")
    assert (result.exit_code, counts(result)) == (
        0,
        {"published": 40, "unchanged": 0, "refused": 0, "not_published": 0},
    )
    messages = published(41)
    assert sorted(body["id"] for body in bodies(messages)) == sorted(user["id"] for user in users(40))
    assert {message.attributes["priority"] for message in messages} == {"bulk"}
    assert {message.ordering_key for message in messages} == {f"id:u{number}" for number in range(40)}
    assert len({message.attributes["job_id"] for message in messages}) == 40


def test_a_second_run_publishes_what_changed_and_nothing_else(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    records = users(30)
    write("users.jsonl", records)
    ops("import", "sync", "--from", "users.jsonl")
    assert len(published(31)) == 30
    again = ops("import", "sync", "--from", "users.jsonl", "--json")
    assert counts(again) == {"published": 0, "unchanged": 30, "refused": 0, "not_published": 0}

    records[3]["plan"] = records[7]["plan"] = "free"
    write("users.jsonl", [{"id": "new"}, *reversed(records)])
    changed = ops("import", "sync", "--from", "users.jsonl", "--json")
    assert counts(changed) == {"published": 3, "unchanged": 28, "refused": 0, "not_published": 0}
    assert sorted(body["id"] for body in bodies(published(4))) == ["new", "u3", "u7"]

    records[3]["plan"] = "pro"
    write("users.jsonl", records)
    assert counts(ops("import", "sync", "--from", "users.jsonl", "--json"))["published"] == 1


def test_a_new_local_stack_gets_every_row_again(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    write("users.jsonl", users(3))
    data = Path(".local/data")
    for _ in range(2):
        data.mkdir(parents=True)
        assert counts(ops("import", "sync", "--from", "users.jsonl", "--json"))["published"] == 3
        shutil.rmtree(data)  # as a stack does when it starts
    assert len(published(7)) == 6


def test_equal_rows_are_as_many_jobs_as_they_are(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-track")
    event = {"identifiers": {"id": "1"}, "name": "visited"}
    write("events.jsonl", [event, event, {**event, "name": "bought"}])
    assert counts(ops("import", "track", "--from", "events.jsonl", "--json"))["published"] == 3
    assert len({message.attributes["job_id"] for message in published(4)}) == 3
    assert counts(ops("import", "track", "--from", "events.jsonl", "--json"))["published"] == 0


def test_a_rows_own_job_id_and_attributes_are_kept(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-track")
    body = {"identifiers": {"id": "1"}, "name": "visited"}
    write("events.jsonl", [{"data": body, "attributes": {"job_id": "visit-1"}}])
    ops("import", "track", "--from", "events.jsonl")
    (message,) = published(2)
    assert (message.attributes["job_id"], message.attributes["priority"]) == ("visit-1", "bulk")


def test_refused_rows_are_counted_by_field_and_written_without_values(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    write(
        "users.jsonl", [*users(5), {"plan": "pro"}, {"id": "secret-1", "email": "nobody"}, {"id": "2", "email": "none"}]
    )
    result = ops("import", "sync", "--from", "users.jsonl", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused_by_field"] == [
        {"field": "email", "reason": "must be an email address", "count": 2},
        {"field": "id", "reason": "is required", "count": 1},
    ]
    refused = Path("users.sync.refused.jsonl")
    assert [json.loads(line) for line in refused.read_text().splitlines()] == [
        {"line": 6, "field": "id", "reason": "is required"},
        {"line": 7, "field": "email", "reason": "must be an email address"},
        {"line": 8, "field": "email", "reason": "must be an email address"},
    ]
    assert refused.stat().st_mode & 0o777 == 0o600
    assert len(published(6)) == 5
    ops("import", "sync", "--from", "users.jsonl", "--with-values")
    assert "secret-1" in refused.read_text()


def test_a_dry_run_publishes_and_remembers_nothing(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    write("users.jsonl", [*users(5), {"id": ""}])
    result = ops("import", "sync", "--from", "users.jsonl", "--dry-run")
    assert result.exit_code == 1
    assert "6 rows, 5 valid, 1 refused" in result.stdout
    assert "must not be empty" in result.stdout
    assert published(1) == []
    assert not list(Path().glob("*.checkpoint"))


CSV = """\ufeffid,email,preferences.marketing,zip:text,score,tags:json,address.city,active:boolean,note
007,a@example.com,false,01234,3.5,"[""a"",""b""]",Paris,1,"two
lines, quoted"
8,b@example.com,,,,,,,1e5
9,c@example.com,true,1
10,d@example.com,,,,{,,,
11,e@example.com,,,,,,maybe,
"""


def test_csv_columns_nest_and_cells_have_types(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    Path("users.csv").write_text(CSV)
    ops("import", "sync", "--from", "users.csv")
    assert sorted(bodies(published(3)), key=lambda body: body["id"]) == [
        {
            "id": "007",
            "email": "a@example.com",
            "preferences": {"marketing": False},
            "zip": "01234",
            "score": 3.5,
            "tags": ["a", "b"],
            "address": {"city": "Paris"},
            "active": True,
            "note": "two\nlines, quoted",
        },
        {"id": "8", "email": "b@example.com", "note": "1e5"},
    ]
    assert [json.loads(line) for line in Path("users.sync.refused.jsonl").read_text().splitlines()] == [
        {"line": 5, "field": "row", "reason": "has 4 cells, the header has 9"},
        {"line": 6, "field": "tags", "reason": "must be JSON"},
        {"line": 7, "field": "active", "reason": "must be true or false"},
    ]


def test_a_csv_row_of_identify_is_a_person_with_attributes(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-identify")
    Path("people.csv").write_text("email,plan,visits\na@example.com,pro,3\n")
    ops("import", "identify", "--from", "people.csv")
    assert bodies(published(2)) == [
        {"identifiers": {"email": "a@example.com"}, "attributes": {"plan": "pro", "visits": 3}}
    ]


def test_bytes_that_are_no_utf8_spoil_their_row_only(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-sync")
    Path("users.csv").write_bytes(b"id,city\n1,M\xfcnchen\n2,Bonn\n")
    assert "city" in ops("import", "sync", "--from", "users.csv").stdout
    assert bodies(published(2)) == [{"id": "2", "city": "Bonn"}]


@pytest.mark.parametrize("header", ["", "id,,name\n", "id,name,name\n", "id,a,a.b\n"])
@pytest.mark.usefixtures("machine")
def test_a_csv_file_without_a_usable_header_is_named(ops: Ops, header: str) -> None:
    Path("users.csv").write_text(header)
    result = ops("import", "sync", "--from", "users.csv")
    assert result.exit_code == 1
    assert "line 1: " in result.stderr


def test_shards_share_the_rows_and_keep_a_person_together(machine: Machine, ops: Ops) -> None:
    published = machine.watch("cio-identify")
    rows = [{"identifiers": {"id": f"u{n % 20}"}, "attributes": {"step": n}} for n in range(60)]
    write("people.jsonl", [*rows, {"identifiers": {}}])
    shares = [
        json.loads(ops("import", "identify", "--from", "people.jsonl", "--shard", f"{part}/3", "--json").stdout)
        for part in (1, 2, 3)
    ]
    assert sum(share["published"] for share in shares) == 60
    assert all(share["published"] and share["published"] % 3 == 0 for share in shares)
    assert sum(share["refused"] for share in shares) == 1
    steps: dict[str, list[int]] = {}
    for body in bodies(published(61)):
        steps.setdefault(body["identifiers"]["id"], []).append(body["attributes"]["step"])
    assert all(found == sorted(found) and len(found) == 3 for found in steps.values())


@pytest.mark.usefixtures("machine")
def test_a_rate_is_kept(ops: Ops) -> None:
    write("users.jsonl", users(30))
    began = time.monotonic()
    ops("import", "sync", "--from", "users.jsonl", "--rate", "50")
    assert time.monotonic() - began > 0.45  # 30 jobs at 50 a second, less the first batch


@pytest.mark.usefixtures("machine")
def test_a_checkpoint_of_another_import_is_refused(ops: Ops) -> None:
    write("users.jsonl", users(1))
    ops("import", "sync", "--from", "users.jsonl", "--checkpoint", "file")
    result = ops("import", "sync", "--from", "users.jsonl", "--name", "other", "--checkpoint", "file")
    assert result.exit_code == 1
    assert "belongs to another import" in result.stderr
    Path("file").write_text("this is no database, and long enough to be seen as none" * 20)
    assert (
        "cannot be used as a checkpoint"
        in ops("import", "sync", "--from", "users.jsonl", "--checkpoint", "file").stderr
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--from", "users.jsonl", "--query", "users.sql"),
        ("--from", "bigquery:users"),
        ("--from", "missing.jsonl"),
        ("--from", "users.jsonl", "--shard", "3/2"),
        ("--from", "users.jsonl", "--name", "../users"),
        ("--from", "users.jsonl", "--channel", "sms"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_a_wrong_option_is_named(ops: Ops, arguments: tuple[str, ...]) -> None:
    write("users.jsonl", users(1))
    assert ops("import", "sync", *arguments).exit_code == 2


def test_killed_again_and_again_it_goes_on_where_it_was(
    machine: Machine, environment: MutableMapping[str, str]
) -> None:
    published = machine.watch("cio-sync")
    write("users.jsonl", users(400))
    command = [sys.executable, "-m", "ops", "import", "sync", "--from", "users.jsonl", "--rate", "300", "--json"]
    given = {**environment, "PYTHONPATH": str(ROOT)}
    draw = random.Random(7)
    for _ in range(3):
        process = subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Killed some time after the first batches were confirmed: SQLite's log changes with each.
        log = Path("users.sync.checkpoint-wal")
        changes = {_changed(log)}
        while len(changes) < 7 and process.poll() is None:
            changes.add(_changed(log))
            time.sleep(0.005)
        time.sleep(draw.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["unchanged"] > 0
    messages = published(1000)
    assert {body["id"] for body in bodies(messages)} == {user["id"] for user in users(400)}
    # What a kill caught between Pub/Sub's confirmation and the checkpoint comes again, under the same job id.
    assert len({message.attributes["job_id"] for message in messages}) == 400
    assert len(messages) <= 400 + 3 * 30  # a batch has 30 rows at this rate


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def test_rows_of_a_table_and_of_a_query(
    machine: Machine, ops: Ops, bigquery_server: str, environment: MutableMapping[str, str]
) -> None:
    environment["BIGQUERY_EMULATOR_HOST"] = bigquery_server
    dataset = machine.project.replace("-", "_")
    table = f"{machine.project}.{dataset}.users"
    with closing(bigquery.client(bigquery_server, machine.project)) as client:
        client.create_dataset(dataset)
        fields = google_bigquery.SchemaField
        schema = [
            fields("id", "INTEGER"),
            fields("plan", "STRING"),
            fields("since", "DATE"),
            fields("price", "NUMERIC"),
            fields(
                "preferences", "RECORD", fields=[fields("marketing", "BOOLEAN"), fields("transactional", "BOOLEAN")]
            ),
        ]
        client.create_table(google_bigquery.Table(table, schema=schema))
        rows = [
            {"id": 1, "plan": "pro", "since": "2026-01-02", "price": "1.5", "preferences": {"marketing": False}},
            {"id": 2, "plan": None},
        ]
        assert not client.insert_rows_json(table, rows)
    published = machine.watch("cio-sync")
    assert ops("import", "sync", "--from", f"bigquery:{table}").exit_code == 0
    assert sorted(bodies(published(3)), key=lambda body: body["id"]) == [
        {"id": 1, "plan": "pro", "since": "2026-01-02", "price": 1.5, "preferences": {"marketing": False}},
        {"id": 2},
    ]
    events = machine.watch("cio-track")
    Path("events.sql").write_text(
        f"SELECT TO_JSON_STRING(STRUCT(STRUCT(CAST(id AS STRING) AS id) AS identifiers, 'seen' AS name)) AS data "
        f"FROM `{table}` ORDER BY id"
    )
    assert ops("import", "track", "--query", "events.sql").exit_code == 0
    assert sorted(bodies(events(3)), key=str) == [
        {"identifiers": {"id": "1"}, "name": "seen"},
        {"identifiers": {"id": "2"}, "name": "seen"},
    ]


def test_an_outage_is_one_sentence_and_the_rest_is_left_for_the_next_run(
    machine: Machine, ops: Ops, environment: MutableMapping[str, str]
) -> None:
    write("users.jsonl", users(3))
    environment["PUBSUB_EMULATOR_HOST"] = "127.0.0.1:9"
    result = ops("import", "sync", "--from", "users.jsonl")
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
    assert Path("users.sync.checkpoint").exists()
    assert machine.project
