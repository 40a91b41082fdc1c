"""Whether the ledger, which keeps sends from being repeated, can be written and read."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from ops import deadlines
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.target import Target
from shared.ledger import Claimed, Ledger, LedgerError, SQLiteLedger

_PROBE_KEY = "ops-self-test"
"""Reserved key: no job's key in the ledger is without the name of its function."""


def check_ledger(target: Target) -> Iterator[Finding]:
    """Claim a reserved key and release it, as the functions do for a send."""
    scheme, _, place = target.ledger.partition(":")
    check = f"ledger {place}"
    if scheme == "sqlite":
        if not Path(place).parent.exists():
            yield skipped(check, f"there is no {Path(place).parent} here: start the local stack with `make run`")
            return
        local = SQLiteLedger(place)
        try:
            yield _probe(check, local, "check its file, its permissions and the free disk space")
        finally:
            local.close()
        return
    from google.cloud.firestore import AsyncClient  # noqa: PLC0415

    from shared.ledger.firestore import FirestoreLedger  # noqa: PLC0415

    cloud = FirestoreLedger(lambda: AsyncClient(project=target.project, database=place))
    yield _probe(check, cloud, "run `terraform apply`, or check --project and --environment")


def _probe(check: str, ledger: Ledger, advice: str) -> Finding:
    async def claim_and_release() -> None:
        async with asyncio.timeout(deadlines.QUERY_SECONDS):
            claim = await ledger.claim(_PROBE_KEY, "", deadlines.QUERY_SECONDS)
            if isinstance(claim, Claimed):  # otherwise another doctor is at work, and wrote it
                await ledger.release(claim)

    try:
        asyncio.run(claim_and_release())
    except TimeoutError:
        return failed(check, f"does not answer within {deadlines.QUERY_SECONDS:g} s: {advice}")
    except LedgerError as error:
        if "PermissionDenied" in str(error):
            return skipped(check, "you may not write to it; only the functions may")
        return failed(check, f"{error}: {advice}")
    return ok(check, "can be written and read")
