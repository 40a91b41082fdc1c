"""Where a command acts: an environment in a Google Cloud project, or the stack on this machine."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

STACK_ENV = Path(".local") / "stack.env"

ProjectOption = Annotated[
    str | None, typer.Option("--project", help="Google Cloud project.  [default: GOOGLE_CLOUD_PROJECT]")
]
EnvironmentOption = Annotated[
    str | None,
    typer.Option("--environment", "--prefix", help="Terraform's environment, such as dev; none on one machine."),
]


@dataclass(frozen=True, slots=True)
class Target:
    """Names of everything in one environment, as Terraform gives them.

    Args:
        project: Google Cloud project.
        prefix: what every name begins with, such as ``dev-``; empty on one machine.
        environment: variables of the process, those of ``stack.env`` among them.
    """

    project: str
    prefix: str
    environment: Mapping[str, str]

    @property
    def on_one_machine(self) -> bool:
        """Whether Pub/Sub is an emulator's."""
        return bool(self.environment.get("PUBSUB_EMULATOR_HOST"))

    @property
    def dataset(self) -> str:
        """BigQuery dataset of the events."""
        return self.environment.get("BIGQUERY_DATASET") or f"{self.prefix.replace('-', '_')}customerio"

    def topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{self.prefix}{name}"

    def subscription(self, name: str) -> str:
        return f"projects/{self.project}/subscriptions/{self.prefix}{name}"

    def secret(self, name: str) -> str:
        """A secret by its short name, such as ``app-api-key``."""
        return f"projects/{self.project}/secrets/{self.prefix}cio-{name}"


def resolve(project: str | None, environment: str | None) -> Target:
    """The target that the options of a command name.

    Where neither is given and no emulator is set, a running stack on this machine is used, and a line on standard
    error says so: a command never goes to another place than the reader expects.

    Raises:
        typer.BadParameter: no project is known.
    """
    if project is None and environment is None and not os.environ.get("PUBSUB_EMULATOR_HOST") and STACK_ENV.exists():
        # In the process's own environment, because that is where Google's clients look for emulators.
        os.environ.update(_variables(STACK_ENV.read_text()))
        print(f"using the stack on this machine ({STACK_ENV})", file=sys.stderr)
    elif host := os.environ.get("PUBSUB_EMULATOR_HOST"):
        print(f"using the Pub/Sub at {host} (PUBSUB_EMULATOR_HOST is set)", file=sys.stderr)
    project = project or os.environ.get("GOOGLE_CLOUD_PROJECT")
    if not project:
        message = "give one, set GOOGLE_CLOUD_PROJECT, or start the stack on this machine with `make run`"
        raise typer.BadParameter(message, param_hint="--project")
    return Target(project, f"{environment}-" if environment else "", os.environ)


def _variables(text: str) -> dict[str, str]:
    """The assignments of a file that a shell can read, one per line."""
    words = (word.partition("=") for word in shlex.split(text, comments=True))
    return {name: value for name, equals, value in words if equals}
