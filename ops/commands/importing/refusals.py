"""Rows that an import refuses: counted by field, and written to a file with line, field and reason."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ops.rows import Row
from shared.jobs import InvalidJob


class Refusals:
    """The refused rows of one run.

    Args:
        path: File for one JSON object per refused row, readable only by its owner; created with the first. None writes
            none.
        with_values: Whether the row itself is written too.
    """

    def __init__(self, path: Path | None, *, with_values: bool) -> None:
        self.total = 0
        self.path = path
        self._with_values = with_values
        self._file: BinaryIO | None = None
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, row: Row, error: InvalidJob) -> None:
        self.total += 1
        # Behind the semicolon stands what is the row's own: "must be at most 150 bytes; it has 151".
        self._counts[error.field, error.problem.partition(";")[0]] += 1
        if self.path is None:
            return
        line: dict[str, Any] = {"line": row.number, "field": error.field, "reason": error.problem}
        if self._with_values:
            line["row"] = row.text.decode(errors="replace")
        if self._file is None:
            self.path.unlink(missing_ok=True)
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def by_field(self) -> list[dict[str, Any]]:
        """Counts by field and reason, the most frequent first."""
        return [
            {"field": field, "reason": reason, "count": count}
            for (field, reason), count in sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        ]
