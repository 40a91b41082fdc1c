"""The application's records as what a forced sync of each would write, in files that BigQuery loads."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ops import job_builder
from ops.commands.importing.refusals import Refusals
from ops.commands.reconcile import values
from ops.jobs import persons
from ops.rows import Row
from shared.handlers.user_operations import forced_attributes
from shared.jobs import InvalidJob, UserDeleted, UserForgotten, UserRecord, parse


@dataclass(slots=True)
class Records:
    """What was read.

    Args:
        names: Names of the attributes that any record has.
        count: Number of records.
        unknown: Number of refused rows without a readable id: their people would look like orphans.
    """

    names: set[str] = field(default_factory=set)
    count: int = 0
    unknown: int = 0


def write(rows: Iterable[Row], people: Path, attributes: Path, refusals: Refusals) -> Records:
    """Write one line per record, and one per attribute of a record.

    A row that is no record is refused. If its id can be read, the person counts as known, so that nobody is called an
    orphan because of a mistake in a row.
    """
    found = Records()
    with people.open("wb") as people_file, attributes.open("wb") as attributes_file:
        for row in rows:
            try:
                if row.problem is not None:
                    raise row.problem
                data, _ = job_builder.unwrapped(row.text)
                user = parse("sync", data)
            except InvalidJob as error:
                refusals.add(row, error)
                _write_refused(row, people_file, found)
                continue
            found.count += 1
            _write_person(row.number, data, user, people_file)
            if isinstance(user, UserRecord) and not user.wants_nothing:
                _write_attributes(row.number, user, attributes_file, found.names)
    return found


def _write_refused(row: Row, people: BinaryIO, found: Records) -> None:
    identifier = next((key.removeprefix("id:") for key in persons("sync", row.text, {}) if key.startswith("id:")), None)
    if identifier is None:
        found.unknown += 1
    else:
        _write(people, line=row.number, id=identifier, state="refused")


def _write_person(line: int, data: bytes, user: UserRecord | UserDeleted | UserForgotten, people: BinaryIO) -> None:
    state, email = "deleted", None
    if isinstance(user, UserRecord):
        state = "suppressed" if user.wants_nothing else "present"
        email = user.attributes.get(values.EMAIL)
    _write(
        people,
        line=line,
        id=user.id,
        state=state,
        email=email.lower() if isinstance(email, str) else None,
        version=None if isinstance(user, UserForgotten) else user.updated_at,
        data=data.decode(),
    )


def _write_attributes(line: int, user: UserRecord, attributes: BinaryIO, names: set[str]) -> None:
    for name, value in forced_attributes(user).items():
        names.add(name)
        text, alternate = values.wanted_text(name, value)
        is_consent, opts_out = values.is_consent(name), values.opts_out(name, value)
        _write(
            attributes,
            line=line,
            name=name,
            value=text,
            alternate=alternate,
            is_consent=is_consent,
            opts_out=opts_out,
        )


def _write(file: BinaryIO, **columns: Any) -> None:
    file.write(msgspec.json.encode(columns) + b"\n")
