"""Any order of calls, against a model of the promises that is written down apart from the code."""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from shared.ledger import AlreadyDone, Busy, Claimed, Conflict, SQLiteLedger
from tests.ledger.ledger_helpers import LEASE, LEASE_SECONDS, Clock


@dataclass
class Known:
    """What the model knows of a key."""

    fingerprint: str
    holder: Claimed
    until: datetime
    unknown: bool = False
    result: str | None = None


@dataclass(frozen=True)
class Held:
    key: str
    fingerprint: str
    claim: Claimed


class LedgerMachine(RuleBasedStateMachine):
    claims = Bundle("claims")
    ledgers = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = ExitStack()
        directory = self.cleanup.enter_context(tempfile.TemporaryDirectory())
        self.loop = self.cleanup.enter_context(closing(asyncio.new_event_loop()))
        self.clock = Clock()
        self.opened = [
            self.cleanup.enter_context(closing(SQLiteLedger(Path(directory) / "ledger", now=self.clock)))
            for _ in range(2)
        ]
        self.known: dict[str, Known] = {}

    def teardown(self) -> None:
        self.cleanup.close()

    def run[T](self, call: Awaitable[T]) -> T:
        return self.loop.run_until_complete(call)

    @rule(target=claims, ledger=ledgers, key=st.sampled_from("ab"), fingerprint=st.sampled_from(["f", "f", "f", "g"]))
    def claim(self, ledger: int, key: str, fingerprint: str) -> object:
        answer = self.run(self.opened[ledger].claim(key, fingerprint, LEASE_SECONDS))
        known = self.known.get(key)
        if known is not None and known.fingerprint != fingerprint:
            assert answer == Conflict()
        elif known is not None and known.result is not None:
            assert answer == AlreadyDone(known.result)
        elif known is not None and not known.unknown and self.clock() < known.until:
            assert answer == Busy(known.until)
        else:
            assert isinstance(answer, Claimed)
            assert answer.retaken == (known is not None)
            self.known[key] = Known(fingerprint, answer, self.clock() + LEASE)
            return Held(key, fingerprint, answer)
        return multiple()

    @rule(ledger=ledgers, held=claims, result=st.sampled_from(["r", "s"]))
    def finish(self, ledger: int, held: Held, result: str) -> None:
        self.run(self.opened[ledger].finish(held.claim, result))
        known = self.known.get(held.key)
        if known is not None and known.fingerprint == held.fingerprint and known.result is None:
            known.result = result

    @rule(ledger=ledgers, held=consumes(claims))
    def release(self, ledger: int, held: Held) -> None:
        self.run(self.opened[ledger].release(held.claim))
        known = self.known.get(held.key)
        if known is not None and known.holder is held.claim and not known.unknown and known.result is None:
            del self.known[held.key]

    @rule(ledger=ledgers, held=claims)
    def unknown(self, ledger: int, held: Held) -> None:
        self.run(self.opened[ledger].unknown(held.claim))
        known = self.known.get(held.key)
        if known is not None and known.holder is held.claim and known.result is None:
            known.unknown = True

    @rule(step=st.sampled_from([timedelta(seconds=1), LEASE - timedelta(seconds=1), LEASE]))
    def wait(self, step: timedelta) -> None:
        self.clock.advance(step)


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSQLiteLedgerModel = LedgerMachine.TestCase
