"""What an operator does with the product, on one machine and on Google Cloud."""

import signal

import typer

from ops import dead_letters, publish, screen, secrets
from ops.doctor import doctor
from ops.status import status

# Typer's own tracebacks show the values of variables.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Publish jobs, look after dead letters, and see whether all is well.",
)
app.command()(publish.publish)
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(doctor)
app.command()(status)
app.add_typer(secrets.app, name="secrets")


def main() -> int:
    """Run a command. An error of Google's is one line, as its text names the resource and what is missing."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    # As after Ctrl-C: what is held is given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="python -m ops")
    except (GoogleAPIError, GoogleAuthError) as error:
        screen.say(f"{type(error).__name__}: {error}")
        return 1
    return 0
