"""An export of people, read by the names of its columns, in files that BigQuery loads."""

import csv
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ops.commands.reconcile import values
from ops.errors import OperatorError

_MAX_CELL_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class People:
    """What was read.

    Args:
        count: Number of people.
        absent: Attributes that were asked for and are no columns of the export.
    """

    count: int
    absent: list[str]


def write(export: Path, names: set[str], people: Path, attributes: Path) -> People:
    """Write one line per person, with all cells as they came, and one per wanted attribute that is not empty.

    Args:
        export: The CSV file.
        names: Names of the wanted attributes.
        people: File for the people.
        attributes: File for their attributes.

    Raises:
        OperatorError: if the file has no column ``id``.
    """
    csv.field_size_limit(_MAX_CELL_BYTES)
    count = 0
    with (
        export.open(encoding="utf-8-sig", errors="replace", newline="") as text,
        people.open("wb") as people_file,
        attributes.open("wb") as attributes_file,
    ):
        reader = csv.reader(text)
        header = [name.strip() for name in next(reader, [])]
        if "id" not in header:
            raise OperatorError("The export of people has no column id: Customer.io changed its form.")
        for count, row in enumerate(filter(None, reader), 1):
            cells = dict(zip(header, row, strict=False))
            line = {
                "person": count,
                "id": cells.get("id") or None,
                "email": cells.get("email", "").lower() or None,
                "cio_id": cells.get("cio_id") or None,
                "raw": msgspec.json.encode(cells).decode(),
            }
            people_file.write(msgspec.json.encode(line) + b"\n")
            for name, value in values.found_texts(cells, names).items():
                found = {"person": count, "name": name, "value": value}
                attributes_file.write(msgspec.json.encode(found) + b"\n")
    return People(count, sorted(set(values.columns(names)) - set(header)))
