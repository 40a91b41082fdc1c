"""One pass through the stores: everything about the person of a receipt is counted, or deleted and noted in it."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx

from ops import deadlines
from ops.commands.forget.letters import delete_dead_letters
from ops.commands.forget.rows import Rows
from ops.ledger import LedgerStore
from ops.target import Target
from shared.receipt import Receipt

_STREAMING_BUFFER = timedelta(minutes=deadlines.STREAMING_BUFFER_MINUTES)


def count(target: Target, store: LedgerStore, receipt: Receipt) -> dict[str, int]:
    """Count what a pass would delete, by store."""
    with closing(Rows(target, receipt)) as rows:
        rows.learn()
        letters = delete_dead_letters(target, receipt, dry_run=True)
        claimed = rows.claims()
        claims, states = store.run(lambda ledger: ledger.erase(claimed, receipt.states, dry_run=True))
        return {"dead_letters": letters, "claims": claims, "profiles": states, **rows.count()}


def sweep(target: Target, store: LedgerStore, receipt: Receipt) -> None:
    """Delete, note the numbers in the receipt, and keep it. It is due again as long as rows are left.

    BigQuery comes last: its rows tell what the other stores are searched for.
    """
    was_due = receipt.due is not None and receipt.due <= datetime.now(UTC)
    with closing(Rows(target, receipt)) as rows:
        rows.learn()
        store.run(lambda ledger: ledger.bury(receipt.person, receipt.marks, receipt.forgotten_at))
        _kept(store, receipt)  # what was learned is not learned again if the pass ends here
        receipt.note("dead_letters", delete_dead_letters(target, receipt, dry_run=False))
        claimed = rows.claims()
        claims, states = store.run(lambda ledger: ledger.erase(claimed, receipt.states))
        receipt.note("claims", claims)
        receipt.note("profiles", states)
        for table, number in rows.delete().items():
            receipt.note(table, number)
        left = sum(rows.count().values())
        is_done = not left and "customer.io" in receipt.stores and (was_due or not rows.has_streaming_buffer)
    if host := target.environment.get("BIGQUERY_EMULATOR_HOST"):
        _compact(host)
    receipt.due = None if is_done else datetime.now(UTC).replace(microsecond=0) + _STREAMING_BUFFER
    if is_done:
        receipt.deliveries = []
    _kept(store, receipt)


def _kept(store: LedgerStore, receipt: Receipt) -> None:
    store.run(lambda ledger: ledger.keep_receipt(receipt.person, receipt.encode()))


def _compact(host: str) -> None:
    """Have the local BigQuery overwrite the files of deleted rows. Another emulator has no such thing."""
    httpx.post(f"{host}/_local/compact", timeout=deadlines.COMPACT_SECONDS, trust_env=False)
