"""What mends the differences: merges of orphans with a twin, forced syncs, and deletions where they are asked for."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any

import msgspec

from ops import clients, deadlines, job_builder
from ops.app_api import MAX_LOOKUPS, AppAPI
from ops.errors import OperatorError
from ops.publishing import ConfirmedPublisher, Outgoing, batches
from ops.scratch_tables import Tables
from ops.target import Target
from shared.jobs import InvalidJob
from shared.topology import topology

_BATCH_JOBS = 500
_BULK = {"priority": "bulk"}
# A file that lacks half of the users is more likely to be cut off than right.
_MAX_DELETED_SHARE = 0.5
# Records that a forced sync mends. A merge can bring values of the orphan: its record is written again after it.
_SYNCED = """
FROM {records} AS records WHERE records.state != 'deleted' AND (
  id IN (SELECT id FROM {missing}) OR id IN (SELECT id FROM {differences})
  OR id IN (SELECT twin FROM {orphans} WHERE twin IS NOT NULL)
)
"""
_MERGED = "FROM {orphans} WHERE twin IS NOT NULL"
_DELETED = "FROM {orphans} WHERE twin IS NULL AND twins = 0"
# A user whose record says deleted is suppressed too, so that a late job does not bring them back: sync does both.
_FORGOTTEN = "FROM {records} AS records WHERE line IN (SELECT line FROM {orphans} WHERE is_deleted)"
_COUNTS = f"""
SELECT
  (SELECT COUNT(*) {_SYNCED}) AS syncs,
  (SELECT COUNT(*) {_MERGED}) AS merges,
  (SELECT COUNT(*) {_DELETED}) AS orphans,
  (SELECT COUNT(*) FROM {{orphans}} WHERE twins > 1) AS undecided,
  (SELECT COUNT(*) FROM {{conflicts}} WHERE side = 'records') AS shared,
  (SELECT COUNT(*) FROM {{conflicts}} WHERE side = 'people' AND email NOT IN (
    SELECT email FROM {{orphans}} WHERE email IS NOT NULL
  )) AS kept,
  (SELECT COUNT(*) FROM {{differences}} WHERE consents > 0 AND NOT opted_out) AS opt_ins
