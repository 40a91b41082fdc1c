"""``dead-letters``: look at jobs that were given up, put them back, or drop them.

Each command reads whole subscriptions under lease, and gives back at the end what it did not take off.
"""

import typer

from ops.dead_letters.act import discard, replay
from ops.dead_letters.look import export, list_letters, show

app = typer.Typer(no_args_is_help=True, help="Jobs that were given up: look, put back, drop.")
app.command("list")(list_letters)
for command in (show, export, replay, discard):
    app.command()(command)

__all__ = ["app"]
