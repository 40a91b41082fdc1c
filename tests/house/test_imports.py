"""Imports point one way: between the rooms, between the parts of shared/, and between modules."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT, imports, modules, plant

# A room and the rooms that it may import beside itself.
MAY_IMPORT = {
    "shared": set[str](),
    "functions": {"shared"},
    "ops": {"shared"},
    "local": {"shared", "ops"},  # its console does what the operator's commands do
    "bench": {"shared", "local"},  # starts its subjects as the local stack does
}
# A part of shared/ and the parts that it must not know, however far away: the first two columns of the design.
# The picture in docs/architecture.md is stricter, and says what each part does use.
ALL = {"handlers", "pubsub", "customerio", "ledger", "warehouse", "publisher"}
KNOWS_NOTHING_OF = {
    "jobs": {*ALL, "settings", "secrets", "telemetry", "redaction", "events", "topology"},
    "events": {*ALL, "attributes", "outcome", "settings", "secrets", "telemetry", "redaction", "jobs", "topology"},
    "outcome_message": {*ALL, "jobs", "settings", "secrets", "telemetry", "redaction"},
    "outcome": {*ALL, "jobs", "settings", "secrets", "telemetry"},
    "settings": {*ALL, "jobs", "outcome", "secrets", "telemetry"},
    "customerio": {*ALL - {"customerio"}, "jobs", "attributes", "outcome", "events", "telemetry"},
    "ledger": {*ALL - {"ledger"}, "jobs", "attributes", "outcome", "events", "settings", "telemetry"},
    "warehouse": {*ALL - {"warehouse"}, "jobs", "attributes", "outcome", "telemetry"},
    "pubsub": {*ALL - {"pubsub"}, "events", "settings", "secrets"},
    "publisher": {"handlers", "customerio", "ledger", "warehouse", "settings", "secrets", "telemetry", "outcome"},
}


def across_rooms(root: Path) -> list[str]:
    """Imports between rooms that ``MAY_IMPORT`` does not list."""
    found = modules(root)
    return [
        f"{name} imports {other}"
        for name, others in imports(found).items()
        for other in sorted(others)
        if found[other].room not in {found[name].room, *MAY_IMPORT[found[name].room]}
    ]


def within_shared(root: Path) -> list[str]:
    """Imports of a part of shared/ that must not know the other."""
    found = modules(root, "shared")
    return [
        f"{name} imports {other}"
        for name, others in imports(found).items()
        for other in sorted(others)
        if found[other].unit in KNOWS_NOTHING_OF.get(found[name].unit, ())
        or (found[other].unit == "handlers" and found[name].unit != "handlers")
    ]


def cycle(root: Path) -> list[str]:
    """Modules that import one another in a circle; empty when there is none."""
    try:
        TopologicalSorter(imports(modules(root))).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def absolute_in_shared(root: Path) -> list[str]:
    """Imports of ``shared`` by its name in shared/: the wheel has the same files under another name."""
    return [
        f"{module.path.relative_to(root)}:{number}"
        for module in modules(root, "shared").values()
        for number, line in enumerate(module.path.read_text().splitlines(), 1)
        if line.lstrip().startswith(("from shared", "import shared"))
    ]


CHECKS = {check.__name__: check for check in (across_rooms, within_shared, cycle, absolute_in_shared)}
PLANTED = {
    "across_rooms": {"shared__a": "from ops import b", "ops__b": ""},
    "within_shared": {
        "shared__customerio__http": "def post():\n    from ..pubsub.push import Push",
        "shared__pubsub__push": "",
    },
    "cycle": {
        "shared__a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import B",
        "shared__b": "from . import a",
    },
    "absolute_in_shared": {"shared__a": "from shared import topology"},
}


@pytest.mark.parametrize("check", CHECKS)
def test_imports_point_one_way(check: str) -> None:
    found = CHECKS[check](ROOT)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("check", CHECKS)
def test_an_import_the_other_way_is_found(check: str, tmp_path: Path) -> None:
    assert CHECKS[check](plant(tmp_path, **PLANTED[check]))


def test_only_handlers_and_functions_import_a_handler(tmp_path: Path) -> None:
    planted = plant(tmp_path, shared__telemetry="from .handlers import send", shared__handlers__send="")
    assert within_shared(planted) == ["shared.telemetry imports shared.handlers.send"]


def test_every_part_named_here_exists() -> None:
    units = {module.unit for module in modules(ROOT, "shared").values()}
    named = {*KNOWS_NOTHING_OF, *(other for others in KNOWS_NOTHING_OF.values() for other in others)}
    assert named <= units
