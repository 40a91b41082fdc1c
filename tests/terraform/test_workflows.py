"""What the GitHub workflows promise: pinned actions, CI before a deploy, the reviewed plan, one gate."""

import re
from pathlib import Path

import pytest

from tests.terraform.terraform_tool import ROOT

_WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
_DEPLOY = ROOT / ".github" / "workflows" / "deploy.yml"


def _job(name: str) -> str:
    """The lines of one job of deploy.yml, without comments."""
    text = re.sub(r"(?m)^ *#.*\n", "", _DEPLOY.read_text())
    (job,) = re.findall(rf"(?ms)^  {name}:\n(.*?)(?=^  \w+:\n|\Z)", text.partition("\njobs:\n")[2])
    return str(job)


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    """A tag can be moved to other code; a commit cannot."""
    uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses: " in line]

    assert uses
    assert [line for line in uses if not _PINNED.match(line)] == []


def test_a_deploy_waits_for_ci() -> None:
    triggers = _DEPLOY.read_text().partition("\non:\n")[2].partition("\npermissions:")[0]

    assert re.findall(r"(?m)^  (\w+):", triggers) == ["pull_request", "workflow_run"]
    assert "workflows: [ci]\n    types: [completed]\n    branches: [main]" in triggers
    assert "github.event.workflow_run.conclusion == 'success'" in _job("plan")
    assert "github.event.workflow_run.event == 'push'" in _job("plan")
    assert "github.event.workflow_run.head_repository.full_name == github.repository" in _job("plan")


def test_the_reviewed_plan_is_applied() -> None:
    apply = _job("apply")

    assert "    needs: plan\n" in apply
    assert "    environment: ${{ matrix.environment }}\n" in apply
    assert "terraform plan" not in apply
    assert "terraform apply -input=false -no-color planned" in apply


@pytest.mark.parametrize("job", ["plan", "apply"])
def test_a_job_takes_the_commit_that_ci_passed(job: str) -> None:
    (checkout,) = re.findall(r"(?ms)uses: actions/checkout@.*?(?=^      - )", _job(job))

    assert "ref: ${{ github.event.workflow_run.head_sha" in checkout
    assert "persist-credentials: false" in checkout


def test_a_plan_never_deploys() -> None:
    """Only the job that passes the environment's reviewers names the deployer."""
    assert "DEPLOY_PROVIDER" not in _job("plan")
    assert "DEPLOY_SERVICE_ACCOUNT" not in _job("plan")
    assert "environment:" not in re.sub(r"matrix:\n +environment: .*", "", _job("plan"))


def test_ci_is_the_one_gate() -> None:
    ci = (ROOT / ".github" / "workflows" / "ci.yml").read_text()

    assert re.findall(r"- run: (.*)", ci) == ["make check"]
    assert 'REQUIRE_ALL_CHECKS: "1"' in ci
