"""The command line ``python -m ops``: its commands, and what it says when one fails."""

import signal
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ops import console
from ops.commands import backfill, dead_letters, secrets
from ops.commands.doctor import doctor
from ops.commands.forget import forget
from ops.commands.importing import import_rows
from ops.commands.logs import logs
from ops.commands.pause import pause, resume
from ops.commands.publish import publish
from ops.commands.reconcile import reconcile
from ops.commands.status import status
from ops.commands.trace import trace
from ops.errors import sentence

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells report it


class _Commands(TyperGroup):
    """Ends every command with a sentence: after an expected failure, and after Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            console.note("interrupted")
            raise typer.Exit(_INTERRUPTED_STATUS) from None
        except Exception as error:
            if (text := sentence(error)) is None:
                raise
            console.note(text)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    # Typer's own tracebacks show the values of variables.
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        project = tomllib.loads(_PYPROJECT.read_text())["project"]
        print(f"customerio-functions {project['version']}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Publish jobs, handle dead letters, and see whether everything works."""


app.command()(publish)
app.command("import")(import_rows)
app.command()(reconcile)
app.add_typer(backfill.app, name="backfill")
app.command()(forget)
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(doctor)
app.command()(status)
app.command()(trace)
app.command()(logs)
app.command()(pause)
app.command()(resume)
app.add_typer(secrets.app, name="secrets")


def main() -> None:
    """Run one command. SIGTERM ends it like Ctrl-C: leased messages are given back."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="python -m ops")
