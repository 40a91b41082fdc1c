import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import pytest

from tests.terraform.applied import Applied
from tests.terraform.terraform_tool import ENVIRONMENTS, EXAMPLES, TOOL, Workspace, check, lean_workspace

ROOTS = ("prod", *(name for name in ENVIRONMENTS if name != "prod"), *EXAMPLES)


# Fixtures that run Terraform.
_WITH_TERRAFORM = {"dev_workspace", "prod", "roots", "workspace"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the stand-in providers where they are not.

    With ``REQUIRE_ALL_CHECKS`` that is a failure, unless ``WITHOUT_STAND_INS`` says that it is meant.
    """
    if TOOL.exists():
        return
    if os.environ.get("REQUIRE_ALL_CHECKS") and not os.environ.get("WITHOUT_STAND_INS"):
        raise pytest.UsageError(f"{TOOL} is not there, and REQUIRE_ALL_CHECKS is set: nothing would be applied")
    missing = pytest.mark.skip(
        reason=f"{TOOL} is not there: Terraform's own providers would need a project and credentials"
    )
    for item in items:
        if "tests/terraform/" in item.nodeid and _WITH_TERRAFORM & set(getattr(item, "fixturenames", ())):
            item.add_marker(missing)


type Roots = Callable[[str], Applied]


@pytest.fixture(scope="session")
def roots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roots]:
    """What each environment and example makes, applied once and two at a time; an error of a step is raised here."""
    with ThreadPoolExecutor(max_workers=2) as pool:

        @cache
        def started(name: str) -> Future[Applied]:
            root = tmp_path_factory.mktemp(name)
            return pool.submit(lambda: Applied(check(root, name)))

        wanted = [item.nodeid for item in request.session.items]
        for name in ROOTS:
            if any(f"[{name}]" in nodeid for nodeid in wanted):
                started(name)
        yield lambda name: started(name).result()


@pytest.fixture(scope="session")
def prod(roots: Roots) -> Applied:
    return roots("prod")


@pytest.fixture(scope="session")
def dev_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Environment dev as it was applied, to plan and apply changes in. A test leaves it as it found it."""
    workspace = lean_workspace(tmp_path_factory.mktemp("dev"))
    workspace.apply("dev")
    return workspace
