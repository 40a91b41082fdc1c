"""``make mutants ONLY=shared/customerio/breaker.py``: small faults, planted one by one; a test has to see each.

cosmic-ray plants them in a copy of the working tree and runs the tests of the module after each. What no test sees is
printed, unless ``survivors.toml`` says why no test can.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# cosmic-ray has an environment of its own, as checkov has.
TOOL = ROOT / ".tools" / "mutants" / "bin"
COPIED = ("shared", "functions", "local", "ops", "tests", "terraform", "docs", "pyproject.toml")

# Tests of a module, nearest first. Of several entries the longest that fits counts.
TESTS = {
    "shared/batching.py": "tests/batching",
    "shared/customerio/app.py": "tests/customerio/test_app_api.py tests/handlers/test_trigger_report.py",
    "shared/customerio/breaker.py": "tests/customerio/test_breaker.py",
    "shared/customerio/errors.py": "tests/customerio",
    "shared/customerio/http.py": "tests/customerio/test_connection.py",
    "shared/customerio/rate_limit.py": "tests/customerio/test_rate_limit.py tests/customerio/test_app_api.py",
    "shared/customerio/responses.py": "tests/customerio/test_responses.py",
    "shared/customerio/signature.py": "tests/webhook/test_signature.py",
    "shared/customerio/track.py": "tests/customerio/test_track_api.py",
    "shared/handlers/": "tests/handlers",
    "shared/handlers/idempotency.py": "tests/handlers/test_sending_once.py tests/handlers/test_unknown_outcomes.py "
    "tests/handlers/test_shutdown.py tests/handlers/test_time_of_a_call.py",
    "shared/handlers/signing_keys.py": "tests/webhook",
    "shared/handlers/trigger_report.py": "tests/handlers/test_trigger_report.py",
    "shared/handlers/webhook.py": "tests/webhook",
    "shared/ledger/": "tests/ledger",
    "shared/ledger/protocol.py": "tests/ledger/test_sqlite_ledger.py tests/ledger/test_ledger_contract.py",
    "shared/pubsub/": "tests/pubsub tests/handlers",
    "shared/pubsub/message.py": "tests/pubsub",
    "shared/pubsub/drain.py": "tests/pubsub/test_drain.py",
    "shared/pubsub/pull.py": "tests/pubsub/test_pull.py",
    "shared/pubsub/push.py": "tests/handlers/test_push_endpoint.py tests/handlers/test_bulk_lane.py",
}
_DEFAULT = ["shared/customerio", "shared/handlers", "shared/pubsub", "shared/ledger"]
# One replacement for each operator is enough, and ``|`` stands in annotations only.
_KEPT_BINARY = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul", "BitAnd_BitOr")
_LEAST_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault and what became of it."""

    module: str
    operator: str
    line: int
    source: str
    diff: str
    outcome: str


def modules(wanted: list[str]) -> Iterator[str]:
    for path in wanted:
        found = sorted((ROOT / path).rglob("*.py")) if (ROOT / path).is_dir() else [ROOT / path]
        for file in found:
            if file.read_text().strip():
                yield str(file.relative_to(ROOT))


def tests_of(module: str) -> str:
    return TESTS[max((prefix for prefix in TESTS if module.startswith(prefix)), key=len)]


