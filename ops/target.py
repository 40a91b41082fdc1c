"""The target of a command: one environment in a Google Cloud project, or the local stack."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ops import console

STACK_ENV = Path(".local") / "stack.env"


@dataclass(frozen=True, slots=True)
class Target:
    """Names of everything in one environment, as Terraform gives them.

    Args:
        project: Google Cloud project.
        prefix: Prefix of every name, e.g. ``"dev-"``; empty for the local stack.
        environment: Variables of this process, those of ``stack.env`` included.
    """

    project: str
    prefix: str
    environment: Mapping[str, str]

    @property
    def pubsub_emulator(self) -> str | None:
        """``HOST:PORT`` of a local Pub/Sub; None for Google's."""
        return self.environment.get("PUBSUB_EMULATOR_HOST") or None

    @property
    def is_local(self) -> bool:
        return self.pubsub_emulator is not None

    @property
    def local_directory(self) -> Path:
        """The directory where the local stack keeps its data and logs."""
        return STACK_ENV.parent

    @property
    def dataset(self) -> str:
        """BigQuery dataset of the events."""
        return self.environment.get("BIGQUERY_DATASET") or f"{self.prefix.replace('-', '_')}customerio"

    @property
    def ledger(self) -> str:
        """The ledger as ``shared.ledger.open_ledger`` takes it."""
        given = self.environment.get("LEDGER")
        local = f"sqlite:{self.local_directory / 'data' / 'ledger.sqlite'}"
        return given or (local if self.is_local else f"firestore:{self.prefix}cio-ledger")

    def topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{self.prefix}{name}"

    def subscription(self, name: str) -> str:
        return f"projects/{self.project}/subscriptions/{self.prefix}{name}"

    def secret(self, name: str) -> str:
        """Full name of a secret, given its short one, e.g. ``app-api-key``."""
        return f"projects/{self.project}/secrets/{self.prefix}cio-{name}"


@dataclass(frozen=True, slots=True)
class Where:
    """The options that name a target."""

    project: Annotated[
        str | None, typer.Option("--project", help="Google Cloud project.  [default: GOOGLE_CLOUD_PROJECT]")
    ] = None
    environment: Annotated[
        str | None,
        typer.Option("--environment", "--prefix", help="Terraform environment, e.g. dev. The local stack has none."),
    ] = None

    def target(self) -> Target:
        """Find the target. A line on standard error says when it is a local one.

        Without options and without an emulator in the environment, a running local stack is used.

        Raises:
            typer.BadParameter: if no project is known.
        """
        named = self.project is not None or self.environment is not None
        if not named and not os.environ.get("PUBSUB_EMULATOR_HOST") and STACK_ENV.exists():
            # Google's clients look for emulators in the process's own environment.
            os.environ.update(_variables(STACK_ENV.read_text()))
            console.note(f"Using the local stack ({STACK_ENV}).")
        elif host := os.environ.get("PUBSUB_EMULATOR_HOST"):
            console.note(f"Using the Pub/Sub at {host} (PUBSUB_EMULATOR_HOST is set).")
        else:
            # Off Google Cloud, google-auth would look for a metadata server three times, 3 s each.
            os.environ.setdefault("GCE_METADATA_DETECT_RETRIES", "1")
        project = self.project or os.environ.get("GOOGLE_CLOUD_PROJECT")
        if not project:
            raise typer.BadParameter(
                "is missing: give it, set GOOGLE_CLOUD_PROJECT, or start the local stack with `make run`",
                param_hint="--project",
            )
        return Target(project, f"{self.environment}-" if self.environment else "", os.environ)


def _variables(text: str) -> dict[str, str]:
    """Read the assignments of a shell file, one per line."""
    words = (word.partition("=") for word in shlex.split(text, comments=True))
    return {name: value for name, equals, value in words if equals}
