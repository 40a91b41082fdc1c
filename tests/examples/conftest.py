"""One stack, and one fresh virtual environment outside the repository with the wheel, for every test of this folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.stack.stack_helpers import ROOT, RunningStack, running_stack

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), {}) as running:
        yield running


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make wheel`` builds."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def application_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an application that has installed the wheel and FastAPI."""
    folder = tmp_path_factory.mktemp("application") / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin/python"
    needs = [f"{name}=={version(name)}" for name in ("fastapi", "uvicorn", "google-cloud-pubsub", "msgspec", "pytest")]
    subprocess.run([UV, "pip", "install", "--quiet", "--python", python, wheel, *needs], check=True)
    return python


@pytest.fixture
def environment(stack: RunningStack) -> dict[str, str]:
    """A shell that has sourced ``.local/stack.env``."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **stack.environment}
