"""``secrets set``: a new value for one of the credentials that the functions read."""

import sys
from typing import Annotated, Literal

import typer

from ops import clients, console, deadlines
from ops.errors import OperatorError
from ops.option_groups import with_option_groups
from ops.target import Where

SecretName = Literal["site-id", "track-api-key", "app-api-key", "webhook-signing-key"]

app = typer.Typer(no_args_is_help=True, help="Set credentials in Secret Manager.")


@app.callback()
def _secrets() -> None:
    """Keep ``set`` a command of its own: Typer would drop its name, as it is the only one."""


@app.command("set")
@with_option_groups
def set_secret(
    name: Annotated[SecretName, typer.Argument(help="The credential to set.", show_choices=True)],
    where: Where,
    as_json: console.JsonOption = False,
) -> None:
    """Add a version to a secret. The value is read from standard input, or asked for without showing it.

    Functions read the new version within five minutes, or at once when Customer.io refuses the old one.
    """
    from google.api_core.exceptions import NotFound  # noqa: PLC0415

    target = where.target()
    if target.is_local:
        raise OperatorError(
            "The local stack has no Secret Manager: set its keys as environment variables before `make run`. "
            "For the cloud, unset PUBSUB_EMULATOR_HOST and give --project."
        )
    value = _value(name)
    parent = target.secret(name)
    try:
        version = clients.secret_manager().add_secret_version(
            request={"parent": parent, "payload": {"data": value.encode()}},
            timeout=deadlines.QUERY_SECONDS,
            retry=None,
        )
    except NotFound:
        raise OperatorError(
            f"The secret {parent} does not exist: run `terraform apply` first, or check --project and --environment."
        ) from None
    if as_json:
        console.print_json({"secret": parent, "version": version.name})
    else:
        print(f"added {version.name}")


def _value(name: str) -> str:
    """Read the value, without the newline that pipes and prompts add.

    Raises:
        typer.BadParameter: if it cannot be a key.
    """
    if sys.stdin.isatty():
        text: str = typer.prompt(name, hide_input=True)
    else:
        text = sys.stdin.read()
    value = text.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise typer.BadParameter("the value must be one word of printable ASCII", param_hint=name)
    return value
