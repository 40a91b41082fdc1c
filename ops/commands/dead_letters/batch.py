"""The dead letters of one or all kinds, open: read, chosen from, and given back at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ops import google, screen
from ops.dead_letters.backlog import Backlog
from ops.dead_letters.letter import DeadLetter, read_dead_letter
from ops.dead_letters.options import Reading
from ops.target import Target
from shared.topology import topology


@dataclass(frozen=True, slots=True)
class Opened:
    """Dead letters under lease.

    Args:
        backlogs: by kind.
        letters: all of them.
        chosen: those that the filters choose.
        problems: what kept chosen ones from being taken off, counted.
    """

    backlogs: dict[str, Backlog]
    letters: Sequence[DeadLetter]
    chosen: Sequence[DeadLetter]
    problems: Counter[str] = field(default_factory=Counter)

    @property
    def pulled(self) -> int:
        return sum(backlog.pulled for backlog in self.backlogs.values())

    @property
    def acknowledged(self) -> int:
        return sum(backlog.acknowledged for backlog in self.backlogs.values())

    @property
    def released(self) -> int:
        """How many were given back; known after the end."""
        return sum(backlog.released for backlog in self.backlogs.values())

    def say_what_was_read(self) -> None:
        """Say how many there are, and whether there may be more."""
        screen.say(f"{self.pulled} waiting, {len(self.chosen)} chosen")
        for kind, backlog in self.backlogs.items():
            if backlog.is_cut_short:
                screen.say(f"more of {kind} may wait: --limit {backlog.pulled} was reached")

    def acknowledge(self, letters: Sequence[DeadLetter]) -> None:
        """Take dead letters off for good.

        Raises:
            GoogleAPICallError: some of them stay.
        """
        for kind, backlog in self.backlogs.items():
            backlog.acknowledge([letter.message_id for letter in letters if letter.kind == kind])


@contextmanager
def opened(target: Target, reading: Reading) -> Iterator[Opened]:
    """Read everything that waits, and give back at the end what was not acknowledged, also after an error or Ctrl-C."""
    subscriber = google.subscriber()
    with ExitStack() as stack:
        backlogs = {
            kind: stack.enter_context(
                Backlog(
                    subscriber,
                    target.subscription(topology().topics[kind].dead_letter_name),
                    wait=reading.wait,
                    limit=reading.limit,
                )
            )
            for kind in reading.kinds
        }
        letters = _read(backlogs)
        yield Opened(backlogs, letters, [letter for letter in letters if letter in reading.selection])


def _read(backlogs: dict[str, Backlog]) -> list[DeadLetter]:
    def one(item: tuple[str, Backlog]) -> list[DeadLetter]:
        kind, backlog = item
        return [read_dead_letter(kind, message) for message in backlog.collect()]

    with ThreadPoolExecutor(len(backlogs), thread_name_prefix="pull") as threads:
        try:
            return [letter for letters in threads.map(one, backlogs.items()) for letter in letters]
        except BaseException:
            # Ctrl-C and errors reach this thread alone; the others are to end before the leases are given back.
            for backlog in backlogs.values():
                backlog.stop()
            raise
