"""``secrets set``: a new value for one of the credentials that the functions read."""

import sys
from typing import Annotated, Literal

import typer

from ops import google, screen
from ops.target import EnvironmentOption, ProjectOption, resolve

SecretName = Literal["site-id", "track-api-key", "app-api-key", "webhook-signing-key"]

_CALL_SECONDS = 15.0

app = typer.Typer(no_args_is_help=True, help="Credentials in Secret Manager.")


@app.callback()
def _secrets() -> None:
    """Make ``set`` a command of its own, though it is the only one."""


@app.command("set")
def set_secret(
    name: Annotated[SecretName, typer.Argument(help="Which credential.", show_choices=True)],
    project: ProjectOption = None,
    environment: EnvironmentOption = None,
) -> None:
    """Add a version to a secret of Secret Manager. The value comes from standard input, or is asked for and not shown.

    Functions take it up within five minutes, or at once when Customer.io refuses the old one.
    """
    from google.api_core.exceptions import NotFound  # noqa: PLC0415

    target = resolve(project, environment)
    if target.on_one_machine:
        screen.say(
            "on one machine keys are environment variables, set before `make run`; "
            "for the cloud unset PUBSUB_EMULATOR_HOST and give --project"
        )
        raise typer.Exit(1)
    value = _value(name)
    parent = target.secret(name)
    try:
        version = google.secret_manager().add_secret_version(
            request={"parent": parent, "payload": {"data": value.encode()}}, timeout=_CALL_SECONDS
        )
    except NotFound:
        screen.say(f"{parent} does not exist: run `terraform apply` first, or see --project and --environment")
        raise typer.Exit(1) from None
    print(f"added {version.name}")


def _value(name: str) -> str:
    """The value without the line end that pipes and prompts add.

    Raises:
        typer.BadParameter: it cannot be a key.
    """
    if sys.stdin.isatty():
        text: str = typer.prompt(name, hide_input=True)
    else:
        text = sys.stdin.read()
    value = text.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        message = "the value must be one word of printable ASCII"
        raise typer.BadParameter(message, param_hint=name)
    return value
