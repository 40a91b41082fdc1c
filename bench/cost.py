"""The monthly cost of jobs and webhooks by service, from measured CPU and published prices: ``python -m bench.cost``.

Prints the tables of docs/cost.md. CPU comes from docs/performance.json, the results behind docs/performance.md.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.prices import PRICES, READ_ON
from bench.subjects import ROOT
from shared.topology import topology

RESULTS = ROOT / "docs" / "performance.json"
_MONTH_SECONDS = 30 * 24 * 3600.0
_MEMORY_GIB = 0.5
# Pub/Sub counts at least this much of each request; a push is a request, a publish carries many messages.
_MIN_REQUEST_BYTES = 1_000
# Customer.io answers within this, as in the benchmark. Cloud Run rounds each stretch of open requests up.
_CALL_SECONDS = 0.05
_ROUNDING_SECONDS = 0.1
# An instance is filled to this share of its CPU before Cloud Run starts another.
_USED_CPU = 0.6


@dataclass(frozen=True, slots=True)
class Work:
    """What one job or webhook costs beside its CPU.

    Args:
        name: Row of the table.
        subject: Its row in the benchmark.
        seconds: Time for which its request is open.
        message_bytes: Size of its message; 0 if none is published for it.
        deliveries: Pushes of the message.
        log_bytes: Its log line.
        writes: Firestore documents written.
        row_bytes: Bytes streamed to BigQuery; a row counts 1 KB at least.
        concurrency: Requests that one instance takes at once.
    """

    name: str
    subject: str
    seconds: float = _CALL_SECONDS
    message_bytes: int = 500
    deliveries: int = 1
    log_bytes: int = 350
    writes: int = 0
    row_bytes: int = 0
    concurrency: int = 1


def _works() -> list[Work]:
    size = {name: function.concurrency for name, function in topology().functions.items()}
    usual = Work("usual function, concurrency 1", "usual", log_bytes=600)
    webhook = Work("webhook: receive and publish", "webhook", 0.01, 900, 0, 250, concurrency=size["webhook"])
    return [
        Work("identify, track", "identify", concurrency=size["identify"]),
        usual,
        replace(usual, name="usual function, THREADS=80", subject="usual, THREADS=80", concurrency=80),
        Work("send", "send with outcomes", writes=2, concurrency=size["send"]),
        Work("usual send, concurrency 1", "usual send", log_bytes=600),
        webhook,
        Work("webhook: a row in BigQuery", "archive", message_bytes=900, row_bytes=1_200, concurrency=size["archive"]),
        replace(webhook, name="usual webhook, concurrency 1", subject="usual webhook", log_bytes=600, concurrency=1),
    ]


def measured_cpu(results: dict[str, Any]) -> dict[str, float]:
    """Seconds of CPU per job of each subject: the median over the rounds, at its first number of pushes at once."""
    found: dict[str, list[float]] = {}
    for figures in results["rounds"]:
        for subject in figures:
            found.setdefault(subject["name"], []).append(subject["loads"][0]["cpu_us_per_job"] / 1e6)
    return {name: median(values) for name, values in found.items()}


def instance_seconds(work: Work, cpu: float, jobs: float, *, steady: bool) -> float:
    """Seconds of instances that are paid: those in which a request is open.

    Args:
        work: The work.
        cpu: Seconds of CPU per job.
        jobs: Jobs a month.
        steady: Whether jobs come evenly over the month. Otherwise all come in bursts that fill the instances.
    """
    open_seconds = work.seconds + cpu
    filled = max(cpu / _USED_CPU, open_seconds / work.concurrency) * jobs
    if not steady:
        return filled
    rate = jobs / _MONTH_SECONDS
    if work.concurrency == 1:
        return jobs * max(open_seconds, _ROUNDING_SECONDS)
    # Requests that overlap share an instance's time: the share of a month in which at least one is open.
    is_open = _MONTH_SECONDS * (1 - math.exp(-rate * max(open_seconds, _ROUNDING_SECONDS)))
    return max(filled, is_open)


def dollars(work: Work, cpu: float, jobs: float, *, steady: bool) -> dict[str, float]:
    """Cost of a month by service, nothing of it free."""
    seconds = instance_seconds(work, cpu, jobs, steady=steady)
    volume = jobs * (work.message_bytes + work.deliveries * max(work.message_bytes, _MIN_REQUEST_BYTES))
    units = {
        "Run": (("run_cpu", seconds), ("run_memory", seconds * _MEMORY_GIB), ("run_requests", jobs)),
        "Pub/Sub": (("pubsub", volume),),
        "Firestore": (("firestore_writes", jobs * work.writes), ("firestore_deletes", jobs * (work.writes > 0))),
        "BigQuery": (("bigquery", jobs * work.row_bytes),),
        "Logging": (("logging", jobs * work.log_bytes),),
    }
    return {service: sum(PRICES[name].of(count) for name, count in counts) for service, counts in units.items()}


def table(cpu: dict[str, float], jobs: float, *, steady: bool) -> str:
    """One table in Markdown: a row for each kind of work, a column for each service."""
    services = ["Run", "Pub/Sub", "Firestore", "BigQuery", "Logging"]
    lines = [
        f"| {jobs / 1e6:,.0f} million | {' | '.join(services)} | all |",
        "| --- |" + " ---: |" * (len(services) + 1),
    ]
    for work in _works():
        if work.subject not in cpu:
            continue
        cost = dollars(work, cpu[work.subject], jobs, steady=steady)
        cells = [f"{cost[service]:,.2f}" for service in services]
        lines.append(f"| {work.name} | {' | '.join(cells)} | {sum(cost.values()):,.2f} |")
    return "\n".join(lines) + "\n"


def price_table() -> str:
    lines = ["| unit | US dollars | free a month | source |", "| --- | ---: | ---: | --- |"]
    for price in PRICES.values():
        free = f"{price.free:,.0f}" if price.free else "none"
        lines.append(f"| {price.unit} | {price.dollars:g} per {price.per:,.0f} | {free} | {price.source} |")
    return "\n".join(lines) + "\n"


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="results of a benchmark, as JSON")
    options = parser.parse_args(given)
    cpu = measured_cpu(json.loads(options.results.read_text()))
    for steady, heading in ((True, "Spread evenly over the month"), (False, "In bursts that fill the instances")):
        print(f"### {heading}\n")
        for millions in (1, 10, 100):
            print(table(cpu, millions * 1e6, steady=steady))
    print(f"### Prices, read on {READ_ON}\n\n{price_table()}")


if __name__ == "__main__":
    main()
