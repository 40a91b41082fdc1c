"""``reconcile`` and ``backfill`` on a whole stack.

What was damaged at Customer.io is named, all of it and nothing else, and mended; events that got lost come back once.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from typer.testing import CliRunner, Result

from local import bigquery
from ops.cli import app
from tests.stack.stack_helpers import RunningStack, running_stack, until

pytestmark = pytest.mark.slow

Ops = Callable[..., Result]
Damage = Callable[..., None]

COUNT = 40


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), {}) as running:
        yield running


@pytest.fixture
def ops(stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ops]:
    """Runs a command in this process, on the stack, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def run(*arguments: str) -> Result:
        result = runner.invoke(app, [*arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    with mock.patch.dict(os.environ, stack.environment):
        yield run


def record(number: int) -> dict[str, Any]:
    return {
        "id": f"u{number}",
        "email": f"U{number}@example.com",
        "plan": "pro" if number % 2 else "free",
        "created_at": "2026-01-02T03:04:05Z",
        "score": number / 2,
        "vip": number % 3 == 0,
        "tags": ["a", f"{number}"],
        "address": {"zip": "01234", "city": "Köln"},
        "nickname": None,
        "preferences": {"marketing": number % 2 == 0, "topics": {"topic_1": number % 5 == 0}},
    }


RECORDS = [record(number) for number in range(COUNT)]
# Who wants nothing is suppressed, who is deleted is gone: neither is missing.
GONE = [{"id": "out", "preferences": {"marketing": False, "transactional": False}}, {"id": "left", "deleted": True}]


@pytest.fixture(scope="module")
def damaged() -> set[str]:
    """Not empty while the workspace does not agree with the records."""
    return {"empty"}


@pytest.fixture
def damage(stack: RunningStack, ops: Ops, damaged: set[str]) -> Iterator[Damage]:
    """A workspace that agrees with ``users.jsonl``; what it returns changes people behind the application's back."""
    assert ops  # which put us into a folder of the test's own
    url = stack.environment["CUSTOMERIO_TRACK_URL"]
    keys = stack.environment["CUSTOMERIO_SITE_ID"], stack.environment["CUSTOMERIO_TRACK_API_KEY"]
    write([*RECORDS, *GONE])
    with httpx.Client(base_url=url, auth=keys, timeout=10, trust_env=False) as client:
        if damaged:
            client.delete("/_sim")
            client.put("/_sim/settings", json={"shared_emails": True})
            for each in [*RECORDS, *GONE]:
                forced = {**each, "force": True, "restore": "deleted" not in each}
                stack.publish("cio-sync", forced, ordering_key=each["id"])
            until(lambda: len(people(stack)) == COUNT, "everybody at Customer.io")
            settled(stack)
            damaged.clear()

        def apply(*items: dict[str, Any]) -> None:
            damaged.add("changed")
            answer = client.post("/api/v2/batch", json={"batch": items})
            assert answer.status_code == 200, answer.text

        yield apply


def people(stack: RunningStack) -> list[dict[str, Any]]:
    return [each for each in stack.simulator("people") if not each["suppressed"]]


def settled(stack: RunningStack) -> None:
    """Wait until no job of people waits or is on its way."""

    def is_empty() -> bool:
        told = stack.broker("stats")["subscriptions"]
        names = (f"projects/{stack.project}/subscriptions/{kind}" for kind in ("cio-sync", "cio-identify"))
        return all(not told[name]["backlog"] for name in names)

    until(is_empty, "an empty backlog")


def write(records: list[dict[str, Any]]) -> None:
    Path("users.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in records))


def person(action: str, identifier: str, **attributes: Any) -> dict[str, Any]:
    body = {"type": "person", "action": action, "identifiers": {"id": identifier}}
    return body | ({"attributes": attributes} if action == "identify" else {})


def found(ops: Ops, *arguments: str) -> dict[str, Any]:
    result = ops("reconcile", "--from", "users.jsonl", "--json", *arguments)
    document: dict[str, Any] = json.loads(result.stdout)
    differs = any(document[kind] for kind in NOTHING)
    assert result.exit_code == (1 if differs else 0), result.stderr
    return document


NOTHING: dict[str, list[Any]] = {"missing": [], "orphaned": [], "different": [], "consent": [], "conflicts": []}


@pytest.mark.usefixtures("damage")
def test_a_workspace_that_agrees_has_no_findings(ops: Ops, stack: RunningStack) -> None:
    # Of several records about one user the newest counts, wherever it stands.
    newest, old = (
        {**RECORDS[0], "updated_at": 1_800_000_000},
        {**RECORDS[0], "plan": "old", "updated_at": 1_700_000_000},
    )
    write([newest, *RECORDS[1:], *GONE, old])
    assert found(ops) == NOTHING
    with closing(bigquery.client(stack.environment["BIGQUERY_EMULATOR_HOST"], stack.project)) as client:
        tables = client.list_tables(stack.environment["BIGQUERY_DATASET"])
        assert not [table.table_id for table in tables if table.table_id.startswith("reconcile")]


def test_each_damage_is_named_once_and_mended(ops: Ops, damage: Damage, stack: RunningStack) -> None:
    damage(
        *(person("delete", f"u{number}") for number in range(7)),
        *(person("identify", f"u{number}", plan="stale") for number in range(10, 15)),
        person("identify", "u15", tags=["b"], address={"city": "Bonn"}, nickname="set elsewhere"),
        person("identify", "u16", email="other@example.com"),
        # Opted out here and subscribed there, then the other way round, then both a consent and an attribute.
        person("identify", "u21", unsubscribed=False),
        person("identify", "u22", unsubscribed=True),
        person("identify", "u23", **{"cio_subscription_preferences.topics.topic_1": True, "plan": "stale"}),
        # Orphans: a stranger, one without an id, the twin of a missing person, and one who has a record's address too.
        person("identify", "stranger", email="stranger@example.com"),
        {"type": "person", "action": "identify", "identifiers": {"email": "only@example.com"}, "attributes": {}},
        person("identify", "twin", email="U3@EXAMPLE.com", unsubscribed=True),
        person("identify", "double", email="u30@example.com"),
    )
    before = people(stack)
    named = found(ops, "--rows", "rows.jsonl", "--fix")
    mended = named.pop("fix")
    assert people(stack) == before  # without --yes
    assert named == {
        "missing": [f"u{number}" for number in range(7)],
        "orphaned": ["double", "only@example.com", "stranger", "twin"],
        "different": [
            *({"id": f"u{number}", "fields": ["plan"]} for number in range(10, 15)),
            {"id": "u15", "fields": ["address", "nickname", "tags"]},
            {"id": "u16", "fields": ["email"]},
            {"id": "u23", "fields": ["plan"]},
        ],
        "consent": ["u21", "u23", "u22"],
        "conflicts": [{"email": "u30@example.com", "ids": ["double", "u30"]}],
    }
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows if row["kind"] == "consent"] == ["u21", "u23", "u22"]
    assert {"kind": "different", "id": "u16", "fields": ["email"]} in rows

    assert mended == {
        "syncs": 18,
        "merges": 2,
        "deletions": 0,
        "not_mended": ["2 people have no record, or are deleted here: --delete-orphans deletes them."],
        "opt_outs_taken_back": 1,
    }
    shown = ops("reconcile", "--from", "users.jsonl", "--fix", "--yes")
    assert shown.exit_code == 1
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "1 people opted out at Customer.io and not here, and would be subscribed again" in shown.stderr
    assert "Published 18 forced syncs, 2 merges, 0 deletions." in shown.stderr
    settled(stack)
    assert found(ops) == NOTHING | {"orphaned": ["only@example.com", "stranger"]}
    assert found(ops, "--fix", "--yes", "--delete-orphans")["fix"]["deletions"] == 2
    settled(stack)
    assert found(ops) == NOTHING
    # The twin's opt-out does not outlive the merge: the record's own wish was written after it.
    assert next(each for each in people(stack) if each["id"] == "u3")["unsubscribed"] is True
    assert next(each for each in people(stack) if each["id"] == "u30")["unsubscribed"] is False


def test_who_is_gone_here_and_back_there_is_named(ops: Ops, damage: Damage, stack: RunningStack) -> None:
    unsuppress = [person("unsuppress", each["id"]) for each in GONE]
    damage(*unsuppress, person("identify", "out"), person("identify", "left"))
    mended = found(ops, "--fix", "--yes", "--delete-orphans")
    assert mended.pop("fix")["deletions"] == 1
    assert mended == NOTHING | {"consent": ["out"], "orphaned": ["left"]}
    settled(stack)
    assert found(ops) == NOTHING
    # Both are kept from coming back by a late job.
    assert {each["id"] for each in stack.simulator("people") if each["suppressed"]} >= {"out", "left"}


def test_a_row_that_is_refused_makes_nobody_an_orphan(ops: Ops, damage: Damage) -> None:
    assert damage
    # A row may be a whole job, as a table of jobs has it.
    whole = {"data": RECORDS[1], "attributes": {}}
    write([*RECORDS[2:], whole, {**RECORDS[0], "email": "no address"}])
    result = ops("reconcile", "--from", "users.jsonl", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, NOTHING)
    assert "1 rows refused, email: must be an email address" in result.stderr

    write([*RECORDS[2:], {"email": "u0@example.com"}])
    refused = ops("reconcile", "--from", "users.jsonl", "--fix", "--yes", "--delete-orphans")
    assert refused.exit_code == 1
    assert "correct them before --delete-orphans" in refused.stderr


def test_a_file_that_was_cut_off_deletes_nobody(ops: Ops, damage: Damage, stack: RunningStack) -> None:
    assert damage
    write(RECORDS[: COUNT // 3])
    refused = ops("reconcile", "--from", "users.jsonl", "--fix", "--yes", "--delete-orphans")
    assert refused.exit_code == 1
    assert "check that the records are all there" in refused.stderr
    settled(stack)
    assert len(people(stack)) == COUNT


def test_one_address_of_two_records_is_a_conflict_that_is_not_mended(ops: Ops, damage: Damage) -> None:
    assert damage
    twins = [{**RECORDS[0], "email": "both@example.com"}, {**RECORDS[1], "email": "Both@example.com"}]
    write([*RECORDS[2:], *twins, *GONE])
    named = found(ops, "--fix")
    assert named["conflicts"] == [{"email": "both@example.com", "ids": ["u0", "u1"]}]
    assert named["fix"]["not_mended"] == [
        "1 addresses belong to several records here: Customer.io gives one person the address."
    ]


@pytest.mark.usefixtures("stack")
def test_a_wrong_key_and_a_missing_file_are_one_sentence(ops: Ops) -> None:
    assert ops("reconcile", "--from", "missing.jsonl").exit_code == 2
    write(RECORDS[:1])
    with mock.patch.dict(os.environ, {"CUSTOMERIO_APP_API_KEY": "wrong"}):
        result = ops("reconcile", "--from", "users.jsonl")
    assert result.exit_code == 1
    assert "CUSTOMERIO_APP_API_KEY (secret app-api-key) must be an App API key" in result.stderr
    assert ops("reconcile", "--from", "users.jsonl", "--yes").exit_code == 2


def test_events_that_got_lost_come_back_once_each(ops: Ops, stack: RunningStack) -> None:
    for number in range(12):
        body = {"transactional_message_id": 7, "to": f"p{number}@example.com", "identifiers": {"id": f"p{number}"}}
        stack.publish("cio-send", body)
    reported = until(lambda: _all_reported(stack, deliveries=12), "every event in BigQuery")
    lost = sorted({delivery for delivery, _ in reported})[:5]
    with closing(bigquery.client(stack.environment["BIGQUERY_EMULATOR_HOST"], stack.project)) as client:
        table = f"`{stack.project}.{stack.environment['BIGQUERY_DATASET']}.events`"
        listed = ", ".join(f"'{delivery}'" for delivery in lost)
        client.query(f"DELETE FROM {table} WHERE delivery_id IN ({listed}) OR metric = 'opened'").result()
    left = _rows(stack)
    assert len(left) < len(reported)

    gap = len(reported) - len(left)
    dry = json.loads(ops("backfill", "events", "--since", "1h", "--dry-run", "--json").stdout)
    assert dry == {"deliveries": 12, "events": len(reported), "missing": gap, "published": 0}
    assert json.loads(ops("backfill", "events", "--since", "1h", "--json").stdout)["published"] == gap
    until(lambda: len(_rows(stack)) >= len(reported), "the lost events in BigQuery")
    assert sorted(_rows(stack)) == sorted(reported)
    assert json.loads(ops("backfill", "events", "--since", "1h", "--json").stdout)["missing"] == 0
    back = next(row for row in stack.rows("metric = 'opened'"))
    assert (back["object_type"], back["person_id"][0], back["recipient"][-12:]) == ("email", "p", "@example.com")


def _rows(stack: RunningStack) -> list[tuple[str, str]]:
    return [(row["delivery_id"], row["metric"]) for row in stack.rows("delivery_id IS NOT NULL")]


def _all_reported(stack: RunningStack, *, deliveries: int) -> list[tuple[str, str]] | None:
    """The events of so many deliveries, once all that Customer.io reports are in BigQuery."""
    known = stack.simulator("deliveries")
    rows = _rows(stack)
    is_complete = len(known) == deliveries and len(rows) == sum(len(each["metrics"]) for each in known) > 0
    return rows if is_complete and not stack.simulator("counts")["webhooks"]["queued"] else None
