"""Names that version 0.1 had and the field has not are gone: as identifiers, as file names, and in prose.

Words that the field uses in another sense are looked for only where they meant ours.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source_tree import ROOMS, ROOT, modules, plant

# Anywhere in a file: nobody says these by chance. The new name stands beside each.
WORDS = {
    "Once": "Idempotency",
    "Gate": "CircuitBreaker",
    "Later": "Retry",
    "Outbox": "OrderedPublisher",
    "outbox": "ordered publisher",
    "NotAnEnvelopeError": "NotAPushError",
    "Bell": "Waiter",
    "Lot": "Batch",
    "Patience": "RetryPolicy",
    "World": "State",
}
# Names of variables, attributes, functions, parameters and modules, with or without a leading underscore.
IDENTIFIERS = {
    "gate": "breaker",
    "fate": "result",
    "alone": "exclusive",
    "publishable": "sanitize",
    "cut": "truncate",
    "TAKEN": "RESERVED",
    "books": "snapshot",
    "holdings": "message_store",
    "Holdings": "MessageStore",
    "own_key": "is_named",
    "has_own_key": "is_named",
    "parse_identify": "jobs.parse",
    "parse_track": "jobs.parse",
    "parse_send": "jobs.parse",
    "parse_broadcast": "jobs.parse",
    "parse_sync": "jobs.parse",
}
# In shared/ alone, and only as what stands in front: elsewhere the words mean what anybody takes them to mean.
OF_SHARED = {
    ("argument", "hold"): "needs_operator",
    ("definition", "plain"): "to_json",
    ("definition", "Delivery"): "PushMessage",
}
# Modules by their path without the suffix, below the repository's root.
FILES = {
    "local/broker": "local/pubsub",
    "local/simulator": "local/customerio",
    "local/pubsub/holdings": "local/pubsub/message_store",
    "local/customerio/world": "local/customerio/state",
    "local/demo/books": "local/demo/snapshot",
    "ops/composing": "ops/job_builder",
    "ops/waiting": "ops/backlog",
    "ops/sending": "ops/commands/publishing",
    "ops/screen": "ops/console",
    "ops/google": "ops/clients",
    "ops/dead_letters": "ops/commands/dead_letters",
    "ops/commands/dead_letters/letter": "dead_letter",
    "ops/commands/dead_letters/opened": "batch",
    "ops/commands/dead_letters/look": "inspect",
    "ops/commands/dead_letters/act": "settle",
    "shared/handlers/once": "shared/handlers/idempotency",
    "shared/handlers/applying": "shared/handlers/operations",
    "shared/customerio/gate": "shared/customerio/breaker",
    "shared/customerio/answers": "shared/customerio/responses",
    "shared/customerio/batcher": "shared/batching",
    "shared/pubsub/envelope": "shared/pubsub/message",
    "shared/pubsub/endpoint": "shared/pubsub/push",
    "shared/jobs/people": "shared/jobs/identify",
    "shared/jobs/identify_forms": "shared/jobs/identify_schema",
    "shared/jobs/tracking": "shared/jobs/track",
    "shared/jobs/sends": "shared/jobs/send",
    "shared/jobs/broadcasts": "shared/jobs/broadcast",
    "shared/jobs/users": "shared/jobs/sync",
}


def words(root: Path) -> list[str]:
    """Old names in the text of files."""
    pattern = re.compile(rf"\b({'|'.join(WORDS)})\b")
    return [
        f"{module.path.relative_to(root)}:{number}: {found[1]}, now {WORDS[found[1]]}"
        for module in modules(root).values()
        for number, line in enumerate(module.path.read_text().splitlines(), 1)
        for found in pattern.finditer(line)
    ]


def identifiers(root: Path) -> list[str]:
    """Old names of variables, attributes, functions, parameters and imports."""
    return [
        f"{module.path.relative_to(root)}:{line}: {name}, now {new}"
        for module in modules(root).values()
        for role, name, line in _names(module.tree)
        if (new := IDENTIFIERS.get(name) or (module.room == "shared" and OF_SHARED.get((role, name))))
    ]


def files(root: Path) -> list[str]:
    """Old names of modules and packages."""
    return [f"{old}, now {new}" for old, new in FILES.items() if (root / old).is_dir() or (root / f"{old}.py").exists()]


def helper_kits(root: Path) -> list[str]:
    """Test helpers called a kit."""
    return [str(path.relative_to(root)) for path in (root / "tests").rglob("*_kit.py")]


def _names(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Role, name without leading underscores, and line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield "name", name.lstrip("_"), node.lineno
            case ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield "argument", name.lstrip("_"), node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield "definition", name.lstrip("_"), node.lineno
            case ast.alias(name=name):
                yield "import", name.rpartition(".")[2].lstrip("_"), node.lineno
            case _:
                pass


CHECKS = {check.__name__: check for check in (words, identifiers, files, helper_kits)}
PLANTED = {
    "words": {"shared__a": "# The Outbox is empty."},
    "identifiers": {"ops__a": "def wait(*, _gate: bool) -> None: ..."},
    "files": {"ops__composing": ""},
    "helper_kits": {"tests__ops__doctor_kit": ""},
}


@pytest.mark.parametrize("check", CHECKS)
def test_names_are_the_fields(check: str) -> None:
    found = CHECKS[check](ROOT)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("check", CHECKS)
def test_an_old_name_is_found(check: str, tmp_path: Path) -> None:
    assert len(CHECKS[check](plant(tmp_path, **PLANTED[check]))) == 1


def test_a_word_of_shared_means_something_else_elsewhere(tmp_path: Path) -> None:
    planted = plant(tmp_path, **{f"{room}__a": "class Delivery: ..." for room in ROOMS})
    assert identifiers(planted) == ["shared/a.py:1: Delivery, now PushMessage"]


def test_every_room_is_looked_at(tmp_path: Path) -> None:
    planted = plant(tmp_path, **{f"{room}__a": "gate = 1" for room in ROOMS})
    assert len(identifiers(planted)) == len(ROOMS)
