"""The environment is read in one file of each room, and every number of seconds stands in one file of each room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT, Module, modules, plant

# Rooms, and the files that read the environment for them. The publisher is the one part of shared/ that an application
# imports, and takes the project as Google's own libraries do.
READS_ENVIRONMENT = {
    "shared": ("shared/settings.py", "shared/publisher/base.py"),
    "functions": (),
    "ops": ("ops/target.py",),
}
# Rooms, and the one file of their numbers of seconds; topology.json has those that Terraform reads too.
HAS_SECONDS = {
    "shared": "shared/deadlines.py",
    "functions": "",
    "ops": "ops/deadlines.py",
    "local": "local/deadlines.py",
}

_OF_TIME = {"seconds", "minutes", "hours", "timeout", "deadline", "pause", "wait", "interval", "backoff"}
_OF_TIME |= {"lease", "linger", "age", "delay", "latency"}
_OTHER = {"bytes", "items", "count", "messages", "requests", "attempts", "factor", "digits", "share", "scale"}
# Calls whose first argument is a number of seconds, and keyword arguments of Google's retry that are.
_CALLS = {"sleep", "timeout", "wait_for", "call_later", "result", "join", "timedelta"}
_RETRY_KEYWORDS = {"initial", "maximum"}


def environment_reads(root: Path, room: str) -> list[str]:
    """Places that read or write the environment outside the room's one file."""
    return [
        f"{module.path.relative_to(root)}:{line}"
        for module in modules(root, room).values()
        if str(module.path.relative_to(root)) not in READS_ENVIRONMENT[room]
        for line in _environment(module.tree)
    ]


def _environment(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "putenv"):
                yield node.lineno
            case ast.ImportFrom(module="os", names=names) if {"environ", "getenv"} & {alias.name for alias in names}:
                yield node.lineno
            case _:
                pass


def seconds(root: Path, room: str) -> list[str]:
    """Numbers of seconds written outside the room's one file."""
    return [
        f"{module.path.relative_to(root)}:{line}: {name} = {ast.unparse(value)}"
        for module in modules(root, room).values()
        if str(module.path.relative_to(root)) != HAS_SECONDS[room]
        for name, value, line in _named_values(module)
        if _is_number(value)
    ]


def _named_values(module: Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Values given to something whose name says that it is a time, with that name and the line."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                if _is_time(name := ast.unparse(target).rpartition(".")[2]):
                    yield name, value, node.lineno
            case ast.Call(func=func, args=args, keywords=keywords):
                called = ast.unparse(func).rpartition(".")[2]
                for word in keywords:
                    if word.arg and (_is_time(word.arg) or (called == "Retry" and word.arg in _RETRY_KEYWORDS)):
                        yield word.arg, word.value, node.lineno
                if called in _CALLS:
                    yield from ((called, each, node.lineno) for each in args)
            case ast.arguments():
                yield from _defaults(node)
            case _:
                pass


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr, int]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [(name, value) for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    yield from ((name.arg, value, name.lineno) for name, value in pairs if _is_time(name.arg))


def _is_time(name: str) -> bool:
    parts = name.lower().strip("_").split("_")
    return bool(_OF_TIME.intersection(parts)) and not _OTHER.intersection(parts)


def _is_number(value: ast.expr) -> bool:
    """Whether ``value`` is a number above 0, or a calculation of nothing but numbers."""
    if not all(isinstance(node, ast.Constant | ast.BinOp | ast.operator) for node in ast.walk(value)):
        return False
    numbers = [node.value for node in ast.walk(value) if isinstance(node, ast.Constant)]
    return all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers) and any(numbers)


@pytest.mark.parametrize("room", READS_ENVIRONMENT)
def test_the_environment_is_read_in_one_file(room: str) -> None:
    found = environment_reads(ROOT, room)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("room", HAS_SECONDS)
def test_numbers_of_seconds_stand_in_one_file(room: str) -> None:
    found = seconds(ROOT, room)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "import os\nhost = os.environ.get('HOST')",
        "import os\nhost = os.getenv('HOST')",
        "from os import environ",
        "import os\nos.environ['HOST'] = ''",
    ],
)
def test_a_read_of_the_environment_is_found(text: str, tmp_path: Path) -> None:
    assert environment_reads(plant(tmp_path, shared__settings=text), "shared") == []
    assert len(environment_reads(plant(tmp_path, shared__handlers__send=text), "shared")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "_CONNECT_SECONDS = 5.0",
        "TIMEOUT: float = 2 * 60",
        "def call(*, longest_wait: float = 5.0) -> None: ...",
        "def call(timeout=5) -> None: ...",
        "client.post(body, timeout=10)",
        "policy = Retry(initial=0.1)",
        "async def pause():\n    await asyncio.sleep(0.5)",
        "lease = timedelta(seconds=30)",
        "loop.call_later(1, done)",
        "future.result(30)",
    ],
)
def test_a_number_of_seconds_is_found(text: str, tmp_path: Path) -> None:
    assert seconds(plant(tmp_path, shared__deadlines=text), "shared") == []
    assert len(seconds(plant(tmp_path, shared__customerio__http=text), "shared")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from . import deadlines\nclient.post(body, timeout=deadlines.PUBLISH_SECONDS)",
        "_WAITING_BYTES = 20_000_000",
        "SHARE_OF_DEADLINE = 0.9",
        "REQUESTS_PER_SECOND = 10.0",
        "max_wait_bytes = 4 * 1024",
        "await_until = now() + lease",
        "async def turn():\n    await asyncio.sleep(0)",
        "timeout = None",
        "', '.join(names)",
    ],
)
def test_what_is_no_number_of_seconds_is_not(text: str, tmp_path: Path) -> None:
    assert seconds(plant(tmp_path, shared__customerio__http=text), "shared") == []
