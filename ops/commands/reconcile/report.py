"""What a reconcile found: one JSON document, a table by kind, and a file of rows."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ops import console
from ops.commands.reconcile.values import is_consent
from ops.scratch_tables import Tables

KINDS = {
    "consent": "opted out here and subscribed there, or the other way round",
    "missing": "a record here, nobody there",
    "orphaned": "a person there without a record here, or deleted here",
    "different": "attributes that differ",
    "conflicts": "one address of two people, there or here",
}


def findings(tables: Tables) -> Iterator[tuple[str, Any]]:
    """Every finding with its kind; opt-outs that Customer.io does not respect come first."""
    for row in tables.query("SELECT id FROM {differences} WHERE consents > 0 ORDER BY opted_out DESC, id"):
        yield "consent", row["id"]
    for row in tables.query("SELECT id FROM {missing} ORDER BY id"):
        yield "missing", row["id"]
    for row in tables.query("SELECT label FROM {orphans} ORDER BY label"):
        yield "orphaned", row["label"]
    for row in tables.query("SELECT id, names FROM {differences} WHERE others > 0 ORDER BY id"):
        yield "different", {"id": row["id"], "fields": [name for name in row["names"] if not is_consent(name)]}
    for row in tables.query("SELECT email, ids FROM {conflicts} ORDER BY side, email"):
        yield "conflicts", {"email": row["email"], "ids": [*row["ids"]]}


def document(found: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    """All findings by kind, in the order that the JSON document has."""
    by_kind: dict[str, list[Any]] = {kind: [] for kind in ("missing", "orphaned", "different", "consent", "conflicts")}
    for kind, finding in found:
        by_kind[kind].append(finding)
    return by_kind


def count(found: Iterable[tuple[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(KINDS, 0)
    for kind, _ in found:
        counts[kind] += 1
    return counts


def write_rows(found: Iterable[tuple[str, Any]], path: Path) -> Iterator[tuple[str, Any]]:
    """Write one JSON object per finding to a file that only its owner can read, and pass the findings on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for kind, finding in found:
            columns = finding if isinstance(finding, dict) else {"id": finding}
            file.write(msgspec.json.encode({"kind": kind, **columns}) + b"\n")
            yield kind, finding


def print_table(counts: dict[str, int]) -> None:
    table = console.table("kind", "count", "meaning")
    for kind, meaning in KINDS.items():
        table.add_row(kind, str(counts[kind]), meaning)
    console.out().print(table)
