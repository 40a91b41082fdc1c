"""What a person sees: tables on standard output, everything else on standard error."""

import sys
from datetime import datetime

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

# Where nobody watches, lines are for other programs: not broken, not coloured.
_PIPED_WIDTH = 400


def out() -> Console:
    return _console(stderr=False)


def err() -> Console:
    return _console(stderr=True)


def say(text: str) -> None:
    """A line beside the result."""
    print(text, file=sys.stderr)


def progress() -> Progress:
    """A bar on standard error, for a person alone."""
    console = err()
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in _NUMBERS else "left", overflow="fold")
    return made


def plain(value: object) -> Text:
    """A value as it is: no markup, and nothing that a terminal would act on."""
    return Text("".join(c if c.isprintable() else "�" for c in str(value)))


def plain_lines(text: str) -> Text:
    """The same for a text of several lines."""
    return Text("\n").join(plain(line) for line in text.split("\n"))


def age(seconds: float) -> str:
    """A length of time in the two units that matter: ``3d 4h``, ``2m 5s``."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def clock_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%SZ")


_NUMBERS = frozenset({"backlog", "oldest", "count", "status"})


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _PIPED_WIDTH)
