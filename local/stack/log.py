"""Log files of the parts: every line gets the time at which it was written, as Cloud Logging gives it in the cloud."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

_MAX_READ_BYTES = 1 << 16


async def copy_with_times(output: asyncio.StreamReader, path: Path) -> None:
    """Append a process's output to a file until it ends.

    A line of JSON gets a first member ``time``, so that it stays JSON. Any other line gets the time in front. When the
    disk is full, lines are lost and the process goes on.
    """
    rest = b""
    while piece := await output.read(_MAX_READ_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        _append(path, lines)
    if rest:
        _append(path, [rest])


def _append(path: Path, lines: list[bytes]) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        with path.open("ab") as file:
            file.write(b"".join(with_time(line, now) + b"\n" for line in lines))
    except OSError:
        return


def with_time(line: bytes, time: str) -> bytes:
    """One line with its time."""
    if line.startswith(b'{"'):
        return b'{"time":"' + time.encode() + b'",' + line[1:]
    return time.encode() + b" " + line if line else line
