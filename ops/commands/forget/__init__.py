"""``forget``: somebody is deleted everywhere, with a receipt; and what is still to be done about others."""

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from ops import console, deadlines
from ops.app_api import Account, AppAPI
from ops.commands.dead_letters.options import YesOption
from ops.commands.forget import view
from ops.commands.forget.person import Person, TrackAPI, find_person
from ops.commands.forget.sweep import count, sweep
from ops.errors import OperatorError
from ops.jobs import read_person
from ops.ledger import LedgerStore
from ops.option_groups import with_option_groups
from ops.target import Target, Where
from shared.receipt import Receipt

_STATUS = "status"


@with_option_groups
def forget(
    account: Account,
    where: Where,
    person: Annotated[
        str,
        typer.Argument(
            metavar="PERSON|status",
            help="A value with @ is an email address, any other an id; id:VALUE, email:VALUE and cio_id:VALUE say "
            "which. The word status lists the open receipts and finishes what is due.",
        ),
    ],
    kind: Annotated[
        Literal["id", "email", "cio_id"] | None, typer.Option("--kind", help="What PERSON is.  [default: see there]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be deleted and change nothing.")] = False,
    yes: YesOption = False,
    as_json: console.JsonOption = False,
) -> None:
    """Forget a person: at Customer.io, in dead letters, ledger, stored state and BigQuery. Print the receipt.

    Without --yes, only count what would be deleted.
    Exit status 1 if something could not be done: run the command again, which goes on where it was.
    """
    target = account.on(where.target())
    with LedgerStore(target) as store:
        if person == _STATUS and kind is None:
            _status(target, store, as_json=as_json)
            return
        name, value = (kind, person) if kind else read_person(person)
        track_api = TrackAPI(target)
        with AppAPI(target) as app_api:
            found = find_person(app_api, name, value)
            receipt = _opened(target, store, found, track_api.state_key(found))
            if dry_run or not yes:
                _preview(target, store, receipt, is_dry_run=dry_run, as_json=as_json)
                return
            began = time.monotonic()
            store.run(lambda ledger: ledger.keep_receipt(receipt.person, receipt.encode()))
            store.run(lambda ledger: ledger.bury(receipt.person, receipt.marks, receipt.forgotten_at))
            track_api.forget(found)
            if app_api.person(name, value):
                raise OperatorError("Customer.io still shows the person: wait a minute, then run the command again.")
            receipt.note("customer.io", 1)
        _wait_for_functions(began)
        sweep(target, store, receipt)
        _print(target, receipt, as_json=as_json)


def _opened(target: Target, store: LedgerStore, person: Person, state_key: str) -> Receipt:
    fresh = Receipt.open(target.project, person.keys, state_key, datetime.now(UTC).replace(microsecond=0))
    text = store.run(lambda ledger: ledger.receipt(fresh.person))
    return Receipt.decode(text).reopened(fresh) if text else fresh


def _preview(target: Target, store: LedgerStore, receipt: Receipt, *, is_dry_run: bool, as_json: bool) -> None:
    counts = count(target, store, receipt)
    if as_json:
        console.print_json({"person": receipt.person, "state": "not begun", "would_delete": counts})
    else:
        print(", ".join(f"{number} {name}" for name, number in counts.items()))
    if not is_dry_run:
        console.note("Nothing was changed. --yes forgets this person.")


def _wait_for_functions(began: float) -> None:
    """Wait until every function knows the tombstones: then nothing new is written about the person."""
    left = began + deadlines.FUNCTIONS_KNOW_SECONDS - time.monotonic()
    if left > 0:
        console.note(f"Waiting {left:.0f} s until every function knows.")
        time.sleep(left)


def _status(target: Target, store: LedgerStore, *, as_json: bool) -> None:
    receipts = [Receipt.decode(text) for text in store.run(lambda ledger: ledger.receipts())]
    still_open = [receipt for receipt in receipts if receipt.due is not None]
    for receipt in still_open:
        if receipt.due is not None and receipt.due <= datetime.now(UTC):
            sweep(target, store, receipt)
    if as_json:
        console.print_json({"open": [view.document(target, receipt) for receipt in still_open], "kept": len(receipts)})
        return
    for receipt in still_open:
        view.show(target, receipt)
    complete = sum(receipt.due is None for receipt in still_open)
    left = len(still_open) - complete
    print(f"{len(receipts)} receipts kept, {complete} completed now, {left} open")


def _print(target: Target, receipt: Receipt, *, as_json: bool) -> None:
    if as_json:
        console.print_json(view.document(target, receipt))
    else:
        view.show(target, receipt)


def open_receipts(target: Target) -> str:
    """Say in one line how many people are not wholly forgotten yet; empty if there are none."""
    with LedgerStore(target) as store:
        due = [Receipt.decode(text).due for text in store.run(lambda ledger: ledger.receipts())]
    left = sorted(moment for moment in due if moment is not None)
    if not left:
        return ""
    people = "1 person is" if len(left) == 1 else f"{len(left)} people are"
    return f"{people} not wholly forgotten, due from {console.clock_time(left[0])}: run `python -m ops forget status`"
