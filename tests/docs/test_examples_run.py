"""Every job that a page shows can be copied: commands are jobs that their function takes, Python publishes the same."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docs.examples import EXAMPLES
from shared.jobs import parse_broadcast, parse_identify, parse_send, parse_sync, parse_track
from shared.topology import topology
from tests.docs.markdown import PAGES, ROOT, Command, commands, fenced_blocks, python_blocks
from tests.publisher.recording import Message, RecordingClient, recording

COMMANDS = [(page, command) for page in PAGES for command in commands(page.read_text())]
BLOCKS = [(page, block) for page in PAGES for block in python_blocks(page.read_text())]
KINDS = {job.name: kind for kind, job in topology().topics.items()}


class ClosableClient(RecordingClient):
    """A recording client that a publisher can own."""

    made: list[RecordingClient]
    transport = SimpleNamespace(close=lambda: None)

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.made.append(self)

    def stop(self) -> None:
        pass


def parsed(message: Command | Message) -> Any:
    """The job as its function reads it."""
    match KINDS[message.topic.removeprefix("dev-")]:
        case "identify":
            return parse_identify(message.data)
        case "track":
            return parse_track(message.data)
        case "send":
            return parse_send(message.data, message.attributes.get("channel", "email"))
        case "broadcast":
            return parse_broadcast(message.data)
        case "sync":
            return parse_sync(message.data)
        case kind:
            pytest.fail(f"nobody publishes jobs of {kind}")


def published(block: str, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Run a block as a program that may use ``publisher``, and list what it published."""
    publisher, messages = recording()
    ClosableClient.made = []
    monkeypatch.setattr("shared.pubsub.ordered_publisher.PublisherClient", ClosableClient)
    exec(block, {"publisher": publisher})
    return [*messages, *(message for client in ClosableClient.made for message in client.messages)]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page.name}-{number}" for number, (page, _) in enumerate(COMMANDS)]
)
def test_a_command_is_a_job_that_its_function_takes(page: Path, command: Command) -> None:
    parsed(command)
    assert command.attributes.keys() <= {"job_id", "channel", "expires_at", "delivery_guarantee"}, page


@pytest.mark.parametrize(
    ("page", "block"), BLOCKS, ids=[f"{page.name}-{number}" for number, (page, _) in enumerate(BLOCKS)]
)
def test_a_python_block_publishes(page: Path, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert published(block, monkeypatch), page


def test_python_and_command_of_an_example_are_the_same_job(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = fenced_blocks((ROOT / "docs/jobs.md").read_text())
    pairs = [(python, shell) for (_, python), (language, shell) in pairwise(blocks) if language == "sh"]
    assert len(pairs) == sum(len(examples) for examples in EXAMPLES.values())
    for block, shell in pairs:
        (message,) = published(block, monkeypatch)
        (command,) = commands(shell)
        assert message.topic == command.topic, block
        assert message.ordering_key == command.ordering_key, block
        assert parsed(message) == parsed(command), block


def test_there_are_commands_and_blocks_to_test() -> None:
    assert {page.name for page, _ in COMMANDS} >= {"README.md", "jobs.md"}
    assert {page.name for page, _ in BLOCKS} >= {"README.md", "jobs.md"}
