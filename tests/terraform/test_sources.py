"""What is deployed: each function's archive, and which functions a change redeploys."""

import io
import os
import zipfile
from typing import Any

import pytest

from shared.topology import topology
from tests.terraform.terraform_tool import ROOT, Workspace, archives_workspace

FUNCTIONS = sorted(topology().functions)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = archives_workspace(tmp_path_factory.mktemp("archives"))
    cache = workspace.root / "shared" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "settings.cpython-313.pyc").write_bytes(b"compiled")
    (workspace.root / "shared" / "notes.txt").write_text("not code")
    return workspace


@pytest.fixture(scope="module")
def archives(workspace: Workspace) -> dict[str, bytes]:
    return _archives(workspace)


def test_an_archive_holds_its_function_and_what_it_shares(archives: dict[str, bytes]) -> None:
    shared = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for pattern in ("*.py", "*.json")
        for path in (ROOT / "shared").rglob(pattern)
    }
    requirements = {"requirements.txt": (ROOT / "requirements.txt").read_bytes()}

    assert sorted(archives) == FUNCTIONS
    for function, content in archives.items():
        entry = {"main.py": (ROOT / "functions" / function / "main.py").read_bytes()}
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == entry | requirements | shared


def test_the_same_files_make_the_same_archive(workspace: Workspace, archives: dict[str, bytes]) -> None:
    for path in (workspace.root / "shared").rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o600)

    assert _archives(workspace) == archives


def test_a_change_of_one_function_redeploys_that_function(dev_workspace: Workspace) -> None:
    workspace = dev_workspace

    workspace.replace("functions/track/main.py", "# track", "# track, changed")

    assert _redeployed(workspace.plan("dev")) == {"dev-cio-track"}
    workspace.replace("functions/track/main.py", "# track, changed", "# track")


def test_a_change_of_shared_code_redeploys_all(dev_workspace: Workspace) -> None:
    workspace = dev_workspace
    (workspace.root / "shared" / "added.py").write_text("")

    assert _redeployed(workspace.plan("dev")) == {f"dev-cio-{function}" for function in FUNCTIONS}
    (workspace.root / "shared" / "added.py").unlink()


def _archives(workspace: Workspace) -> dict[str, bytes]:
    return {function: path.read_bytes() for function, path in workspace.archives().items()}


def _redeployed(plan: dict[str, Any]) -> set[str]:
    return {
        change["change"]["before"]["name"]
        for change in plan["resource_changes"]
        if change["type"] == "google_cloudfunctions2_function" and change["change"]["actions"] != ["no-op"]
    }