"""  # noqa: S608 - of constants only


@dataclass(frozen=True, slots=True)
class Plan:
    """How many jobs mend the differences, and what they leave.

    Args:
        syncs: Records to sync by force.
        merges: Orphans to merge into the record's person.
        deletions: People to delete; 0 unless deletions were asked for.
        not_mended: A sentence for each kind of difference that stays.
        opt_ins: Number of people whose opt-out at Customer.io the records take back.
    """

    syncs: int
    merges: int
    deletions: int
    not_mended: list[str]
    opt_ins: int

    def as_json(self) -> dict[str, Any]:
        return {
            "syncs": self.syncs,
            "merges": self.merges,
            "deletions": self.deletions,
            "not_mended": self.not_mended,
            "opt_outs_taken_back": self.opt_ins,
        }


def plan(tables: Tables, *, people: int, unknown: int, delete_orphans: bool) -> Plan:
    """Count what is to be done.

    Args:
        tables: The tables that ``compare`` made.
        people: Number of people at Customer.io.
        unknown: Number of refused rows without an id.
        delete_orphans: Whether people without a record are to be deleted.

    Raises:
        OperatorError: if the deletions would be too many, or a refused row may be about somebody who would be deleted.
    """
    count = next(tables.query(_COUNTS))
    orphans = int(count["orphans"])
    if delete_orphans and orphans and unknown:
        raise OperatorError(
            f"{unknown} refused rows have no id: correct them before --delete-orphans, or their people are deleted."
        )
    if delete_orphans and orphans > people * _MAX_DELETED_SHARE:
        raise OperatorError(
            f"--delete-orphans would delete {orphans} of {people} people: check that the records are all there."
        )
    return Plan(
        syncs=count["syncs"],
        merges=count["merges"],
        deletions=orphans if delete_orphans else 0,
        not_mended=[
            f"{number} {text}."
            for number, text in (
                (
                    0 if delete_orphans else orphans,
                    "people have no record, or are deleted here: --delete-orphans deletes them",
                ),
                (
                    count["undecided"],
                    "orphans have the address of several records: decide whose it is, then merge by hand",
                ),
                (count["shared"], "addresses belong to several records here: Customer.io gives one person the address"),
                (count["kept"], "addresses belong to several people who all have a record: correct the records"),
            )
            if number
        ],
        opt_ins=count["opt_ins"],
    )


def mend(tables: Tables, wanted: Plan, app_api: AppAPI, target: Target, note: Callable[[str], None]) -> int:
    """Publish the jobs of a plan: merges first, syncs when the merges are done, deletions last.

    Args:
        tables: The tables that ``compare`` made.
        wanted: The plan.
        app_api: Tells whether the merged people are gone.
        target: Where the topics are.
        note: Takes a sentence for the operator.

    Returns:
        How many jobs were not published.

    Raises:
        UnreachableError: if Pub/Sub does not answer, or stops answering.
    """
    failed = 0
    with ConfirmedPublisher(clients.publisher(target)) as publisher:
        if wanted.merges:
            failed += _publish(publisher, target, "identify", _merge_jobs(tables))
            left = _wait_for_merges(tables, app_api)
            if left:
                note(f"{left} merges are not seen at Customer.io yet: run reconcile again later.")
        failed += _publish(publisher, target, "sync", _forced(tables, _SYNCED))
        if wanted.deletions:
            failed += _publish(publisher, target, "sync", _forced(tables, _FORGOTTEN))
            failed += _publish(publisher, target, "identify", _delete_jobs(tables))
    return failed


def _forced(tables: Tables, records: str) -> Iterator[dict[str, Any]]:
    """The records, to be applied although sync may know no change of them."""
    for row in tables.query(f"SELECT records.data {records}"):
        yield msgspec.json.decode(row["data"]) | {"force": True}


def _merge_jobs(tables: Tables) -> Iterator[dict[str, Any]]:
    """Jobs of one ordering key each pair: a merge does nothing unless both people exist."""
    for row in tables.query(f"SELECT id, email, cio_id, twin {_MERGED} ORDER BY twin, label"):
        yield {"identifiers": {"id": row["twin"]}, "attributes": {}}
        yield {"action": "merge", "primary": {"id": row["twin"]}, "secondary": _identifier(row)}


def _delete_jobs(tables: Tables) -> Iterator[dict[str, Any]]:
    for row in tables.query(f"SELECT id, email, cio_id {_DELETED} AND NOT is_deleted ORDER BY label"):
        yield {"action": "delete", "identifiers": _identifier(row)}


def _identifier(row: dict[str, Any]) -> dict[str, str]:
    """The identifier that means this person only: several people may have one address."""
    name = next(each for each in ("id", "cio_id", "email") if row[each] is not None)
    return {name: row[name]}


def _wait_for_merges(tables: Tables, app_api: AppAPI) -> int:
    """Wait until the merged people are gone; how many are left when the time is over."""
    left = [str(row["cio_id"]) for row in tables.query(f"SELECT cio_id {_MERGED}") if row["cio_id"] is not None]
    give_up = time.monotonic() + deadlines.MERGE_SECONDS
    while left:
        left = [each for part in batched(left, MAX_LOOKUPS, strict=False) for each in app_api.existing("cio_id", part)]
        if not left or time.monotonic() > give_up:
            break
        time.sleep(deadlines.MERGE_PAUSE_SECONDS)
    return len(left)


def _publish(publisher: ConfirmedPublisher, target: Target, kind: str, bodies: Iterable[dict[str, Any]]) -> int:
    """Publish jobs of one kind; how many were not published."""
    topic = target.topic(topology().topics[kind].name)
    failed = 0
    for batch in batches(map(msgspec.json.encode, bodies), _BATCH_JOBS, len):
        jobs = []
        for body in batch:
            try:
                jobs.append(job_builder.build(kind, body, _BULK))
            except InvalidJob:  # a record at the limit of its size has no room for `force`
                failed += 1
        outgoing = [Outgoing(topic, job.data, job.attributes, job.ordering_key) for job in jobs]
        problems = publisher.publish(outgoing)
        failed += len(problems) - problems.count("")
        if publisher.is_unreachable:
            raise clients.pubsub_unreachable(target)
    return failed
