"""Dead letters as tables and as JSON."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.padding import Padding
from rich.table import Table

from ops import console
from ops.commands.dead_letters import redaction
from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.jobs import persons
from shared.redaction import loggable_key
from shared.telemetry import Telemetry


class View:
    """Shows dead letters as far as the reader may see them.

    Args:
        project: Google Cloud project, whose logs name persons by the same hash.
        reveal: Whether to show what jobs contain.
    """

    def __init__(self, project: str, *, reveal: bool) -> None:
        self._hashed = Telemetry("ops", "", project).hashed
        self._reveal = reveal

    def counts(self, dead_letters: Iterable[DeadLetter]) -> Table:
        """Count dead letters by kind, class and reason."""
        made = console.table("kind", "class", "reason", "count")
        counted = Counter((letter.kind, letter.error_class, letter.reason) for letter in dead_letters)
        for (kind, error_class, reason), count in sorted(counted.items()):
            made.add_row(kind, console.plain(error_class or "-"), console.plain(reason or "-"), str(count))
        return made

    def print_rows(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Print each dead letter in two lines: the first ends with the job id in one piece, the second explains.

        The first line fits in 80 columns; a longer job id is broken by the terminal alone, so that it can be copied.
        """
        if not dead_letters:
            return
        out = console.out()
        cells = [
            (console.clock_time(letter.arrived_at), letter.kind, letter.reason or "-", self._job_id(letter))
            for letter in dead_letters
        ]
        header = ("failed at", "kind", "reason", "job id")
        widths = [max(len(row[column]) for row in [header, *cells]) for column in range(3)]

        def line(row: Sequence[str]) -> str:
            return "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])

        out.print()
        out.print(console.plain(line(header)), soft_wrap=True, style="bold")
        for letter, row in zip(dead_letters, cells, strict=True):
            out.print(console.plain(line(row)), soft_wrap=True)
            if explanation := self.explanation(letter):
                out.print(Padding(console.plain(explanation), (0, 0, 0, 4), expand=False))

    def document(self, letter: DeadLetter) -> dict[str, Any]:
        """Describe one dead letter for JSON; ``data`` and ``attributes`` are what can be published again."""
        about: dict[str, Any] = {
            "kind": letter.kind,
            "job_id": self._job_id(letter),
            "job_id_in_logs": loggable_key(letter.job_id),
            "reason": letter.reason,
            "class": letter.error_class,
            **letter.details,
            "person": self._person(letter),
            "first_published_at": letter.first_published_at,
            "failed_at": letter.arrived_at,
            "message_id": letter.message_id,
        }
        attributes = redaction.attributes(letter.attributes, reveal=self._reveal)
        return {"dead_letter": about, "attributes": attributes, **self._data(letter)}

    def line(self, letter: DeadLetter) -> bytes:
        """Encode one dead letter as a line of JSON."""
        return msgspec.json.encode(self.document(letter)) + b"\n"

    def explanation(self, letter: DeadLetter) -> str:
        """Say in one line why the job failed: status, field, person and the function's sentence."""
        stated = {name: letter.details.get(name) for name in ("status", "field")} | {"person": self._person(letter)}
        words = ", ".join(f"{name} {value}" for name, value in stated.items() if value)
        return ": ".join(filter(None, [words, letter.details.get("message")]))

    def _data(self, letter: DeadLetter) -> dict[str, Any]:
        # A shape is not called data, so that it cannot be published by mistake.
        if not self._reveal:
            return {"data_shape": redaction.shape_of(letter.data)}
        try:
            return {"data": msgspec.json.decode(letter.data)}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {"data_base64": base64.b64encode(letter.data).decode()}

    def _job_id(self, letter: DeadLetter) -> str:
        return letter.job_id if self._reveal else loggable_key(letter.job_id)

    def _person(self, letter: DeadLetter) -> str:
        about = persons(letter.kind, letter.data, letter.attributes)
        return " ".join(about if self._reveal else (self._hashed(person) for person in about))
