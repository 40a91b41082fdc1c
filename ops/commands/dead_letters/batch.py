"""The dead letters of one or all kinds: leased, filtered, and given back at the end."""

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ops import clients, console
from ops.backlog import LocalBroker
from ops.commands.dead_letters.dead_letter import DeadLetter, read_dead_letter
from ops.commands.dead_letters.leases import LeasedMessages
from ops.target import Target
from shared.topology import topology


@dataclass(frozen=True, slots=True)
class Batch:
    """Dead letters under lease.

    Args:
        leases: The leased messages by kind.
        dead_letters: All of them.
        matching: Those that match the filters.
        problems: Number of matching ones that could not be taken off, by reason.
    """

    leases: dict[str, LeasedMessages]
    dead_letters: Sequence[DeadLetter]
    matching: Sequence[DeadLetter]
    problems: Counter[str] = field(default_factory=Counter)

    @property
    def pulled(self) -> int:
        return sum(leased.pulled for leased in self.leases.values())

    @property
    def acknowledged(self) -> int:
        return sum(leased.acknowledged for leased in self.leases.values())

    @property
    def released(self) -> int:
        """How many were given back; known once the batch is closed."""
        return sum(leased.released for leased in self.leases.values())

    def note_what_was_read(self) -> None:
        """Say how many dead letters there are, how many match, and whether there may be more."""
        matching = len(self.matching)
        console.note(f"{self.pulled} waiting" + (f", {matching} matching" if matching != self.pulled else ""))
        for kind, leased in self.leases.items():
            if leased.is_cut_short:
                console.note(f"Stopped at --limit {leased.pulled}: more of {kind} may wait.")

    def acknowledge(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Remove dead letters for good.

        Raises:
            GoogleAPICallError: if some of them stay.
        """
        for kind, leased in self.leases.items():
            leased.acknowledge([letter.message_id for letter in dead_letters if letter.kind == kind])


@contextmanager
def open_batch(
    target: Target, kinds: Sequence[str], selection: Container[DeadLetter], *, wait: float, limit: int
) -> Iterator[Batch]:
    """Lease every dead letter. What was not acknowledged is given back, also after an error or Ctrl-C.

    Args:
        target: Where to read.
        kinds: Kinds of jobs.
        selection: The filters; tells whether a dead letter matches.
        wait: Seconds without a message after which a subscription counts as read to its end.
        limit: Most dead letters to lease per kind.
    """
    puller, settler = clients.subscriber(target), clients.subscriber(target)
    admin_url = target.environment.get("PUBSUB_ADMIN_URL") if target.is_local else None
    broker = LocalBroker(admin_url) if admin_url else None

    def leased(kind: str) -> LeasedMessages:
        subscription = target.subscription(topology().topics[kind].dead_letter_name)
        undelivered = (lambda: broker.has_undelivered(subscription)) if broker else (lambda: None)
        return LeasedMessages(puller, settler, subscription, wait=wait, limit=limit, has_undelivered=undelivered)

    with ExitStack() as stack:
        stack.callback(settler.transport.close)
        leases = {kind: stack.enter_context(leased(kind)) for kind in kinds}
        stack.callback(puller.transport.close)
        dead_letters = _read(leases, puller.transport.close)
        yield Batch(leases, dead_letters, [letter for letter in dead_letters if letter in selection])


def _read(leases: dict[str, LeasedMessages], stop_pulling: Callable[[], object]) -> list[DeadLetter]:
    def one(item: tuple[str, LeasedMessages]) -> list[DeadLetter]:
        kind, leased = item
        return [read_dead_letter(kind, message) for message in leased.collect()]

    with ThreadPoolExecutor(len(leases), thread_name_prefix="pull") as threads:
        try:
            return [letter for letters in threads.map(one, leases.items()) for letter in letters]
        except BaseException:
            # Ctrl-C and errors reach this thread alone. The others must end before the leases are given back.
            for leased in leases.values():
                leased.stop()
            stop_pulling()
            raise
