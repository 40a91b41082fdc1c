"""Put dead letters back on the topic they came from.

A message leaves the dead-letter subscription only after Pub/Sub confirmed its copy on the topic. A command that dies
between the two does no harm: the copy has the same ``job_id``, so what was applied before is recognised.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ops import deadlines
from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.publishing import MAX_REQUEST_MESSAGES, ConfirmedPublisher, Outgoing, batches


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that a replay makes to a job.

    Args:
        guarantee: New ``delivery_guarantee``, only for jobs whose outcome is unknown; they would come back otherwise.
        expires_at: New ``expires_at``.
        drop_expiry: Whether to remove ``expires_at``.
    """

    guarantee: str | None = None
    expires_at: str | None = None
    drop_expiry: bool = False

    def attributes(self, letter: DeadLetter) -> dict[str, str]:
        """Give the attributes to publish: the job's own, its key and first publish time included, with the changes."""
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
    """One step of a replay.

    Args:
        confirmed: Dead letters that are on their topic now.
        refused: Dead letters that were not confirmed, each with the type of error.
    """

    confirmed: Sequence[DeadLetter]
    refused: Sequence[tuple[DeadLetter, str]]


def republish(
    letters: Sequence[DeadLetter],
    changes: Changes,
    publisher: ConfirmedPublisher,
    topics: Mapping[str, str],
    *,
    rate: float,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[Step]:
    """Publish dead letters again, oldest first, in steps of a tenth of a second.

    Args:
        letters: Dead letters of any kinds.
        changes: Changes to each of them.
        publisher: Publishes them.
        topics: ``projects/P/topics/T`` by kind.
        rate: Most messages per second.
        pause: Waits a number of seconds; for tests.
    """
    size = max(1, min(MAX_REQUEST_MESSAGES, int(rate * deadlines.RATE_STEP_SECONDS)))
    due = time.monotonic()
    ordered = sorted(letters, key=attrgetter("first_published_at"))
    for some in batches(ordered, size, lambda letter: len(letter.data)):
        pause(max(0.0, due - time.monotonic()))
        due = time.monotonic() + len(some) / rate
        problems = publisher.publish(
            [
                Outgoing(topics[letter.kind], letter.data, changes.attributes(letter), letter.ordering_key)
                for letter in some
            ]
        )
        results = list(zip(some, problems, strict=True))
        yield Step([letter for letter, problem in results if not problem], [pair for pair in results if pair[1]])
