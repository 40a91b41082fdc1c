"""``trace`` where a source is away, and what it asks for."""

import time
from collections.abc import Callable, MutableMapping
from contextlib import closing

import pytest
from typer.testing import Result

from local import bigquery
from ops.errors import UnreachableError
from ops.story_sources import Found
from tests.ops.conftest import Machine

Ops = Callable[..., Result]


@pytest.mark.parametrize("arguments", [(), ("J1", "--person", "42"), ("--person", "42", "--delivery", "d")])
def test_one_thing_is_asked_for(ops: Ops, machine: Machine, arguments: tuple[str, ...]) -> None:
    result = ops("trace", *arguments)
    assert (result.exit_code, "give one of JOB_ID, --person and --delivery" in result.stderr) == (2, True), machine


def test_without_bigquery_the_dead_letters_still_tell(
    machine: Machine, ops: Ops, environment: MutableMapping[str, str]
) -> None:
    environment["BIGQUERY_EMULATOR_HOST"] = "http://127.0.0.1:9"
    machine.dead_letter("track", b'{"identifiers": {"id": "42"}}', job_id="J1")
    for arguments in (("J1",), ("--person", "42")):
        result = ops("trace", *arguments)
        assert result.exit_code == 0, result.stderr
        assert "BigQuery could not be asked: No answer in time (" in result.stderr
        assert "HTTPConnectionPool" not in result.stderr
        assert "waits in cio-track-dead-letter: rejected: invalid: is not allowed" in " ".join(result.stdout.split())


def test_with_everything_away_it_is_a_sentence_within_five_seconds(
    ops: Ops, environment: MutableMapping[str, str]
) -> None:
    environment |= {"PUBSUB_EMULATOR_HOST": "127.0.0.1:9", "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9"}
    ops("--help")
    started = time.monotonic()
    result = ops("trace", "J1", "--project", "p")
    assert time.monotonic() - started < 5
    assert (result.exit_code, len(result.stderr.strip().splitlines())) == (1, 4), result.stderr
    assert "is missing" in result.stderr.splitlines()[-1]


def test_where_nothing_is_known_that_is_said(
    machine: Machine, ops: Ops, environment: MutableMapping[str, str], bigquery_server: str
) -> None:
    environment |= {"BIGQUERY_EMULATOR_HOST": bigquery_server, "BIGQUERY_DATASET": "trace_empty"}
    with closing(bigquery.client(bigquery_server, machine.project)) as client:
        bigquery.create_tables(client, "trace_empty")
    for arguments in (("J1",), ("--person", "42"), ("--delivery", "d")):
        result = ops("trace", *arguments, "--json")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines()[-1].startswith("Nothing is known of")


def test_a_fault_of_our_own_is_not_taken_for_an_outage() -> None:
    found = Found()

    def away() -> list[str]:
        raise UnreachableError("it is away")

    def broken() -> list[str]:
        raise ZeroDivisionError

    assert found.ask("BigQuery", away) is None
    assert found.unavailable == {"BigQuery": "it is away"}
    with pytest.raises(ZeroDivisionError):
        found.ask("BigQuery", broken)
