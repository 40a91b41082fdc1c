"""One run of an import: rows are read, checked and published in batches, each confirmed before the next."""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from ops import clients, deadlines, job_builder
from ops.commands.importing.checkpoint import Checkpoint, Entry, digest
from ops.commands.importing.refusals import Refusals
from ops.publishing import ConfirmedPublisher, Outgoing, batches
from ops.rows import Row
from ops.target import Target
from shared.jobs import InvalidJob
from shared.topology import topology

_BATCH_ROWS = 500
# The derived id takes this place after the check, unless the row has one of its own.
_NO_JOB_ID = {"job_id": ""}


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of the rows. Rows about the same person are in the same part.

    Args:
        number: Which part, from 1.
        count: Number of parts.
    """

    number: int = 1
    count: int = 1

    def has(self, key: bytes) -> bool:
        return self.count == 1 or zlib.crc32(key) % self.count == self.number - 1


@dataclass(frozen=True, slots=True)
class _Job:
    row: Row
    job: job_builder.Job
    key: bytes
    content: bytes


class Import:
    """The rows of one import.

    Args:
        kind: Kind of the jobs.
        attributes: Attributes of every job.
        shard: The part of the rows that this run is about.
        refusals: Where refused rows go.
        advance: Called after each batch, to show how far the run is.
    """

    def __init__(
        self,
        kind: str,
        attributes: Mapping[str, str],
        shard: Shard,
        refusals: Refusals,
        advance: Callable[["Import"], None],
    ) -> None:
        self.count: Counter[str] = Counter(rows=0, published=0, unchanged=0, not_published=0)
        self.refusals = refusals
        self.problems: Counter[str] = Counter()
        self._kind = kind
        self._attributes = {**_NO_JOB_ID, **attributes}
        self._shard = shard
        self._advance = advance

    def check(self, rows: Iterable[Row]) -> None:
        """Check the rows only."""
        for batch in batched(rows, _BATCH_ROWS, strict=False):
            for _ in self._jobs(batch):
                pass
            self._advance(self)

    def publish(
        self, rows: Iterable[Row], target: Target, checkpoint: Checkpoint, identity: str, rate: float | None
    ) -> None:
        """Publish the rows that the checkpoint does not have.

        Args:
            rows: The rows.
            target: Where the topic is.
            checkpoint: What was published before.
            identity: What the import is; job ids derive from it.
            rate: Most jobs per second, or None.

        Raises:
            UnreachableError: if Pub/Sub does not answer, or stops answering.
        """
        topic = target.topic(topology().topics[self._kind].name)
        pace = _Pace(rate)
        with ConfirmedPublisher(clients.publisher(target)) as publisher:
            for batch in batches(rows, pace.batch_rows, lambda row: len(row.text)):
                jobs = list(self._jobs(batch))
                entries = checkpoint.pending([(job.key, job.content) for job in jobs])
                fresh = [(job, entry) for job, entry in zip(jobs, entries, strict=True) if entry is not None]
                self.count["unchanged"] += len(jobs) - len(fresh)
                self._publish(fresh, topic, publisher, checkpoint, identity)
                self._advance(self)
                if publisher.is_unreachable:
                    raise clients.pubsub_unreachable(target)
                pace.wait(len(fresh))

    def _publish(
        self,
        fresh: Sequence[tuple[_Job, Entry]],
        topic: str,
        publisher: ConfirmedPublisher,
        checkpoint: Checkpoint,
        identity: str,
    ) -> None:
        problems = publisher.publish([_outgoing(each.job, topic, entry.job_id(identity)) for each, entry in fresh])
        checkpoint.confirm([entry for (_, entry), problem in zip(fresh, problems, strict=True) if not problem])
        self.problems.update(filter(None, problems))
        self.count["published"] += problems.count("")
        self.count["not_published"] += len(problems) - problems.count("")

    def _jobs(self, rows: Iterable[Row]) -> Iterator[_Job]:
        """The valid jobs of this shard; the others are counted or left to theirs."""
        for row in rows:
            try:
                if row.problem is not None:
                    raise row.problem
                job = job_builder.build(self._kind, row.text, self._attributes)
            except InvalidJob as error:
                if self._shard.has(str(row.number).encode()):
                    self.count["rows"] += 1
                    self.refusals.add(row, error)
                continue
            content = digest(job.data, *(f"{name}={value}".encode() for name, value in sorted(job.attributes.items())))
            # A job of an ordered kind is known by whom it is about, any other by the publisher's key or its content.
            own = job.attributes["job_id"] or job.ordering_key
            key = digest(own.encode()) if own else content
            if self._shard.has(job.ordering_key.encode() or key):
                self.count["rows"] += 1
                yield _Job(row, job, key, content)


class _Pace:
    """Keeps an import below its rate.

    Args:
        rate: Most jobs per second, or None for no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._free_at = time.monotonic()

    @property
    def batch_rows(self) -> int:
        """Rows of one batch: few where the rate is low, so that they do not leave in bursts."""
        if self._rate is None:
            return _BATCH_ROWS
        return max(1, min(_BATCH_ROWS, int(self._rate * deadlines.RATE_STEP_SECONDS)))

    def wait(self, published: int) -> None:
        if self._rate is None:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now - deadlines.RATE_STEP_SECONDS) + published / self._rate
        time.sleep(max(0.0, self._free_at - now))


def _outgoing(job: job_builder.Job, topic: str, job_id: str) -> Outgoing:
    attributes = job.attributes | {"job_id": job.attributes["job_id"] or job_id}
    return Outgoing(topic, job.data, attributes, job.ordering_key)
