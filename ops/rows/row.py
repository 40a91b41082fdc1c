"""One row as the text of one job, and the form that a flat record takes as a job's body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.jobs import InvalidJob

_IDENTIFIERS = ("id", "email", "cio_id", "phone")
# Numbers as BigQuery's NUMERIC has them stay numbers.
encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Args:
        number: Line of a file, or number of a table's row, from 1.
        text: A job's body as JSON, or ``{"data": body, "attributes": {...}}``.
        problem: Why there is no such text, or None.
    """

    number: int
    text: bytes = field(repr=False)
    problem: InvalidJob | None = None


def body(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Make a job's body from a flat record: a CSV row or the columns of a table.

    An identify job takes the first of id, email, cio_id and phone as the identifier, and the rest as attributes, unless
    the record has ``identifiers`` itself. Other kinds are taken as they are.
    """
    if kind != "identify" or "identifiers" in record:
        return dict(record)
    name = next((each for each in _IDENTIFIERS if each in record), None)
    identifiers = {} if name is None else {name: record[name]}
    return {"identifiers": identifiers, "attributes": {key: record[key] for key in record if key != name}}
