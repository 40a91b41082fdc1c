"""``dead-letters``: list, show, export, replay or discard jobs that were given up.

Each command leases whole subscriptions, and gives back at the end what it did not acknowledge.
"""

import typer

from ops.commands.dead_letters.inspect import export, list_dead_letters, show
from ops.commands.dead_letters.settle import discard, replay

app = typer.Typer(no_args_is_help=True, help="List, show, export, replay or discard jobs that were given up.")
app.command("list")(list_dead_letters)
for command in (show, export, replay, discard):
    app.command()(command)

__all__ = ["app"]
