"""Output for a person or a program: results on standard output, notes on standard error."""

import json
import shutil
import sys
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

# Wide enough that lines for another program are not broken.
_PIPED_COLUMNS = 400
_NUMERIC_COLUMNS = frozenset({"backlog", "oldest", "count"})


def out() -> Console:
    return _console(stderr=False)


def note(text: str) -> None:
    """Print a line on standard error, beside the result."""
    print(text, file=sys.stderr)


def print_json(document: Any) -> None:
    """Print one JSON document. Characters that a terminal would act on are escaped."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def progress(*columns: ProgressColumn) -> Progress:
    """Create a progress bar on standard error, with rich's own columns by default; it shows only in a terminal."""
    console = _console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in _NUMERIC_COLUMNS else "left", overflow="fold")
    return made


def plain(value: object) -> Text:
    """Make a value safe to print: no markup, and nothing that a terminal would act on."""
    return Text("".join(c if c.isprintable() else "�" for c in str(value)))


def age(seconds: float) -> str:
    """Format a length of time in its two largest units: ``3d 4h``, ``2m 5s``."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def clock_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%SZ")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else shutil.get_terminal_size((_PIPED_COLUMNS, 24)).columns
    return Console(file=stream, highlight=False, width=width)
