from collections.abc import Callable
from functools import cache

import pytest

from tests.terraform.applied import Applied
from tests.terraform.terraform_tool import TOOL, Workspace, lean_workspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if TOOL.exists():
        return
    missing = pytest.mark.skip(
        reason=f"{TOOL} is not there: Terraform's own providers would need a project and credentials"
    )
    for item in items:
        if "tests/terraform/" in item.nodeid:
            item.add_marker(missing)


type Environments = Callable[[str], tuple[Workspace, Applied]]


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """Each environment applied once: its workspace, with the state, and what was made."""

    @cache
    def applied(name: str) -> tuple[Workspace, Applied]:
        workspace = lean_workspace(tmp_path_factory.mktemp(name))
        return workspace, Applied(workspace.apply(name))

    return applied


@pytest.fixture(scope="session")
def prod(environments: Environments) -> Applied:
    return environments("prod")[1]
