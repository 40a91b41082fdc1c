import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from typer.testing import Result

from ops import job_builder
from shared.jobs import InvalidJob, is_ulid
from shared.redaction import loggable_key
from tests.ops.conftest import Machine

Ops = Callable[..., Result]

PERSON = {"id": "42"}


@pytest.mark.parametrize(
    ("arguments", "topic", "body", "attributes", "ordering_key"),
    [
        (
            ("identify", "--person", "42", "--set", "plan=pro", "--set", "vip=true", "--set", "note=a=b"),
            "cio-identify",
            {"identifiers": PERSON, "attributes": {"plan": "pro", "vip": True, "note": "a=b"}},
            {},
            "id:42",
        ),
        (
            ("track", "--person", "Ada@example.com", "--name", "order_placed", "--set", "total=3"),
            "cio-track",
            {"identifiers": {"email": "Ada@example.com"}, "name": "order_placed", "attributes": {"total": 3}},
            {},
            "",
        ),
        (
            (
                *("send", "--person", "42", "--channel", "sms", "--set", "transactional_message_id=3"),
                *("--expires-at", "4102444800", "--delivery-guarantee", "at_most_once"),
            ),
            "cio-send",
            {"identifiers": PERSON, "transactional_message_id": 3},
            {"channel": "sms", "expires_at": "4102444800", "delivery_guarantee": "at_most_once"},
            "",
        ),
        (
            ("broadcast", "--set", "broadcast_id=12", "--set", 'ids=["1","2"]'),
            "cio-broadcast",
            {"broadcast_id": 12, "ids": ["1", "2"]},
            {},
            "",
        ),
        (
            ("sync", "--person", "42", "--set", 'preferences={"marketing":false}'),
            "cio-sync",
            {"id": "42", "preferences": {"marketing": False}},
            {},
            "id:42",
        ),
    ],
)
def test_a_job_from_flags(
    machine: Machine,
    ops: Ops,
    arguments: tuple[str, ...],
    topic: str,
    body: Mapping[str, Any],
    attributes: Mapping[str, str],
    ordering_key: str,
) -> None:
    watch = machine.watch(topic)
    result = ops("publish", *arguments)
    assert (result.exit_code, result.stdout) == (0, "1 published\n")
    (message,) = watch(1)
    assert json.loads(message.data) == body
    job_id = message.attributes["job_id"]
    assert dict(message.attributes) == {**attributes, "job_id": job_id}
    assert is_ulid(job_id)
    assert message.ordering_key == ordering_key
    assert f"job_id {job_id}" in result.stderr


