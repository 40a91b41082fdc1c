"""The ledger's store for a command: one event loop, and failures as sentences."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from google.auth.exceptions import GoogleAuthError

from ops.errors import OperatorError, sentence
from ops.target import Target
from shared.ledger import LedgerError, SQLiteLedger, Tombstones


class LedgerStore:
    """Tombstones, receipts, claims and users' states of one environment.

    Args:
        target: Names the store.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._runner = asyncio.Runner()
        self._tombstones = _opened(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()
        if isinstance(self._tombstones, SQLiteLedger):
            self._tombstones.close()

    def run[T](self, work: Callable[[Tombstones], Awaitable[T]]) -> T:
        """Do one piece of work with the store.

        Raises:
            OperatorError: if the store does not answer, or may not be used.
        """

        async def done() -> T:
            return await work(self._tombstones)

        try:
            return self._runner.run(done())
        except LedgerError as error:
            advice = "check --project and --environment"
            if "PermissionDenied" in str(error):
                advice = "you may not use it: Terraform's variable `privacy_officers` grants it"
            raise OperatorError(f"{self._target.ledger}: {error}; {advice}.") from None
        except GoogleAuthError as error:
            raise OperatorError(sentence(error)) from None


def _opened(target: Target) -> Tombstones:
    scheme, _, place = target.ledger.partition(":")
    if scheme == "sqlite":
        if not Path(place).parent.exists():
            raise OperatorError(f"There is no {Path(place).parent} here: start the local stack with `make run`.")
        return SQLiteLedger(place)
    from google.cloud.firestore import AsyncClient  # noqa: PLC0415

    from shared.ledger.firestore import FirestoreLedger  # noqa: PLC0415

    return FirestoreLedger(lambda: AsyncClient(project=target.project, database=place))
