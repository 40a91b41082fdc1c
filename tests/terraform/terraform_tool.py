"""Terraform with stand-in providers, in a copy of the repository: plans and applies without a cloud."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
OFFLINE = ROOT.parent / "shared" / "terraform-offline"
TOOL = OFFLINE / "tf"

# Placeholders of the environments' files are refused; this company is as unreal, and not refused.
COMPANY = "acme"

ENVIRONMENTS = ("dev", "staging", "prod")
_PROJECT = f"-var=project_id={COMPANY}-customerio"
_APPLICATION = f"serviceAccount:shop@{COMPANY}-shop.iam.gserviceaccount.com"
EXAMPLES = {
    "smallest": (_PROJECT,),
    "with-consumers": (
        _PROJECT,
        f"-var=application={_APPLICATION}",
        f"-var=crm_endpoint=https://crm.{COMPANY}.com/events",
    ),
    "two-environments": (_PROJECT, f'-var=operators=["group:operators@{COMPANY}.com"]'),
    "two-workspaces": (_PROJECT,),
    "strict": (_PROJECT, f"-var=security_project={COMPANY}-security", f"-var=application={_APPLICATION}"),
}

# Terraform's state is written after each resource: without this a third of its time is garbage collection.
_LESS_GARBAGE_COLLECTION = {"GOGC": os.environ.get("GOGC", "400")}

_ONLY_FUNCTIONS = """
module "function" {
  source   = "./modules/function"
  for_each = fileset("${path.module}/../functions", "*/main.py")

  project_id  = "example-project"
  region      = "europe-west1"
  name        = "dev-cio-${dirname(each.value)}"
  entry_point = dirname(each.value)
  source_root = "${path.module}/.."
  account     = { email = "function@example-project.iam.gserviceaccount.com" }
  build       = { bucket = "sources", service_account = "builder", repository = "images" }
  size        = { concurrency = 1, timeout_seconds = 50, memory = "512Mi", max_instances = 1 }
}
"""
_LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'


class Resource(msgspec.Struct, frozen=True):
    """One resource of an applied state, such as ``module.job["track"].google_pubsub_topic.main``.

    ``needs`` are addresses, without instance keys, of what Terraform made before it.
    """

    address: str
    type: str
    values: dict[str, Any]
    needs: list[str] = []


class TerraformError(Exception):
    """Terraform refused; the text is what it said."""


@dataclass(frozen=True)
class Workspace:
    """A copy of the repository in which Terraform runs, with a state of its own."""

    root: Path

    @property
    def directory(self) -> Path:
        return self.root / "terraform"

    def run(self, *arguments: str) -> str:
        environment = (
            os.environ
            | _LESS_GARBAGE_COLLECTION
            | {"TF_DATA_DIR": str(self.root / "terraform-data"), "TF_IN_AUTOMATION": "1"}
        )
        result = subprocess.run(
            [str(TOOL), *arguments], cwd=self.directory, env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise TerraformError(result.stdout + result.stderr)
        return result.stdout

    def plan(self, environment: str, *arguments: str) -> dict[str, Any]:
        """What would change, as ``terraform show -json`` gives it."""
        self._plan(f"-var-file=environments/{environment}.tfvars", *arguments)
        planned: dict[str, Any] = json.loads(self.run("show", "-json", "planned"))
        return planned

    def archives(self) -> dict[str, Path]:
        """The archive of each function, written anew by a plan."""
        build = self.directory / "build"
        shutil.rmtree(build, ignore_errors=True)
        self._plan()
        return {path.stem.removeprefix("dev-cio-"): path for path in build.iterdir()}

    def apply(self, environment: str, *arguments: str) -> list[Resource]:
        """Apply from where the state is; -> all resources."""
        self._plan(f"-var-file=environments/{environment}.tfvars", *arguments)
        self.run("apply", "-no-color", "-input=false", "planned")
        return resources(json.loads(self.run("show", "-json")))

    def _plan(self, *arguments: str) -> None:
        self.run("plan", "-no-color", "-input=false", "-out=planned", *arguments)

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a file of the copy; the text must be in it."""
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new))


def check(root: Path, name: str) -> list[Resource]:
    """Apply an environment or an example in a lean copy at ``root``, plan it again, destroy it; -> what was applied.

    Raises:
        TerraformError: if a step fails, or the second plan has a change.
    """
    _lean_copy(root)
    subprocess.run("git init --quiet && git add --all", cwd=root, shell=True, check=True)
    arguments = (
        ("terraform", f"-var-file=environments/{name}.tfvars")
        if name in ENVIRONMENTS
        else (f"terraform/examples/{name}", *EXAMPLES[name])
    )
    result = subprocess.run(
        [str(OFFLINE / "check"), *arguments, "--out", str(root / "applied.json")],
        cwd=root,
        env=os.environ | _LESS_GARBAGE_COLLECTION,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise TerraformError(f"{name}:\n{result.stdout[-20_000:]}{result.stderr[-20_000:]}")
    return resources(json.loads((root / "applied.json").read_bytes()))


def lean_workspace(root: Path) -> Workspace:
    """A lean copy to plan and apply in, with a state of its own."""
    _lean_copy(root)
    return _ready(root)


def _lean_copy(root: Path) -> None:
    """Copy the Terraform files, with a line of code for each function and for ``shared``.

    What archives hold makes no difference to the wiring, and Terraform writes it into its state with every resource.
    """
    shutil.copytree(ROOT / "terraform", root / "terraform", ignore=_IGNORED)
    for settings in (root / "terraform" / "environments").glob("*.tfvars"):
        own = settings.read_text().replace("example", COMPANY).replace('"123456789"', '"987654321"')
        settings.write_text(own)
    (root / "requirements.txt").write_text("functions-framework\n")
    (root / "shared").mkdir()
    shutil.copyfile(ROOT / "shared" / "topology.json", root / "shared" / "topology.json")
    (root / "shared" / "__init__.py").write_text("")
    for function in json.loads((ROOT / "shared" / "topology.json").read_bytes())["functions"]:
        (root / "functions" / function).mkdir(parents=True)
        (root / "functions" / function / "main.py").write_text(f"# {function}\n")


def archives_workspace(root: Path) -> Workspace:
    """All code that is deployed, and a root that makes nothing but the functions: archives are written by its plan."""
    shutil.copytree(ROOT / "terraform" / "modules" / "function", root / "terraform" / "modules" / "function")
    (root / "terraform" / "main.tf").write_text(_ONLY_FUNCTIONS)
    shutil.copyfile(ROOT / "requirements.txt", root / "requirements.txt")
    for folder in ("functions", "shared"):
        shutil.copytree(ROOT / folder, root / folder)
    return _ready(root)


_IGNORED = shutil.ignore_patterns("build", ".terraform*", "*.tfstate*")


def _ready(root: Path) -> Workspace:
    (root / "terraform" / "backend_override.tf").write_text(_LOCAL_BACKEND)
    workspace = Workspace(root)
    workspace.run("init", "-no-color", "-input=false")
    return workspace


def resources(shown: dict[str, Any]) -> list[Resource]:
    """All managed resources of what ``terraform show -json`` gives."""

    def walk(module: dict[str, Any]) -> list[Resource]:
        own = [
            Resource(entry["address"], entry["type"], entry["values"], entry.get("depends_on", []))
            for entry in module.get("resources", [])
            if entry["mode"] == "managed"
        ]
        return own + [resource for child in module.get("child_modules", []) for resource in walk(child)]

    return walk(shown["values"]["root_module"])
