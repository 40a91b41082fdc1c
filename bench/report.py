"""Results of a benchmark as JSON and as a table in Markdown: medians over the rounds, and ratios within each round."""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import psutil

from bench.measure import Figures, Load
from bench.subjects import LIMIT, Subject

_HEADINGS = (
    "",
    "at once",
    "CPU µs/job",
    "/ limit",
    "/ usual",
    "jobs/s",
    "requests per 1,000",
    "p50 ms",
    "p99 ms",
)
_STARTS = ("", "first answer ms", "CPU until then ms", "/ limit", "modules", "lone job ms", "memory MB", "/ limit")


def write(results: Sequence[Sequence[Figures]], subjects: Sequence[Subject], skipped: str, folder: Path) -> None:
    """Write the results of all rounds below ``folder``, and print the tables."""
    text = f"{_machine()}, {len(results)} round{'s' if len(results) > 1 else ''}. {skipped}.\n\n"
    text += _loads(results, subjects) + "\n" + _starts(results, subjects)
    folder.mkdir(exist_ok=True)
    name = time.strftime("%Y-%m-%d-%H%M%S")
    rounds = [[asdict(figures) for figures in each] for each in results]
    told = {"machine": _machine(), "skipped": skipped, "rounds": rounds}
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1))
    (folder / f"{name}.md").write_text(text)
    print(text)
    print(f"Written to bench/results/{name}.json and .md")


def _machine() -> str:
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return (
        f"{processor}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB; "
        f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f} at the end"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _loads(results: Sequence[Sequence[Figures]], subjects: Sequence[Subject]) -> str:
    rows = []
    for position, subject in enumerate(subjects):
        for number in range(len(results[0][position].loads)):
            loads = [each[position].loads[number] for each in results]
            limits = [_limit(each, subject, loads[0].concurrent) for each in results]
            cpu = [load.cpu_us_per_job for load in loads]
            usual = [_cpu_of(each, subject.peer) for each in results] if subject.peer else []
            ratios = [own / other for own, other in zip(cpu, usual, strict=False) if other]
            rows.append(
                (
                    subject.name,
                    f"{loads[0].concurrent:,}",
                    _spread(cpu, "{:.0f}"),
                    _spread([own / limit for own, limit in zip(cpu, limits, strict=True)], "{:.2f}"),
                    f"1/{1 / median(ratios):.1f}" if ratios else "",
                    _spread([load.jobs_per_second for load in loads], "{:,.0f}"),
                    _median(loads, lambda load: load.requests_per_1000, "{:.1f}"),
                    _median(loads, lambda load: load.p50_ms, "{:.0f}"),
                    _median(loads, lambda load: load.p99_ms, "{:.0f}"),
                )
            )
    return _table(_HEADINGS, rows)


def _starts(results: Sequence[Sequence[Figures]], subjects: Sequence[Subject]) -> str:
    rows = []
    for position, subject in enumerate(subjects):
        figures = [each[position] for each in results]
        limits = [each[0] for each in results]
        cold = [own.cold_start_cpu_ms / limit.cold_start_cpu_ms for own, limit in zip(figures, limits, strict=True)]
        memory = [own.memory_mb / limit.memory_mb for own, limit in zip(figures, limits, strict=True)]
        rows.append(
            (
                subject.name,
                _spread([each.cold_start_ms for each in figures], "{:.0f}"),
                _spread([each.cold_start_cpu_ms for each in figures], "{:.0f}"),
                _spread(cold, "{:.2f}"),
                str(figures[0].modules),
                _spread([each.lone_ms for each in figures], "{:.1f}"),
                f"{median(each.memory_mb for each in figures):.0f}",
                f"{median(memory):.2f}",
            )
        )
    return _table(_STARTS, rows)


def _limit(figures: Sequence[Figures], subject: Subject, concurrent: int) -> float:
    """CPU of the limit at the same number of pushes at once, or at its first where it was not measured there."""
    loads = figures[0].loads
    same = [load for load in loads if load.concurrent == concurrent]
    assert figures[0].name == LIMIT.name, subject.name
    return (same or loads)[0].cpu_us_per_job


def _cpu_of(figures: Sequence[Figures], name: str) -> float:
    return next((each.loads[0].cpu_us_per_job for each in figures if each.name == name), 0.0)


def _median(loads: Sequence[Load], of: Callable[[Load], float], form: str) -> str:
    return form.format(median(of(load) for load in loads))


def _spread(values: Sequence[float], form: str) -> str:
    """The median, and the least and greatest where there are several."""
    middle = form.format(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))}-{form.format(max(values))})"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
