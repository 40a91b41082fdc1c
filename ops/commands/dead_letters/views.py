"""Dead letters on the screen, and as lines of JSON."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.table import Table

from ops import screen
from ops.dead_letters import redaction
from ops.dead_letters.letter import DeadLetter
from ops.jobs import persons
from shared.redaction import loggable_key
from shared.telemetry import Telemetry


class View:
    """Shows dead letters as far as the reader may see them.

    Args:
        project: whose logs name persons by the same hash.
        reveal: whether to show what jobs hold.
    """

    def __init__(self, project: str, *, reveal: bool) -> None:
        self._hashed = Telemetry("ops", "", project).hashed
        self._reveal = reveal

    def counts(self, letters: Iterable[DeadLetter]) -> Table:
        """How many of each kind, class and reason."""
        made = screen.table("kind", "class", "reason", "count")
        counted = Counter((letter.kind, letter.error_class, letter.reason) for letter in letters)
        for (kind, error_class, reason), count in sorted(counted.items()):
            made.add_row(kind, screen.plain(error_class or "-"), screen.plain(reason or "-"), str(count))
        return made

    def rows(self, letters: Sequence[DeadLetter]) -> Table:
        """One row each."""
        made = screen.table("failed at", "kind", "job id", "reason", "status", "field", "person", "message")
        for letter in letters:
            made.add_row(
                screen.clock_time(letter.arrived_at),
                letter.kind,
                *(
                    screen.plain(text or "-")
                    for text in (
                        self._job_id(letter),
                        letter.reason,
                        letter.details.get("status"),
                        letter.details.get("field"),
                        self._person(letter),
                        letter.details.get("message"),
                    )
                ),
            )
        return made

    def whole(self, letter: DeadLetter) -> str:
        """Everything about one, as JSON to read."""
        return msgspec.json.format(msgspec.json.encode(self._object(letter)), indent=2).decode()

    def line(self, letter: DeadLetter) -> bytes:
        """Everything about one, as a line of JSON: ``data`` and ``attributes`` are what can be published again."""
        return msgspec.json.encode(self._object(letter)) + b"\n"

    def _object(self, letter: DeadLetter) -> dict[str, Any]:
        return {
            "dead_letter": {
                "kind": letter.kind,
                "job_id": self._job_id(letter),
                "reason": letter.reason,
                "class": letter.error_class,
                **letter.details,
                "person": self._person(letter),
                "first_published_at": letter.first_published_at,
                "failed_at": letter.arrived_at,
                "message_id": letter.message_id,
            },
            "attributes": redaction.attributes(letter.attributes, reveal=self._reveal),
            **self._data(letter),
        }

    def _data(self, letter: DeadLetter) -> dict[str, Any]:
        # A shape is never called data: it could be published by mistake.
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