def test_a_job_from_standard_input_is_published_as_it_came(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-identify")
    text = b'{\n  "action": "suppress",  "identifiers": {"id": 42}\n}\n'
    assert ops("publish", "identify", "--job-id", "J1", given=text).exit_code == 0
    (message,) = watch(1)
    assert (message.data, dict(message.attributes), message.ordering_key) == (text, {"job_id": "J1"}, "id:42")


def test_a_prefix_names_the_environments_topic(machine: Machine, ops: Ops) -> None:
    machine.publisher.create_topic(name=f"projects/{machine.project}/topics/dev-cio-identify")
    watch = machine.watch("dev-cio-identify")
    assert ops("publish", "identify", "--person", "42", "--environment", "dev").exit_code == 0
    assert len(watch(1)) == 1


def test_of_a_file_the_good_lines_are_published_and_the_bad_ones_named(
    machine: Machine, ops: Ops, tmp_path: Path
) -> None:
    watch = machine.watch("cio-identify")
    file = tmp_path / "jobs.jsonl"
    file.write_bytes(
        b"\n".join(
            [
                b'{"identifiers": {"id": "1"}}',
                b"",
                b'{"identifiers": {"id": "canary"}, "attributes": {"bio": "%b"}}' % (b"canary" * 200),
                b'{"identifiers": {"id": "1", "email": "canary@example.com"}}',
                b'{"data": {"identifiers": {"id": "2"}}, "attributes": {"job_id": "J2", "team": "crm", "topic": "x"}}',
                b"canary",
                b'{"data": {"identifiers": {"id": "3"}}, "attributes": {"expires_at": "canary"}}',
                b'{"data": {"identifiers": {"id": "3"}}, "attributes": {"n": 1}}',
                b'{"identifiers": {"id": "1"}, "attributes": {"plan": "pro"}}',
            ]
        )
    )
    result = ops("publish", "identify", "--file", str(file), "--delivery-guarantee", "at_least_once")
    assert result.exit_code == 1
    assert result.stdout == "3 published, 5 invalid\n"
    assert [line for line in result.stderr.splitlines() if line.startswith("line")] == [
        "line 3: attributes.bio: must be at most 1000 bytes; it has 1200",
        "line 4: identifiers: must have exactly one of id, email, phone, cio_id; it has 2",
        "line 6: body: must be JSON in UTF-8, without NaN or Infinity",
        "line 7: expires_at: the attribute must be unix seconds, or ISO 8601 with an offset",
        "line 8: attributes: must be an object whose values are strings",
    ]
    assert "canary" not in result.output
    messages = watch(3)
    assert [
        json.loads(message.data)["identifiers"]["id"] for message in messages if message.ordering_key == "id:1"
    ] == [
        "1",
        "1",
    ]
    wrapped = next(message for message in messages if message.ordering_key == "id:2")
    assert dict(wrapped.attributes) == {
        "job_id": "J2",
        "team": "crm",
        "topic": "x",
        "delivery_guarantee": "at_least_once",
    }


def test_a_large_file_is_published_whole(machine: Machine, ops: Ops, tmp_path: Path) -> None:
    watch = machine.watch("cio-track")
    file = tmp_path / "jobs.jsonl"
    file.write_text("".join(f'{{"identifiers":{{"id":"{n}"}},"name":"n"}}\n' for n in range(1200)))
    assert ops("publish", "track", "--file", str(file)).stdout == "1200 published\n"
    assert [json.loads(message.data)["identifiers"]["id"] for message in watch(1200)] == list(map(str, range(1200)))


def test_a_file_may_come_by_standard_input(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-sync")
    given = b'{"id": 1}\n{"id": 2, "deleted": true}\n{"id": ""}\n'
    assert ops("publish", "sync", "--file", "-", given=given).stdout == "2 published, 1 invalid\n"
    assert len(watch(2)) == 2


def test_a_dry_run_checks_and_publishes_nothing(machine: Machine, ops: Ops) -> None:
    watch = machine.watch("cio-sync")
    result = ops("publish", "sync", "--file", "-", "--dry-run", given=b'{"id": 1}\n{"id": ""}\n')
    assert (result.exit_code, result.stdout) == (1, "1 valid, 1 invalid\n")
    assert ops("publish", "sync", "--person", "1", "--dry-run").stdout == "1 valid\n"
    assert watch(1) == []


def test_what_pubsub_did_not_take_is_said(ops: Ops) -> None:
    result = ops("publish", "sync", "--person", "1", "--project", "nobody")
    assert (result.exit_code, result.stdout) == (1, "0 published, 1 not published\n")
    assert "line 1: not published: NotFound" in result.stderr


def test_exported_dead_letters_can_be_mended_and_published_again(machine: Machine, ops: Ops, tmp_path: Path) -> None:
    watch = machine.watch("cio-send")
    wrong = b'{"identifiers": {"id": "42"}, "transactional_message_id": 3, "from": 7}'
    machine.dead_letter("send", wrong, job_id="J1", channel="sms")
    hidden, shown = tmp_path / "hidden", tmp_path / "shown"
    ops("dead-letters", "export", "send", str(hidden), "--wait", "0.2")
    ops("dead-letters", "export", "send", str(shown), "--reveal", "--wait", "0.2")
    refused = ops("publish", "send", "--file", str(hidden))
    assert "line 1: data: is missing: export with --reveal" in refused.stderr
    shown.write_text(shown.read_text().replace('"from":7', '"from":"+15550100"'))
    assert ops("publish", "send", "--file", str(shown)).stdout == "1 published\n"
    (message,) = watch(1)
    assert json.loads(message.data)["from"] == "+15550100"
    first = {"first_publish_time": "2026-05-01T12:00:00+00:00"}
    assert dict(message.attributes) == first | {"job_id": "J1", "channel": "sms"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("identfy", "--person", "1"),
        ("identify", "--person", "1", "--set", "plan"),
        ("identify", "--person", "1", "--set", "=pro"),
        ("identify", "--name", "n"),
        ("track", "--channel", "sms"),
        ("track", "--file", "nowhere"),
        ("track", "--file", "-", "--job-id", "J1"),
        ("track", "--file", "-", "--person", "1"),
        ("send", "--delivery-guarantee", "sometimes"),
    ],
)
def test_flags_that_make_no_sense_are_refused(ops: Ops, arguments: tuple[str, ...]) -> None:
    os.environ["GOOGLE_CLOUD_PROJECT"] = "demo-project"
    assert ops("publish", *arguments, given=b"").exit_code == 2


@pytest.mark.parametrize(
    ("attributes", "field"),
    [({"expires_at": "1000000000"}, "expires_at"), ({"delivery_guarantee": "twice"}, "delivery_guarantee")],
)
def test_attributes_are_checked_as_the_functions_check_them(attributes: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidJob) as raised:
        job_builder.build("sync", b'{"id": 1}', attributes)
    assert raised.value.field == field


@pytest.mark.parametrize(("days", "ago"), [(0.5, "12 hours ago"), (1.5, "1 day ago"), (800, "2 years ago")])
def test_a_job_that_expired_is_told_when_and_how_long_ago(days: float, ago: str) -> None:
    when = datetime.now(UTC) - timedelta(days=days)
    with pytest.raises(InvalidJob) as raised:
        job_builder.build("sync", b'{"id": 1}', {"expires_at": when.isoformat()})
    assert raised.value.problem == f"expired at {when:%Y-%m-%d %H:%M} UTC, {ago}"


def test_a_body_that_has_data_of_its_own_is_not_taken_apart() -> None:
    body = b'{"broadcast_id": 1, "ids": ["1"], "data": {"x": 1}}'
    assert job_builder.build("broadcast", body, {"job_id": "J"}).data == body


def test_json_tells_counts_problems_and_the_job_id_that_logs_show(ops: Ops, machine: Machine) -> None:
    assert machine.project
    one = json.loads(ops("publish", "sync", "--person", "1", "--job-id", "order 7", "--json").stdout)
    logged = loggable_key("order 7")
    assert one == {
        "published": 1,
        "interrupted": False,
        "problems": [],
        "job_id": "order 7",
        "job_id_in_logs": logged,
    }
    assert (
        f"job_id order 7 (in logs: {logged})" in ops("publish", "sync", "--person", "1", "--job-id", "order 7").stderr
    )
    many = ops("publish", "sync", "--file", "-", "--dry-run", "--json", given=b'{"id": 1}\n{"id": ""}\n')
    assert many.exit_code == 1
    assert json.loads(many.stdout) == {
        "valid": 1,
        "invalid": 1,
        "interrupted": False,
        "problems": [{"line": 2, "field": "id", "problem": ANY}],
        "job_id": None,
        "job_id_in_logs": None,
    }


@pytest.mark.parametrize(
    ("person", "identifiers"),
    [
        ("ada@example.com", {"email": "ada@example.com"}),
        ("id:ada@example.com", {"id": "ada@example.com"}),
        ("email:ada", {"email": "ada"}),
        ("42", {"id": "42"}),
    ],
)
def test_a_person_with_an_at_sign_is_an_email_address_unless_it_says_otherwise(
    person: str, identifiers: dict[str, str]
) -> None:
    assert json.loads(job_builder.body_from_flags("identify", person, None, {}))["identifiers"] == identifiers
