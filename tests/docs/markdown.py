"""What a reader copies out of a page: its Python blocks and its publish commands."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^[ ]*gcloud pubsub topics publish (?:.*\\\n)*.*$", re.MULTILINE)
_WORDS_BEFORE_TOPIC = 4


@dataclass(frozen=True, slots=True)
class Command:
    """A ``gcloud pubsub topics publish``, as a shell and gcloud read it."""

    topic: str
    data: bytes
    ordering_key: str
    attributes: dict[str, str]


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """Language, which may be empty, and text of each."""
    return _FENCED.findall(text)


def python_blocks(text: str) -> list[str]:
    return [block for language, block in fenced_blocks(text) if language == "python"]


def commands(text: str) -> list[Command]:
    return [_command(found.group()) for found in _COMMAND.finditer(text)]


def _command(text: str) -> Command:
    topic, *words = shlex.split(text.replace("\\\n", " "))[_WORDS_BEFORE_TOPIC:]
    flags: dict[str, list[str]] = {}
    while words:
        # Both `--flag=value` and `--flag value` are gcloud's.
        name, equals, value = words.pop(0).partition("=")
        flags.setdefault(name, []).append(value if equals else words.pop(0))
    assert flags.keys() <= {"--message", "--attribute", "--ordering-key", "--project"}, flags.keys()
    return Command(
        topic,
        flags["--message"][0].encode(),
        flags.get("--ordering-key", [""])[0],
        dict(each.split("=", 1) for each in flags.get("--attribute", [])),
    )
