"""The whole loop under load, from the publisher to rows in BigQuery: ``python -m bench.end_to_end``.

Each size runs on a stack of its own. Nine of ten jobs are identify and track jobs; one of a hundred is a send, whose
webhooks become rows. Prints the CPU of every process: the one that uses most of a core bounds the run.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.processes import cpu_seconds, memory_mb
from local.demo.snapshot import simulator
from local.stack.interrupt import run_until_interrupted
from local.stack.options import Options
from local.stack.stack import Stack
from local.stack.threads import in_daemon_thread
from shared.publisher import Publisher

# Before a stack's own variables are added: the next one would take them for parts that are there already.
_OUTSIDE = dict(os.environ)
_SENDS_EVERY = 100
_TIMEOUT_SECONDS = 3_600.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """Figures of one process."""

    name: str
    cpu_us_per_job: float
    share_of_core: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Run:
    """Figures of one size: seconds from the first publish to the last job at Customer.io, and webhooks sent by then."""

    jobs: int
    seconds: float
    webhooks: int
    parts: list[Part]


def _publish(project: str, jobs: int) -> None:
    with Publisher(project) as publisher:
        for number in range(jobs):
            person = f"user-{number // 2}"
            if number % _SENDS_EVERY == 0:
                to = f"{person}@example.com"
                publisher.send_email(to=to, identifiers={"id": person}, transactional_message_id=7)
            elif number % 2:
                publisher.track(person, "order_placed", {"number": number})
            else:
                publisher.identify(person, email=f"{person}@example.com", plan="pro", logins=number)


def _measure(environment: Mapping[str, str], jobs: int) -> Run:
    os.environ.update(environment)
    processes = {
        name: psutil.Process(int(pid)) for name, pid in (pair.split("=") for pair in environment["STACK_PIDS"].split())
    }
    own = psutil.Process()
    used = {name: cpu_seconds(each) for name, each in processes.items()}
    own_used = sum(own.cpu_times()[:2])
    before = _accepted(environment)
    started = time.monotonic()
    _publish(environment["GOOGLE_CLOUD_PROJECT"], jobs)
    while _accepted(environment) - before < jobs:
        if time.monotonic() - started > _TIMEOUT_SECONDS:
            raise SystemExit(f"{jobs - _accepted(environment) + before} jobs did not arrive")
        time.sleep(_POLL_SECONDS)
    seconds = time.monotonic() - started
    publishing = (sum(own.cpu_times()[:2]) - own_used, memory_mb(own))
    parts = [_part("publisher", *publishing, seconds, jobs)]
    for name, each in processes.items():
        parts.append(_part(name, cpu_seconds(each) - used[name], memory_mb(each), seconds, jobs))
    sent = simulator(environment, "counts")["webhooks"]["sent"]
    return Run(jobs, seconds, sum(sent.values()), sorted(parts, key=lambda part: -part.share_of_core))


def _part(name: str, cpu: float, memory: float, seconds: float, jobs: int) -> Part:
    return Part(name, cpu / jobs * 1e6, cpu / seconds, memory)


def _accepted(environment: Mapping[str, str]) -> int:
    """Operations and messages that Customer.io has taken."""
    counts = simulator(environment, "counts")
    return int(sum(sum(actions.values()) for actions in counts["items"].values()) + sum(counts["sends"].values()))


async def _run(jobs: int) -> Run:
    options = Options(time_scale=1.0, port_base=0, reaction_seconds=0.0)
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder), given=_OUTSIDE, options=options, say=lambda _: None) as stack:
            environment = stack.environment
            return await in_daemon_thread(lambda: _measure(environment, jobs))


def _table(runs: Sequence[Run]) -> str:
    lines = ["| jobs | seconds | jobs/s | webhooks | process | CPU µs/job | of a core | MB |"]
    lines.append("| ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for run in runs:
        head = f"{run.jobs:,} | {run.seconds:.1f} | {run.jobs / run.seconds:,.0f} | {run.webhooks:,}"
        for part in run.parts:
            figures = f"{part.cpu_us_per_job:.0f} | {part.share_of_core:.0%} | {part.memory_mb:.0f}"
            lines.append(f"| {head} | {part.name} | {figures} |")
            head = " | | | "
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.end_to_end", description=__doc__)
    parser.add_argument("--jobs", default="1000,10000", help="sizes, such as 1000,10000,100000")
    options = parser.parse_args(given)
    runs = []
    for size in options.jobs.split(","):
        run = asyncio.run(run_until_interrupted(_run(int(size))))
        if run is None:
            break
        print(f"{run.jobs:,} jobs in {run.seconds:.1f} s", flush=True)
        runs.append(run)
    print(_table(runs))


if __name__ == "__main__":
    main()
