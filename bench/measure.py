"""Measures one subject: cold start, modules, CPU, throughput, latency, requests, memory."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.jobs import push, requests
from bench.processes import counted, cpu_seconds, memory_mb
from bench.subjects import ROOT, Subject, environment
from local.stack.ports import free_ports

# Pushes one after the other, of which the median says how long a lone job takes.
_LONE_JOBS = 30
_START_SECONDS = 120.0
_MODULES = "import runpy, sys, functions_framework.aio; runpy.run_path(sys.argv[1]); print(len(sys.modules))"


@dataclass(frozen=True, slots=True)
class Load:
    """Figures of one load. CPU is that of the function alone; a request is one to Customer.io or BigQuery."""

    concurrent: int
    jobs_per_second: float
    cpu_us_per_job: float
    p50_ms: float
    p99_ms: float
    requests_per_1000: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one subject in one round.

    Args:
        name: The subject.
        cold_start_ms: From the start of the process to its first answer.
        cold_start_cpu_ms: CPU until then, which another load of the machine does not change.
        lone_ms: Median of jobs that come one at a time.
        memory_mb: After all loads.
        modules: Modules that it has imported when it is ready.
        loads: One load for each number of pushes at once.
    """

    name: str
    cold_start_ms: float
    cold_start_cpu_ms: float
    lone_ms: float
    memory_mb: float
    modules: int
    loads: list[Load]


def measure(subject: Subject, ports: Mapping[str, int], folder: Path, *, share: float, only_first: bool) -> Figures:
    """Start the subject, push to it, and end it.

    Args:
        subject: The subject.
        ports: Ports of the surroundings.
        folder: An empty folder for its files.
        share: Share of the subject's jobs to push.
        only_first: Whether only the first of its loads is run.
    """
    (port,) = free_ports(1)
    variables = {**os.environ, **environment(subject, {**ports, "function": port}, folder)}
    source = str(subject.root / subject.source)
    framework = str(Path(sys.executable).with_name("functions-framework"))
    command = [framework, "--target", subject.target, "--source", source, "--port", str(port)]
    log = folder / "function.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        child = subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd=subject.root)
    try:
        _first_answer(subject, port, child, log)
        cold_start = time.perf_counter() - started
        server = psutil.Process(child.pid)
        cold_start_cpu = cpu_seconds(server)
        jobs = max(20, int(subject.jobs * share))
        first = 1
        lone = _load(subject, port, 1, first, _LONE_JOBS)
        first += _LONE_JOBS
        warm_up = max(subject.concurrent[0], jobs // 4)
        _load(subject, port, subject.concurrent[0], first, warm_up)
        first += warm_up
        loads = []
        for concurrent in subject.concurrent[:1] if only_first else subject.concurrent:
            loads.append(_measured(subject, port, concurrent, first, jobs, server, ports["upstream"]))
            first += jobs
        return Figures(
            name=subject.name,
            cold_start_ms=cold_start * 1000,
            cold_start_cpu_ms=cold_start_cpu * 1000,
            lone_ms=lone["p50_ms"],
            memory_mb=memory_mb(server),
            modules=_modules(subject, variables),
            loads=loads,
        )
    finally:
        child.terminate()
        child.wait()


def _measured(
    subject: Subject, port: int, concurrent: int, first: int, jobs: int, server: psutil.Process, upstream: int
) -> Load:
    asked, cpu = counted(upstream), cpu_seconds(server)
    told = _load(subject, port, concurrent, first, jobs)
    return Load(
        concurrent=concurrent,
        jobs_per_second=jobs / told["seconds"],
        cpu_us_per_job=(cpu_seconds(server) - cpu) / jobs * 1e6,
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        requests_per_1000=(counted(upstream) - asked) / jobs * 1000,
    )


def _load(subject: Subject, port: int, concurrent: int, first: int, jobs: int) -> dict[str, Any]:
    arguments = [str(port), str(concurrent), str(first), str(jobs), subject.kind]
    command = [sys.executable, "-m", "bench.load", *arguments]
    run = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(run.stdout)
    if sum(told["answers"].values()) != jobs or not told["answers"].keys() <= {"200", "204"}:
        sys.exit(f"{subject.name}: not every push was acknowledged: {told['answers']}")
    return told


def _first_answer(subject: Subject, port: int, child: "subprocess.Popen[bytes]", log: Path) -> None:
    request = next(requests(subject.kind, 0, 1))
    body = request.partition(b"\r\n\r\n")[2] if subject.kind == "webhook" else push(subject.kind, 0)
    head = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in head)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", "/", body, headers)
            if connection.getresponse().status in {200, 204}:
                return
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    sys.exit(f"{subject.name} did not start: {log.read_text()[-2000:]}")


def _modules(subject: Subject, variables: Mapping[str, str]) -> int:
    command = [sys.executable, "-c", _MODULES, str(subject.root / subject.source)]
    return int(subprocess.run(command, env=variables, check=True, capture_output=True, cwd=subject.root).stdout)
