"""Every command line of a page runs in a test, is judged by its own parser, or is named here with the reason."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from ops.cli import app
from tests.docs.markdown import PAGES, ROOT, fenced_blocks

_PAGES = [*PAGES, ROOT / "CONTRIBUTING.md"]
_INDENTED = re.compile(r"(?:^|(?<=\n\n))((?: {4}.+\n)+)", re.MULTILINE)
# Pages of which tests run every line: on a stack, against fake services, or by the job's own parser.
RUN_ELSEWHERE = {
    "quickstart.md": "tests/stack/test_quickstart.py",
    "operations.md": "tests/ops/test_operations_page.py",
    "jobs.md": "tests/docs/test_examples_run.py",
}
# Programs that a test cannot run here.
NOT_HERE = {
    "gcloud": "needs a project, or is a publish command, which tests/docs/test_examples_run.py reads as gcloud does",
    "gh": "needs a repository on GitHub",
    "git": "changes this repository, or asks another one",
    "pip": "installs the wheel from elsewhere; tests/examples/test_wheel.py installs the one that is built here",
    "twine": "uploads to a registry",
    "pre-commit": "is the reader's own to install",
    "node": "runs the reader's own script",
    "curl": "docs/local-stack.md: tests/local_pubsub/test_broker_rest.py and tests/local_customerio run them",
}
# Parts of a shell script that change nothing but the shell, and small tools on files that a test names.
SHELL = {"export", "cd", "set", "alias", "rm", "sed"}
_LANGUAGES = {"", "sh"}
UsageError = typer.BadParameter.__base__


def lines(page: Path) -> Iterator[str]:
    """The command lines of a page, each whole, without prompts, comments and what the commands print."""
    text = page.read_text()
    blocks = [block for language, block in fenced_blocks(text) if language in _LANGUAGES]
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in _INDENTED.findall(outside)]
    for block in blocks:
        whole = block.replace("\\\n", " ")
        prompted = re.findall(r"^\$ (.+)$", whole, re.MULTILINE)
        shown = prompted or ([] if _is_no_script(block) else whole.splitlines())
        yield from (line for each in shown if (line := re.sub(r"(^|\s+)#.*$", "", each).strip()))


def _is_no_script(block: str) -> bool:
    """A picture, settings of Terraform, or what a command prints."""
    first = block.strip().split(maxsplit=1)[0]
    return not re.match(r"[\w.-]+(=|$)", first) or bool(re.search(r"^\w+ += ", block, re.MULTILINE)) or "──" in block


LINES = [(page, line) for page in _PAGES if page.name not in RUN_ELSEWHERE for line in lines(page)]


def words(line: str) -> list[str]:
    """A command line as a shell splits it, without assignments before the command."""
    if substituted := re.match(r"\w+=\$\((.+)\)", line):
        line = substituted[1]
    split = shlex.split(line, comments=True)
    while len(split) > 1 and re.match(r"[A-Z_]+=", split[0]):
        del split[0]
    return split


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page.name}-{line[:40]}" for page, line in LINES])
def test_a_command_line_is_known(page: Path, line: str) -> None:
    split = words(line)
    match split:
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        case [("python" | ".venv/bin/python"), "-m", "ops", *arguments] | ["ops", *arguments]:
            parse(arguments)
        case [("python" | ".venv/bin/python"), "-m", module, *_]:
            path = ROOT.joinpath(*module.split("."))
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists() or module == "pytest", module
        case ["terraform", *arguments]:
            terraform(arguments)
        case [program, *_]:
            assert program in NOT_HERE or program in SHELL, (
                f"{page.name}: no test runs {program}, and no reason says why"
            )


def parse(arguments: list[str]) -> None:
    """Read the arguments as the operator's command does, and do nothing.

    Raises:
        UsageError: if there is no such command or option, or one is missing.
    """
    arguments = arguments[: next((n for n, word in enumerate(arguments) if word in {"|", ">", "<", ";"}), None)]
    command = typer.main.get_command(app)
    context = None
    while isinstance(command, TyperGroup):
        context = command.make_context(command.name or "ops", arguments, parent=context)
        _, found, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found
    command.make_context(command.name, arguments, parent=context)


def terraform(arguments: list[str]) -> None:
    """Check that the files and outputs exist that a terraform command names."""
    folder = ROOT / "terraform"
    outputs = set(re.findall(r'^output "(\w+)"', (folder / "outputs.tf").read_text(), re.MULTILINE))
    for word in arguments:
        if found := re.match(r"-(?:backend-config|var-file)=(.+)", word):
            assert "$" in found[1] or (folder / found[1]).exists(), found[1]
    if "output" in arguments:
        named = [word for word in arguments if not word.startswith("-") and word != "output"]
        assert set(named[:1]) <= outputs, named


def test_the_lists_are_of_use() -> None:
    programs = {words(line)[0] for _, line in LINES}
    assert NOT_HERE.keys() | SHELL <= programs
    assert {page.name for page, _ in LINES} >= {"README.md", "deploy.md", "runbooks.md", "import.md", "reconcile.md"}
    for path in RUN_ELSEWHERE.values():
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    "arguments", ["publish identify --persn 42", "statsu", "dead-letters list", "secrets set app-api-key --projct x"]
)
def test_a_broken_command_fails(arguments: str) -> None:
    with pytest.raises(UsageError):
        parse(arguments.split())
