"""``logs``: what the functions of the local stack wrote, or the command that shows it in the cloud."""

import shlex
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ops import console, deadlines
from ops.errors import OperatorError
from ops.option_groups import with_option_groups
from ops.target import Target, Where
from shared.topology import topology

_TIME_FIELDS = ("time", "timestamp")


def _function(text: str | None) -> str | None:
    known = list(topology().functions)
    if text is not None and text not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}")
    return text


@with_option_groups
def logs(
    where: Where,
    function: Annotated[
        str | None, typer.Argument(metavar="[FUNCTION]", callback=_function, help="One function.  [default: all]")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", min=1, help="Number of lines to show, the latest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Show new lines until Ctrl-C.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Show the log lines of the local stack's functions. For the cloud, print the command that shows them."""
    if follow and as_json:
        raise typer.BadParameter("cannot be combined with --json, which prints one document", param_hint="--follow")
    target = where.target()
    functions = list(topology().functions) if function is None else [function]
    if not target.is_local:
        command = _cloud_command(target, functions, lines)
        if as_json:
            console.print_json({"command": command})
        else:
            print(command)
        return
    files = [LogFile(name, target.local_directory / "logs" / f"{name}.log") for name in functions]
    if not any(file.path.exists() for file in files):
        raise OperatorError(
            f"There are no log files in {target.local_directory / 'logs'}: start the local stack with `make run`."
        )
    latest = deque(sorted((entry for file in files for entry in file.read()), key=_order), maxlen=lines)
    if as_json:
        console.print_json({"lines": [{"function": e.function, "time": e.time or None, **e.fields} for e in latest]})
        return
    _print(latest)
    try:
        while follow:
            time.sleep(deadlines.FOLLOW_LOGS_SECONDS)
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            _print(sorted((entry for file in files for entry in file.read(now)), key=_order))
    except KeyboardInterrupt:
        return  # the way to end it


@dataclass(frozen=True, slots=True)
class Entry:
    """One log line.

    Args:
        function: Name of the function that wrote it.
        time: Time in ISO 8601; empty if unknown.
        fields: Fields of a JSON line; a line of text is the field ``message``.
    """

    function: str
    time: str
    fields: Mapping[str, Any]


@dataclass(slots=True)
class LogFile:
    """The log of one function, read piece by piece."""

    function: str
    path: Path
    _offset: int = field(default=0, init=False)
    _time: str = field(default="", init=False)

    def read(self, now: str = "") -> Iterator[Entry]:
        """Read the complete lines written since the last call.

        Args:
            now: Time of a line that has none. Without it, such a line has the time of the line before.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            if file.seek(0, 2) < self._offset:
                self._offset = 0  # a new stack began a new file
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                if text := line.decode(errors="replace").strip():
                    yield self._entry(text, now)

    def _entry(self, text: str, now: str) -> Entry:
        stamp, rest = _leading_time(text)
        fields = _fields(rest)
        stated = next((str(fields.pop(name)) for name in _TIME_FIELDS if name in fields), stamp)
        self._time = stated or now or self._time
        fields.pop("function", None)
        return Entry(self.function, self._time, fields)


def _leading_time(text: str) -> tuple[str, str]:
    """Split a line into the time that it begins with, or an empty text, and the rest."""
    first, _, rest = text.partition(" ")
    try:
        datetime.fromisoformat(first)
    except ValueError:
        return "", text
    return first, rest


def _fields(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"message": text}
    return found if isinstance(found, dict) else {"message": text}


def _order(entry: Entry) -> str:
    return entry.time


def _print(entries: "deque[Entry] | list[Entry]") -> None:
    for entry in entries:
        fields = dict(entry.fields)
        words = [str(fields.pop(name)) for name in ("severity", "message") if name in fields]
        words += [f"{name}={value}" for name, value in fields.items() if value not in ("", None)]
        line = f"{entry.time or '-':<24}  {entry.function:<9}  {' '.join(words)}"
        console.out().print(console.plain(line), soft_wrap=True)


def _cloud_command(target: Target, functions: list[str], lines: int) -> str:
    services = " OR ".join(f'"{target.prefix}cio-{name}"' for name in functions)
    query = f'resource.type="cloud_run_revision" AND resource.labels.service_name=({services})'
    return (
        f"gcloud logging read {shlex.quote(query)} --project={shlex.quote(target.project)} --freshness=1h "
        f"--limit={lines} --format='value(timestamp,resource.labels.service_name,severity,jsonPayload.message)'"
    )
