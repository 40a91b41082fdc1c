"""The product's Python files as syntax trees, and which module imports which."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("shared", "functions", "ops", "local", "bench")


@dataclass(frozen=True, slots=True)
class Module:
    """One file.

    Args:
        name: Dotted name, such as ``shared.pubsub.push``; a package's is the folder's.
        path: The file.
        package: Dotted name of the folder that relative imports start from.
    """

    name: str
    path: Path
    package: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(), filename=str(self.path))

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @property
    def unit(self) -> str:
        """The module or package right below its room: ``pubsub`` for ``shared.pubsub.push``."""
        return self.name.split(".")[1] if "." in self.name else ""


def modules(root: Path = ROOT, *rooms: str) -> dict[str, Module]:
    """Every module of ``rooms``, by name."""
    found = {}
    for path in sorted(file for room in rooms or ROOMS for file in (root / room).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ".".join(parts[:-1]))
    return found


def imports(found: dict[str, Module]) -> dict[str, set[str]]:
    """Which modules of ``found`` each of them imports, anywhere in its file: deferred and type-only imports count."""
    return {module.name: set(_imported(module, found)) - {module.name} for module in found.values()}


def _imported(module: Module, found: dict[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Import():
                yield from (_known(alias.name, found) for alias in node.names if _known(alias.name, found))
            case ast.ImportFrom():
                base = _base(module, node)
                names = (f"{base}.{alias.name}" for alias in node.names)
                yield from (known for name in names if (known := name if name in found else _known(base, found)))


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _known(name: str, found: dict[str, Module]) -> str:
    return name if name in found else ""


def plant(root: Path, **files: str) -> Path:
    """Write a small tree for a check to fail on: ``shared__a="import os"`` is ``shared/a.py``."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
