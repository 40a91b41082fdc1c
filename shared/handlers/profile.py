"""The memory that sync keeps of one user, and its consequences for a job. No I/O.

A record is stored per user and workspace and changed by compare-and-set only. It holds the content that was applied
last, the intent of a job that may be being applied, and until when a call to Customer.io may be on its way.

Jobs are ordered by their version. No job is applied over one that is newer, or that may have been applied and is newer.
While another job's call may be on its way, nothing is applied: Customer.io would keep whichever call arrives last.
"""

from typing import Literal

import msgspec

# Digests of what is no user record. A record's digest is a hash in hex.
SUPPRESSED = "suppressed"
DELETED = "deleted"
_GONE = frozenset({SUPPRESSED, DELETED})


class Version(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Age of a job; the greater is the newer. Of two equal instants an opt-out is the newer, a deletion even more so.

    Args:
        instant: Time of the change in the source, otherwise of the first publish, in microseconds since 1970.
        rank: 0 for a record, 1 for one that opts out of marketing, 2 for an opt-out of everything, 3 for a deletion.
        published: Time of the first publish, in microseconds since 1970.
    """

    instant: int
    rank: int
    published: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The state that a job wants.

    Args:
        job: Hash that only deliveries of this job share.
        version: Age of the job.
        digest: Hash of the record's attributes, ``SUPPRESSED`` or ``DELETED``.
        names: Names of the record's attributes, sorted.
        consent: Values of Customer.io's own switches.
        force: Whether it is applied although nothing changed.
        restore: Whether it may bring a deleted user back.
    """

    job: str
    version: Version
    digest: str
    names: tuple[str, ...] = ()
    consent: dict[str, bool] = {}
    force: bool = False
    restore: bool = False


class Applied(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state at Customer.io, as far as it is known.

    Args:
        version: Version of the job that wrote it.
        digest: As in ``Wanted``.
        names: Names of the attributes that are set.
        consent: Switches that were written, as they were written last. They may have been changed at Customer.io since.
    """

    version: Version
    digest: str
    names: tuple[str, ...] = ()
    consent: dict[str, bool] = {}


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The change that a job began to apply. It may have been applied wholly, in part or not at all.

    Args:
        job: As in ``Wanted``.
        version: As in ``Wanted``.
        digest: As in ``Wanted``.
        names: Names of the attributes that may be set.
        consent: Switches as they may have been written.
        suppressed: Whether a suppression of ours may be in force.
    """

    job: str
    version: Version
    digest: str
    names: tuple[str, ...] = ()
    consent: dict[str, bool] = {}
    suppressed: bool = False


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of one user.

    Args:
        applied: Content that was applied last; None if nothing is known.
        intent: What may have been applied since; None if nothing.
        busy_until: Unix time until which a call may be on its way.
    """

    applied: Applied | None = None
    intent: Intent | None = None
    busy_until: float = 0.0

    @property
    def latest(self) -> Applied | Intent | None:
        """The newest content that was or may have been applied."""
        return self.intent or self.applied

    @property
    def names(self) -> frozenset[str]:
        """Names of the attributes that may be set."""
        return frozenset(name for each in (self.applied, self.intent) if each for name in each.names)

    @property
    def suppressed(self) -> bool:
        """Whether a suppression of ours may be in force."""
        known = self.applied is not None and self.applied.digest in _GONE
        return known or (self.intent is not None and (self.intent.suppressed or self.intent.digest in _GONE))


class Settled(msgspec.Struct, frozen=True):
    """Nothing is to be applied.

    Args:
        how: Why not.
        record: What to remember first, or None: what is remembered stays.
    """

    how: Literal["unchanged", "superseded", "forgotten"]
    record: Record | None = None


class Busy(msgspec.Struct, frozen=True):
    """Another job's call may be on its way."""


class Apply(msgspec.Struct, frozen=True):
    """The job is to be applied.

    Args:
        begun: Record to remember before the first call.
        done: Record to remember when all calls were accepted.
        unsuppress: Whether a suppression of ours has to be taken back first.
        vanished: Names of the attributes to clear.
        consent: Switches to write: those that changed in the source since they were written. A switch that was changed
            at Customer.io meanwhile, by the person, is left as it is.
    """

    begun: Record
    done: Record
    unsuppress: bool
    vanished: tuple[str, ...]
    consent: dict[str, bool] = {}


def decide(record: Record, wanted: Wanted, now: float, lease_seconds: float) -> Settled | Busy | Apply:
    """Say what becomes of a job.

    Args:
        record: What is remembered of its user.
        wanted: What it wants.
        now: Unix time.
        lease_seconds: How long its calls may be on their way.
    """
    if record.intent is not None and record.intent.job == wanted.job:
        # An earlier delivery of the same job began: its calls and ours do the same, in whichever order they arrive.
        return _apply(record, wanted, record.intent.version, now, lease_seconds)
    version = _version(record, wanted)
    if record.applied is not None and version < record.applied.version:
        return Settled("superseded")
    if _is_unchanged(record, wanted):
        return _unchanged(record, version)
    if record.busy_until > now:
        return Busy()
    if record.latest is not None and (settled := _against(record.latest, wanted, version)):
        return settled
    return _apply(record, wanted, version, now, lease_seconds)


def _against(latest: Applied | Intent, wanted: Wanted, version: Version) -> Settled | None:
    if version < latest.version:
        return Settled("superseded")
    if latest.digest == DELETED and wanted.digest != DELETED and not wanted.restore:
        return Settled("forgotten")
    return None


def _version(record: Record, wanted: Wanted) -> Version:
    """The job's version; that of a restoring job counts from its publish, because the source may not have changed."""
    latest = record.latest
    if latest is None or latest.digest != DELETED or not wanted.restore:
        return wanted.version
    published = Version(wanted.version.published, wanted.version.rank, wanted.version.published)
    # No newer than needed: the next change in the source has to be newer still.
    return max(wanted.version, latest.version) if published > latest.version else wanted.version


def _is_unchanged(record: Record, wanted: Wanted) -> bool:
    known = record.applied
    return record.intent is None and known is not None and known.digest == wanted.digest and not wanted.force


def _unchanged(record: Record, version: Version) -> Settled:
    """Keep the newer version: a job between the two, of another content, has to be superseded."""
    known = record.applied
    if known is None or version == known.version:
        return Settled("unchanged")
    newer = msgspec.structs.replace(known, version=version)
    return Settled("unchanged", msgspec.structs.replace(record, applied=newer))


def _apply(record: Record, wanted: Wanted, version: Version, now: float, lease_seconds: float) -> Apply:
    is_record = wanted.digest not in _GONE
    may_be_set = tuple(sorted(record.names.union(wanted.names)))
    written = _known(record) | wanted.consent if is_record else {}
    intent = Intent(wanted.job, version, wanted.digest, may_be_set, written, record.suppressed)
    return Apply(
        begun=Record(record.applied, intent, now + lease_seconds),
        # An earlier delivery's call may still be on its way, and must not arrive after a newer job's.
        done=Record(Applied(version, wanted.digest, wanted.names, written), None, record.busy_until),
        # Who was forgotten has no record here, and a suppression at Customer.io.
        unsuppress=is_record and (record.suppressed or wanted.restore),
        vanished=tuple(sorted(record.names.difference(wanted.names))) if is_record else (),
        consent=wanted.consent if wanted.force else dict(wanted.consent.items() - _known(record).items()),
    )


def _known(record: Record) -> dict[str, bool]:
    """Switches that were written for certain: with the same value by all that was or may have been applied.

    A suppression deletes them with the person.
    """
    if record.applied is None or record.suppressed:
        return {}
    known = record.applied.consent.items()
    return dict(known if record.intent is None else known & record.intent.consent.items())
