"""``make demo``: publish, lose Customer.io for a moment, settle, replay what was refused, balance the books."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.request import Request, urlopen

from google.cloud.pubsub_v1 import PublisherClient
from rich.console import Console

from local.demo.books import Books, dead_letters, read_books, simulator
from local.demo.jobs import REFUSED_PERSON, bad_jobs, good_jobs
from local.demo.report import imbalances, report
from local.stack import Stack
from shared.publisher import Publisher
from shared.topology import topology

type Fault = dict[str, object]

_DIRECTORY = Path(".local/demo")
_TIME_SCALE = 20.0
_OUTAGE_SECONDS = 3.0
_PATIENCE_SECONDS = 120.0

_REFUSAL: Fault = {
    "path": "/api/v2",
    "items": {
        "match": REFUSED_PERSON,
        "reason": "invalid",
        "field": "attributes.plan",
        "message": "refused for the demo",
    },
}
_OUTAGE: Fault = {"status": 503}


async def main() -> int:
    console = Console(width=120)
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
    async with Stack(_DIRECTORY, time_scale=_TIME_SCALE) as stack:
        environment = stack.environment
        return await asyncio.to_thread(scenario, environment, _DIRECTORY / "logs", console)


def scenario(environment: Mapping[str, str], logs: Path, console: Console) -> int:
    """Run the scenario on a stack that is up. Returns the exit status: 0 when the books balance."""
    faults(environment, [_REFUSAL])
    published = publish_all(environment, console)

    faults(environment, [_REFUSAL, _OUTAGE])
    published += publish_all(environment, console, second_half=True)
    console.print(f"Customer.io answers 503 for {_OUTAGE_SECONDS:g} s while the second half is published")
    wait(lambda: simulator(environment, "counts")["requests"] != {}, "the outage to be met")
    time.sleep(_OUTAGE_SECONDS)
    faults(environment, [_REFUSAL])

    books = settle(environment, logs, published)
    letters = {kind: dead_letters(environment, kind) for kind in topology().topics}
    console.print(report(books, letters))

    problems = imbalances(books, letters, published)
    problems += replay(environment, console)
    for problem in problems:
        console.print(f"[red]does not add up:[/] {problem}")
    console.print("[green]everything adds up[/]" if not problems else "[red]the books do not balance[/]")
    return 1 if problems else 0


def publish_all(environment: Mapping[str, str], console: Console, *, second_half: bool = False) -> int:
    """Publish every other job: the publisher's own, and those of a client that checks nothing."""
    project = environment["GOOGLE_CLOUD_PROJECT"]
    good = list(good_jobs())[second_half::2]
    bad = bad_jobs()[second_half::2]
    with Publisher(project) as publisher:
        for future in [publish(publisher) for _, publish in good]:
            future.result(timeout=30)
    careless = PublisherClient()
    for job in bad:
        attributes = {"channel": job.channel} if job.channel else {}
        careless.publish(f"projects/{project}/topics/{job.topic}", job.data, **attributes).result(timeout=30)
    console.print(f"published {len(good)} jobs, and {len(bad)} that are wrong")
    return len(good) + len(bad)


def settle(environment: Mapping[str, str], logs: Path, published: int) -> Books:
    """Wait until every job has an outcome and every webhook has a row."""

    def settled() -> Books | None:
        books = read_books(environment, logs)
        queued = books.counts["webhooks"]["queued"]
        done = books.settled >= published and queued == 0 and sum(books.rows.values()) >= books.webhooks_sent
        return books if done else None

    return wait(settled, "every job to be settled")


def replay(environment: Mapping[str, str], console: Console) -> list[str]:
    """Lift what Customer.io refused for, replay that dead letter as an operator would, and see it applied once."""
    faults(environment, [])
    command = ["ops", "dead-letters", "replay", "identify", "--class", "rejected", "--yes"]
    console.print(f"[bold]$ python -m {' '.join(command)}[/]")
    told = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-m", *command], env=told, capture_output=True, text=True, check=False)
    console.print(done.stdout.strip())
    if done.returncode != 0:
        return [f"the replay failed: {done.stderr.strip()}"]

    def applied() -> int:
        requests = simulator(environment, "requests")
        return sum(
            1
            for request in requests
            for number, item in enumerate((request["body"] or {}).get("batch", []))
            if item.get("identifiers", {}).get("id") == REFUSED_PERSON
            and number not in {error["batch_index"] for error in request["errors"] or []}
            and request["status"] in {200, 207}
        )

    wait(applied, "the replayed job")
    times = applied()
    console.print(f"the replayed job was applied {times} time(s)")
    return [] if times == 1 else [f"the replayed job was applied {times} times"]


def faults(environment: Mapping[str, str], wanted: list[Fault]) -> None:
    url = f"{environment['CUSTOMERIO_TRACK_URL']}/_sim/faults"
    request = Request(url, data=json.dumps(wanted).encode(), method="PUT")  # noqa: S310 - loopback
    urlopen(request, timeout=10).close()  # noqa: S310 - loopback


def wait[T](check: Callable[[], T | None], what: str) -> T:
    """The first true answer of ``check``."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := check()):
        if time.monotonic() > deadline:
            sys.exit(f"waited {_PATIENCE_SECONDS:g} s for {what} in vain; read {_DIRECTORY / 'logs'}")
        time.sleep(0.2)
    return answer


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
