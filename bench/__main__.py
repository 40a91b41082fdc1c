"""``python -m bench``: the same load against each function and each peer in turn, then a table of ratios."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Figures, measure
from bench.processes import surroundings
from bench.report import write
from bench.subjects import FUNCTIONS, LIMIT, PEERS, ROOT, Subject

_ROUNDS = 3
_QUICK_SHARE = 0.08
RESULTS = ROOT / "bench" / "results"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="one round, one load each, few jobs: two minutes")
    parser.add_argument("--rounds", type=int, default=0, help=f"rounds ({_ROUNDS}; 1 with --quick)")
    parser.add_argument("--only", default="", help="functions to measure, such as identify,send; all if empty")
    parser.add_argument("--no-peers", action="store_true", help="leave out all peers but the limit")
    parser.add_argument("--share", type=float, default=0.0, help="share of the jobs to push, such as 0.1")
    parser.add_argument("--compare", metavar="REV", default="", help="a revision whose functions run beside these")
    options = parser.parse_args(given)
    options.only = {name for name in options.only.split(",") if name}
    if unknown := options.only - {subject.name for subject in FUNCTIONS}:
        sys.exit(f"--only: no such function: {', '.join(sorted(unknown))}")
    return options


def _subjects(options: argparse.Namespace, other: Path | None) -> Iterator[Subject]:
    functions = [subject for subject in FUNCTIONS if not options.only or subject.name in options.only]
    yield LIMIT
    if not options.no_peers:
        kinds = {subject.kind for subject in functions}
        kinds |= {"identify"} if kinds & {"track", "sync"} else set()
        yield from (peer for peer in PEERS if peer.kind in kinds)
    for subject in functions:
        yield subject
        if other is not None:
            yield subject.in_revision(options.compare, other)


def _skipped() -> str:
    """Why there is no BullMQ in the table."""
    missing = [name for name in ("node", "redis-server") if shutil.which(name) is None]
    if missing:
        return f"BullMQ with customerio-node: skipped, {' and '.join(missing)} not found"
    return "BullMQ with customerio-node: skipped, its load is not part of this benchmark yet"


@contextmanager
def _checkout(revision: str) -> Iterator[Path | None]:
    """Another revision in a folder of its own; None without one."""
    if not revision:
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "revision"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def main(given: Sequence[str] | None = None) -> None:
    options = _arguments(given)
    rounds = options.rounds or (1 if options.quick else _ROUNDS)
    share = options.share or (_QUICK_SHARE if options.quick else 1.0)
    results: list[list[Figures]] = []
    with tempfile.TemporaryDirectory() as name, _checkout(options.compare) as other:
        folder = Path(name)
        with surroundings(folder) as ports:
            subjects = list(_subjects(options, other))
            for number in range(rounds):
                figures = []
                for position, subject in enumerate(subjects):
                    print(f"round {number + 1} of {rounds}: {subject.name}", file=sys.stderr, flush=True)
                    own = folder / f"{number}-{position}"
                    own.mkdir()
                    figures.append(measure(subject, ports, own, share=share, only_first=options.quick))
                results.append(figures)
    write(results, subjects, _skipped(), RESULTS)


if __name__ == "__main__":
    main()