def run(module: str, tests: str) -> list[Mutant]:
    """Plant every fault of one module in a copy of the tree.

    Raises:
        SystemExit: if the tests fail without any fault.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        copy_tree(copy)
        (copy / ".run").mkdir()
        with _fork_server(copy, tests):
            command = f"{sys.executable} -S tests/mutants/fork_server.py ask .run/socket"
            started = time.monotonic()
            if subprocess.run(command.split(), cwd=copy, check=False, env=environment()).returncode:
                raise SystemExit(f"{module}: its tests fail without a fault: {tests}")
            timeout = max(_LEAST_TIMEOUT_SECONDS, 4 * (time.monotonic() - started))
            return _planted(module, copy, _configuration(module, command, timeout))


@contextmanager
def _fork_server(copy: Path, tests: str) -> Iterator[None]:
    # Plugins of pytest are imported before pytest could rewrite their asserts.
    options = "-x -q -p no:cacheprovider -p no:xdist -W ignore::pytest.PytestAssertRewriteWarning"
    command = f"{sys.executable} -m tests.mutants.fork_server .run/socket {options} {tests}"
    with subprocess.Popen(command.split(), cwd=copy, env=environment()) as server:
        try:
            while not (copy / ".run" / "socket").exists():
                if server.poll() is not None:
                    raise SystemExit("the fork server ended")
                time.sleep(0.05)
            yield
        finally:
            server.kill()


def _planted(module: str, copy: Path, configuration: str) -> list[Mutant]:
    (copy / "mutants.toml").write_text(configuration)
    for step in ("cosmic-ray init mutants.toml s.sqlite", "cr-filter-operators s.sqlite mutants.toml"):
        _tool(step, copy)
    _tool("cosmic-ray exec mutants.toml s.sqlite", copy)
    sources = (ROOT / module).read_text().splitlines()
    dumped = _tool("cosmic-ray dump s.sqlite", copy).splitlines()
    return [_mutant(module, *json.loads(line), sources) for line in dumped if line]


def _configuration(module: str, command: str, timeout: float) -> str:
    binary = "|".join(_KEPT_BINARY)
    excluded = [rf"core/ReplaceBinaryOperator_(?!({binary})$).*"]
    return (
        f"[cosmic-ray]\nmodule-path = {json.dumps(module)}\ntimeout = {timeout:.0f}\nexcluded-modules = []\n"
        f"test-command = {json.dumps(command)}\n[cosmic-ray.distributor]\nname = 'local'\n"
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = {json.dumps(excluded)}\n"
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "."}


def copy_tree(to: Path) -> None:
    """Copy the parts of the working tree that tests need."""
    for part in COPIED:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, to / part, ignore=shutil.ignore_patterns("__pycache__", ".terraform"))
        else:
            shutil.copy(source, to / part)


def _tool(command: str, folder: Path) -> str:
    name, *arguments = command.split()
    done = subprocess.run(
        [TOOL / name, *arguments], cwd=folder, capture_output=True, text=True, check=False, env=environment()
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}")
    return done.stdout


def _mutant(module: str, item: dict[str, Any], result: dict[str, Any] | None, sources: list[str]) -> Mutant:
    [mutation] = item["mutations"]
    line = mutation["start_pos"][0]
    outcome = "skipped"
    is_marker = re.search(r"\*,", sources[line - 1]) and mutation["operator_name"].endswith("Mul_Div")
    if is_marker:  # the * of a signature is no multiplication
        pass
    elif result is not None and result["worker_outcome"] == "normal":
        outcome = result["test_outcome"]
    diff = (result or {}).get("diff") or ""
    changed = [text for text in diff.splitlines() if text[:1] in "+-" and text[:3] not in ("+++", "---")]
    return Mutant(
        module,
        mutation["operator_name"].removeprefix("core/"),
        line,
        sources[line - 1].strip(),
        "\n".join(f"    {text}" for text in changed),
        outcome,
    )


def accepted() -> set[tuple[str, str, str]]:
    """Faults that no test can see: module, operator and source line. Each has its reason in the file."""
    told = tomllib.loads(Path(__file__).with_name("survivors.toml").read_text())
    return {(each["module"], each["operator"], each["source"]) for each in told.get("survivor", [])}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", help="modules or folders; customerio, handlers, pubsub and ledger if none")
    known, failed = accepted(), False
    for module in modules(parser.parse_args().paths or _DEFAULT):
        found = [mutant for mutant in run(module, tests_of(module)) if mutant.outcome != "skipped"]
        alive = [mutant for mutant in found if mutant.outcome != "killed"]
        excused = [mutant for mutant in alive if (mutant.module, mutant.operator, mutant.source) in known]
        for mutant in alive:
            if mutant not in excused:
                failed = True
                print(f"{mutant.module}:{mutant.line} {mutant.operator}\n{mutant.diff}")
        killed = len(found) - len(alive)
        share = killed / len(found) if found else 1.0
        print(
            f"{module}: {killed} of {len(found)} killed ({share:.0%}), {len(excused)} listed with a reason", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
