"""No module over 300 lines, no handler over 60, and nothing but an entry point in functions/NAME/main.py."""

import ast
from pathlib import Path

import pytest

from shared.topology import topology
from tests.house.source_tree import ROOT, modules, plant

MAX_MODULE_LINES = 300
MAX_HANDLER_LINES = 60
# In shared/handlers beside the handlers: what several of them use, and the webhook, which is no job's handler.
NO_HANDLERS = {
    "__init__",
    "forgetting",
    "idempotency",
    "operations",
    "outcomes",
    "pauses",
    "profile",
    "recipients",
    "rows",
    "signing_keys",
    "trigger_report",
    "unless_forgotten",
    "user_operations",
    "user_sync",
    "webhook",
    "wiring",
}


def long_modules(root: Path) -> list[str]:
    """Modules above 300 lines."""
    lengths = {module.name: _length(module.path) for module in modules(root, "shared", "ops", "local").values()}
    return [f"{name}: {length} lines" for name, length in lengths.items() if length > MAX_MODULE_LINES]


def long_handlers(root: Path) -> list[str]:
    """Handlers above 60 lines."""
    handlers = [path for path in (root / "shared/handlers").glob("*.py") if path.stem not in NO_HANDLERS]
    return [f"{path.stem}: {_length(path)} lines" for path in handlers if _length(path) > MAX_HANDLER_LINES]


def more_than_entry_points(root: Path) -> list[str]:
    """Functions whose main.py holds more than its docstring, imports, one endpoint and one function that awaits it."""
    return [module.name for module in modules(root, "functions").values() if not _is_entry_point(module.tree)]


def _is_entry_point(tree: ast.Module) -> bool:
    match [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]:
        case [
            ast.Expr(value=ast.Constant()),
            ast.Assign(value=ast.Call()),
            ast.AsyncFunctionDef(body=[ast.Return(value=ast.Await(value=ast.Call()))]),
        ]:
            return True
    return False


def _length(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_module_is_too_long() -> None:
    found = long_modules(ROOT)
    assert not found, "\n".join(found)


def test_no_handler_is_too_long() -> None:
    found = long_handlers(ROOT)
    assert not found, "\n".join(found)


def test_functions_hold_entry_points_only() -> None:
    assert more_than_entry_points(ROOT) == []
    assert {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()} == topology().functions.keys()


@pytest.mark.parametrize("room", ["shared", "ops", "local"])
def test_a_long_module_is_found(room: str, tmp_path: Path) -> None:
    assert long_modules(plant(tmp_path, **{f"{room}__a": "\n" * MAX_MODULE_LINES})) == []
    assert long_modules(plant(tmp_path, **{f"{room}__a": "\n" * (MAX_MODULE_LINES + 1)})) == [f"{room}.a: 301 lines"]


def test_a_long_handler_is_found(tmp_path: Path) -> None:
    planted = plant(tmp_path, shared__handlers__send="\n" * 61, shared__handlers__wiring="\n" * 61)
    assert long_handlers(planted) == ["send: 61 lines"]


@pytest.mark.parametrize("more", ["RETRIES = 3", "def helper() -> None: ...", "answer.limit = 3"])
def test_logic_in_a_function_is_found(more: str, tmp_path: Path) -> None:
    text = (ROOT / "functions/send/main.py").read_text()
    assert more_than_entry_points(plant(tmp_path, functions__send__main=text)) == []
    assert more_than_entry_points(plant(tmp_path, functions__send__main=f"{text}\n{more}\n")) == ["functions.send.main"]
