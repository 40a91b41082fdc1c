"""The wheel, installed in a fresh environment outside the repository: what an application gets."""

import ast
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, python_blocks
from tests.stack.stack_helpers import RunningStack, until

SHARED = ROOT / "shared"
README = python_blocks((ROOT / "README.md").read_text())[0]


def run(python: Path, script: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, script], cwd=script.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def readme(tmp_path: Path, stack: RunningStack) -> Path:
    """README's example, saved as it stands but for the name of the project, in an empty folder."""
    script = tmp_path / "script.py"
    script.write_text(README.replace("my-project", stack.project))
    return script


def test_readmes_example_is_a_script_whose_person_reaches_customerio(
    stack: RunningStack, application_python: Path, environment: dict[str, str], readme: Path
) -> None:
    done = run(application_python, readme, environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    person = until(lambda: stack.person("42"), "the person")
    assert (person["email"], person["attributes"]["plan"]) == ("ada@example.com", "pro")


def test_with_a_wrong_project_it_says_so_and_exits_1(
    application_python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(README)
    done = run(application_python, script, environment)
    assert done.returncode == 1
    assert "projects/my-project/topics/cio-identify does not exist. Check the project" in done.stderr
    assert "customerio_jobs: 3 of 3 jobs were not published" in done.stderr


def test_it_is_typed(application_python: Path, readme: Path, tmp_path: Path) -> None:
    misspelt = tmp_path / "misspelt.py"
    misspelt.write_text(README.replace("transactional_message_id", "transactional_mesage_id"))
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", application_python]
    checked = subprocess.run([*command, readme], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    checked = subprocess.run([*command, misspelt], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'Unexpected keyword argument "transactional_mesage_id"' in checked.stdout


def test_an_application_loads_nothing_of_the_functions(application_python: Path, tmp_path: Path) -> None:
    program = "import sys, customerio_jobs; customerio_jobs.Publisher; print(*sys.modules)"
    command = [application_python, "-c", program]
    loaded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint({"aiohttp", "functions_framework", "httpx", "starlette", "pytest", "shared"})


def test_a_unit_test_gets_the_fixture(application_python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_application.py").write_text("""
from customerio_jobs.testing import RecordingPublisher

def test_order(customerio_publisher: RecordingPublisher) -> None:
    customerio_publisher.track("42", "order_placed", {"total": 3})
    (job,) = customerio_publisher.jobs
    assert (job.kind, job.body["attributes"]) == ("track", {"total": 3})
""")
    command = [application_python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


def relative_imports(module: Path) -> set[Path]:
    """Modules of shared/ that ``module`` imports, names imported from packages included."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = module.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for candidate in (folder, *(folder / alias.name for alias in node.names)):
                found |= {path for path in (candidate.with_suffix(".py"), candidate / "__init__.py") if path.is_file()}
    return found


def test_the_wheel_holds_what_its_modules_import_and_no_other(wheel: Path) -> None:
    needed, unread = set[Path](), [SHARED / name for name in ("__init__.py", "testing.py", "pytest_plugin.py")]
    while unread:
        if (module := unread.pop()) not in needed:
            needed.add(module)
            unread += [
                *relative_imports(module),
                *(
                    parent / "__init__.py"
                    for parent in module.parents
                    if SHARED in parent.parents and (parent / "__init__.py").exists()
                ),
            ]
    expected = {path.relative_to(SHARED).as_posix() for path in needed} | {"py.typed", "topology.json"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {f"customerio_jobs/{name}" for name in expected}


def test_it_needs_two_distributions_and_the_build_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needs = [json.dumps(each).strip('"').split(">")[0] for each in project["project"]["dependencies"]]
    assert needs == ["google-cloud-pubsub", "msgspec"]
    assert all("==" in each for each in project["build-system"]["requires"])


@pytest.mark.parametrize("version", [(3, 11), (3, 12)], ids=["3.11", "3.12"])
def test_its_modules_are_python_of_older_versions(wheel: Path, version: tuple[int, int]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                ast.parse(archive.read(name), name, feature_version=version)
