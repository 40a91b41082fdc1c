"""Jobs that are done once, and a look into the ledger that sees to it."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.handlers.handler_helpers import Around, Push

LETTER = {"identifiers": {"id": "42"}, "transactional_message_id": 1, "to": "ada@example.com"}
JOBS = {
    "send": Push(LETTER, {"job_id": "j-1"}),
    "broadcast": Push({"broadcast_id": 12, "ids": ["1"]}, {"job_id": "j-1"}),
}
AT_MOST_ONCE = {
    kind: Push(job.data, {**job.attributes, "delivery_guarantee": "at_most_once"}) for kind, job in JOBS.items()
}
every_kind = pytest.mark.parametrize("kind", JOBS)
UNDECIDED = {
    "class": "unknown_outcome",
    "reason": "unknown_outcome",
    "message": "it may or may not have been sent: look in Customer.io, then replay or discard",
    "delivery_guarantee": "at_most_once",
}


def another_body(kind: str) -> dict[str, Any]:
    """A body that differs from that of ``JOBS``."""
    job = JOBS[kind].data
    assert isinstance(job, dict)
    return {**job, **({"language": "de"} if kind == "send" else {"data": {"season": "spring"}})}


def execute(around: Around, statement: str) -> list[tuple[str, ...]]:
    """Look into the ledger, or change it behind its back."""
    with closing(sqlite3.connect(around.ledger_file)) as file, file:
        return file.execute(statement).fetchall()


def killed_during_the_call(around: Around) -> None:
    """The ledger as a function leaves it that was killed before it could write down what came of its call."""
    execute(around, "UPDATE claims SET state = 'claimed', result = ''")
