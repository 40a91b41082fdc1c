"""Whether somebody who was to be forgotten still waits for the rest of it."""

from collections.abc import Iterator

from ops.commands.doctor.finding import Finding, ok
from ops.commands.forget import open_receipts
from ops.errors import OperatorError
from ops.target import Target


def check_forgetting(target: Target) -> Iterator[Finding]:
    """Read the receipts. An open one is no failure: BigQuery takes its time."""
    try:
        line = open_receipts(target)
    except OperatorError:
        return  # the check of the ledger says why it cannot be asked
    yield ok("forget", line or "nobody waits to be forgotten")
