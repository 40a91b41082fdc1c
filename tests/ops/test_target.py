import os
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path

import pytest
from typer.testing import Result

from ops.target import Target
from tests.function_process import ROOT
from tests.ops.conftest import Broker, Machine

Ops = Callable[..., Result]


def beside_a_running_stack(machine: Machine, broker: Broker) -> None:
    """As ``make run`` leaves it, in the current folder and not in this process's environment."""
    Path(".local").mkdir()
    Path(".local/stack.env").write_text(
        f"PUBSUB_EMULATOR_HOST={broker.host}\nGOOGLE_CLOUD_PROJECT={machine.project}\n"
        f"PUBSUB_ADMIN_URL={broker.admin_url}\nSTACK_PIDS='a=1 b=2'\n"
    )


def test_beside_a_running_stack_it_is_used_and_that_is_said(
    machine: Machine, broker: Broker, ops: Ops, environment: MutableMapping[str, str]
) -> None:
    beside_a_running_stack(machine, broker)
    for name in ("PUBSUB_EMULATOR_HOST", "PUBSUB_ADMIN_URL"):
        del environment[name]
    environment["GOOGLE_CLOUD_PROJECT"] = "another-project"
    result = ops("status")
    assert result.exit_code == 0
    assert result.stderr == "Using the local stack (.local/stack.env).\n"
    assert environment["STACK_PIDS"] == "a=1 b=2"


@pytest.mark.parametrize("option", [("--project", "elsewhere"), ("--environment", "dev")])
def test_a_running_stack_is_not_used_when_another_place_is_named(
    machine: Machine, broker: Broker, ops: Ops, option: tuple[str, str]
) -> None:
    beside_a_running_stack(machine, broker)
    result = ops("status", *option)
    assert "(.local/stack.env)" not in result.stderr
    assert "(PUBSUB_EMULATOR_HOST is set)" in result.stderr


def test_without_a_project_it_is_said_how_to_give_one(ops: Ops, environment: MutableMapping[str, str]) -> None:
    del environment["PUBSUB_EMULATOR_HOST"]
    result = ops("status")
    assert result.exit_code == 2
    assert "--project" in result.output


@pytest.mark.parametrize(
    ("prefix", "environment", "topic", "secret", "dataset"),
    [
        ("", {"BIGQUERY_DATASET": "events"}, "cio-track", "cio-site-id", "events"),
        ("dev-", {}, "dev-cio-track", "dev-cio-site-id", "dev_customerio"),
    ],
)
def test_names_are_those_that_terraform_and_the_stack_give(
    prefix: str, environment: dict[str, str], topic: str, secret: str, dataset: str
) -> None:
    target = Target("p", prefix, environment)
    assert target.topic("cio-track") == f"projects/p/topics/{topic}"
    assert target.subscription("cio-track") == f"projects/p/subscriptions/{topic}"
    assert target.secret("site-id") == f"projects/p/secrets/{secret}"
    assert target.dataset == dataset


def test_an_error_of_googles_is_one_line(broker: Broker) -> None:
    arguments = ["dead-letters", "list", "track", "--project", "nobody"]
    process = subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        env=os.environ | {"PUBSUB_EMULATOR_HOST": broker.host},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.splitlines()[-1].startswith("NotFound: 404")
    assert "Traceback" not in process.stderr
