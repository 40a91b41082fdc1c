"""``make bench``: runs the same load against each subject in turn, then prints a table."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from local.stack.ports import free_ports

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Subject:
    """A function to measure, and its load: jobs in total, and pushes at once."""

    name: str
    target: str
    source: str
    concurrent: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Measurements of one subject. Memory growth is that during the load, after the warm-up."""

    subject: Subject
    jobs_per_second: float
    cpu_us_per_job: float
    p50_ms: float
    p99_ms: float
    requests_per_1000: float
    memory_mb: float
    growth_mb: float


SUBJECTS = [
    Subject("limit: reads the body, answers 204", "empty", "bench/peers/empty/main.py", 256, 40_000),
    Subject("usual: sync, official client", "usual", "bench/peers/usual/main.py", 256, 2_000),
    Subject("identify", "identify", "functions/identify/main.py", 256, 40_000),
    Subject("track", "track", "functions/track/main.py", 256, 40_000),
    Subject("identify, 1,000 pushes at once", "identify", "functions/identify/main.py", 1000, 40_000),
]


@contextmanager
def process(command: Sequence[str], port: int, environment: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    with log.open("ab") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as child:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5).close()
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    if child.poll() is not None:
                        sys.exit(f"{command[0]} ended: {log.read_text()[-2000:]}")
                    time.sleep(0.05)
            yield psutil.Process(child.pid)
        finally:
            child.terminate()


def tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def cpu_seconds(root: psutil.Process) -> float:
    return float(sum(sum(each.cpu_times()[:2]) for each in tree(root)))


def memory_mb(root: psutil.Process) -> float:
    """Resident memory of the largest process of the tree: the one that serves. The others only watch it."""
    return float(max(each.memory_info().rss for each in tree(root))) / 2**20


def load(port: int, concurrent: int, jobs: int, kind: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.load", str(port), str(concurrent), str(jobs), kind]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)
    return figures


def counted(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5) as answer:
        return int(answer.read())


def measure(subject: Subject, upstream_port: int, directory: Path) -> Figures:
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GOOGLE_CLOUD_PROJECT": "bench",
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_TRACK_URL": f"http://127.0.0.1:{upstream_port}",
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "key",
        "DEAD_LETTER_TOPIC": "projects/bench/topics/dead-letter",
        "CONTROL_TOPIC": "projects/bench/topics/cio-control",
        "PORT": str(port),
    }
    framework = str(Path(sys.executable).with_name("functions-framework"))
    command = [framework, "--target", subject.target, "--source", str(ROOT / subject.source), "--port", str(port)]
    with process(command, port, environment, directory / f"{subject.target}.log") as server:
        load(
            port, subject.concurrent, subject.jobs // 4, subject.target
        )  # warms up imports, connections and the allocator
        requests, cpu, memory = counted(upstream_port), cpu_seconds(server), memory_mb(server)
        figures = load(port, subject.concurrent, subject.jobs, subject.target)
        if figures["answers"] != {"204": subject.jobs}:
            sys.exit(f"{subject.name}: not every push was acknowledged: {figures['answers']}")
        after = memory_mb(server)
        return Figures(
            subject,
            jobs_per_second=subject.jobs / figures["seconds"],
            cpu_us_per_job=(cpu_seconds(server) - cpu) / subject.jobs * 1e6,
            p50_ms=figures["p50_ms"],
            p99_ms=figures["p99_ms"],
            requests_per_1000=(counted(upstream_port) - requests) / subject.jobs * 1000,
            memory_mb=after,
            growth_mb=after - memory,
        )


def show(results: Sequence[Figures]) -> None:
    limit, usual = results[0], results[1]
    table = Table(title="pushes to a function, Customer.io 50 ms away")
    for heading in ("", "at once", "jobs/s", "x usual", "CPU µs/job", "/ usual", "/ limit", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for heading in ("requests per 1,000 jobs", "MB", "grown MB"):
        table.add_column(heading, justify="right")
    for each in results:
        table.add_row(
            each.subject.name,
            str(each.subject.concurrent),
            f"{each.jobs_per_second:,.0f}",
            f"{each.jobs_per_second / usual.jobs_per_second:.1f}",
            f"{each.cpu_us_per_job:.0f}",
            f"1/{usual.cpu_us_per_job / each.cpu_us_per_job:.1f}",
            f"{each.cpu_us_per_job / limit.cpu_us_per_job:.2f}",
            f"{each.p50_ms:.0f}",
            f"{each.p99_ms:.0f}",
            f"{each.requests_per_1000:.1f}",
            f"{each.memory_mb:.0f}",
            f"{each.growth_mb:+.1f}",
        )
    Console(width=160).print(table)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "bench.upstream", str(port)]
        with process(command, port, {**os.environ, "PYTHONPATH": str(ROOT)}, directory / "upstream.log"):
            show([measure(subject, port, directory) for subject in SUBJECTS])


if __name__ == "__main__":
    main()
