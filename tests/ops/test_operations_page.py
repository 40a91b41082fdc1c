"""Every command line of docs/operations.md runs."""

import re
import shlex
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

import pytest
from typer.testing import Result

from ops import clients
from tests.function_process import ROOT
from tests.ops.conftest import Machine
from tests.secrets.fake_secret_manager import FakeSecretManager, running_secret_manager

Ops = Callable[..., Result]

COMMANDS = [
    shlex.split(line)
    for line in re.findall(r"^ {4}\$ python -m ops (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
]
# With a bad line in the file, and without Customer.io, BigQuery and a webhook.
FAIL = {"publish identify --file jobs.jsonl", "doctor", "trace 01KAVS2N8M9GJ4T6QK0Z3W7XYE"}
JOBS = b'{"identifiers": {"id": "1"}}\n{"identifiers": {"id": "1", "email": "a@example.com"}}\n'


@pytest.fixture
def secret_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSecretManager]:
    with running_secret_manager() as running:
        monkeypatch.setattr(clients, "secret_manager", running.client)
        running.add("projects/example-dev/secrets/dev-cio-app-api-key", "old")
        yield running


@pytest.fixture
def letters(machine: Machine) -> None:
    """What the page's examples speak of, in the current folder and as dead letters."""
    rejected = {"class": "rejected", "reason": "rejected"}
    undecided = {"class": "unknown_outcome", "reason": "unknown_outcome"}
    data = b'{"identifiers": {"id": "%d"}, "transactional_message_id": 7, "to": "a@example.com"}'
    machine.dead_letter("send", data % 1, job_id="01M86RQGW9067W5WJ8X792ESDC", **undecided)
    machine.dead_letter("send", data % 2, job_id="01M86RQCJB9JY0R0F036F32HYQ", **rejected)
    machine.dead_letter("track", b"{}", job_id="01M86RQ7XZYEHW56PM0S9ATBTF", **rejected)
    Path("jobs.jsonl").write_bytes(JOBS)
    logs = Path(".local/logs")
    logs.mkdir(parents=True)
    (logs / "send.log").write_text('{"severity":"INFO","message":"applied"}\n')


def test_the_page_has_an_example_of_every_command() -> None:
    shown = {command[0] for command in COMMANDS}
    assert {"publish", "dead-letters", "status", "trace", "doctor", "logs", "secrets"} <= shown
    assert {command[1] for command in COMMANDS if command[0] == "dead-letters"} == {
        "list",
        "show",
        "export",
        "replay",
        "discard",
    }


@pytest.mark.usefixtures("letters", "secret_manager")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_line_of_the_page_runs(ops: Ops, environment: MutableMapping[str, str], command: list[str]) -> None:
    if command[-1] == "letters.jsonl":
        ops("dead-letters", "export", "send", "letters.jsonl", "--reveal", "--person", "2")
    if "--environment=dev" in command:
        del environment["PUBSUB_EMULATOR_HOST"]
    result = ops(*command, given="value")
    assert result.exit_code == (1 if " ".join(command) in FAIL else 0), result.output
