"""Putting dead letters back on the topic they came from.

A message leaves the dead-letter subscription only after Pub/Sub confirmed its copy on the topic. What happens between
the two is harmless: the copy has the ``job_id`` of the original, and is known by it to whatever was applied before.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ops.dead_letters.letter import DeadLetter
from ops.sending import REQUEST_MESSAGES, Outgoing, Sender, steps

_STEP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Changes:
    """What a replay changes about a job.

    Args:
        guarantee: a new ``delivery_guarantee``, of jobs alone whose outcome is unknown; they would come back otherwise.
        expires_at: a new ``expires_at``.
        drop_expiry: no ``expires_at`` any more.
    """

    guarantee: str | None = None
    expires_at: str | None = None
    drop_expiry: bool = False

    def attributes(self, letter: DeadLetter) -> dict[str, str]:
        """The attributes to publish a dead letter with: the job's own, changed, and when it was first published.

        By that time an event keeps its place and its id, and a job that nobody named keeps its key.
        """
        attributes = dict(letter.attributes)
        if self.guarantee is not None and letter.error_class == "unknown_outcome":
            attributes["delivery_guarantee"] = self.guarantee
        if self.expires_at is not None:
            attributes["expires_at"] = self.expires_at
        if self.drop_expiry:
            attributes.pop("expires_at", None)
        return attributes


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a replay: ``confirmed`` are on their topic now; ``refused`` are not, for all that is known."""

    confirmed: Sequence[DeadLetter]
    refused: Sequence[tuple[DeadLetter, str]]


def replay(
    letters: Sequence[DeadLetter],
    changes: Changes,
    sender: Sender,
    topics: Mapping[str, str],
    *,
    rate: float,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[Step]:
    """Publish dead letters anew, oldest first, and say after each step what became of it.

    Args:
        letters: of any kinds.
        changes: to each of them.
        sender: publishes.
        topics: ``projects/P/topics/T`` by kind.
        rate: messages per second, at the most.
        pause: waits so many seconds; given by tests.
    """
    size = max(1, min(REQUEST_MESSAGES, int(rate * _STEP_SECONDS)))
    due = time.monotonic()
    ordered = sorted(letters, key=attrgetter("first_published_at"))
    for some in steps(ordered, size, lambda letter: len(letter.data)):
        pause(max(0.0, due - time.monotonic()))
        due = time.monotonic() + len(some) / rate
        problems = sender.send(
            [
                Outgoing(topics[letter.kind], letter.data, changes.attributes(letter), letter.ordering_key)
                for letter in some
            ]
        )
        fates = list(zip(some, problems, strict=True))
        yield Step([letter for letter, problem in fates if not problem], [fate for fate in fates if fate[1]])
