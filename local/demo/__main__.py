"""``make demo``: publish 200 jobs, lose Customer.io for a moment, replay what was refused, check every sum.

``python -m local.demo month`` is ``make demo-data``.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.request import Request, urlopen

from google.cloud.pubsub_v1 import PublisherClient
from rich.console import Console

from local import deadlines
from local.demo import month
from local.demo.jobs import REFUSED_PERSON, bad_jobs, good_jobs
from local.demo.report import imbalances, report
from local.demo.snapshot import Snapshot, dead_letters, simulator, take_snapshot
from local.stack.errors import StackError
from local.stack.interrupt import run_until_interrupted
from local.stack.options import Options
from local.stack.stack import Stack
from local.stack.threads import in_daemon_thread
from shared.publisher import Publisher
from shared.topology import topology

type Fault = dict[str, object]

_DIRECTORY = Path(".local/demo")
# Free ports, because a stack may be running beside the demo.
_OPTIONS = Options(time_scale=20.0, port_base=0, reaction_seconds=deadlines.DEMO_REACTION_SECONDS)

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


async def run() -> int:
    """Run the demo on a stack of its own. Returns the exit status."""
    print("Starting a stack for the demo. It retries twenty times as fast as the cloud.", flush=True)
    async with Stack(_DIRECTORY, options=_OPTIONS) as stack:
        environment, logs = stack.environment, stack.logs
        return await in_daemon_thread(lambda: scenario(environment, logs, Console()))


def scenario(environment: Mapping[str, str], logs: Path, console: Console) -> int:
    """Run the scenario on a stack that is up. Returns the exit status: 0 if every sum holds."""
    faults(environment, [_REFUSAL])
    published = publish_all(environment, console)

    faults(environment, [_REFUSAL, _OUTAGE])
    console.print("Customer.io is down: it answers 503 to everything")
    published += publish_all(environment, console, second_half=True)
    wait(lambda: met_outage(environment), "a job to meet the outage")
    time.sleep(deadlines.DEMO_OUTAGE_SECONDS)
    faults(environment, [_REFUSAL])
    console.print("Customer.io is back; waiting for every job's outcome and every event's row")

    snapshot = wait_for_outcomes(environment, logs, published)
    refused = {kind: dead_letters(environment, kind) for kind in topology().topics}
    console.print(report(snapshot, refused))

    problems = imbalances(snapshot, refused, published)
    problems += replay(environment, console)
    for problem in problems:
        console.print(f"[red]does not add up:[/] {problem}")
    console.print("[green]everything adds up[/]" if not problems else "[red]not everything adds up[/]")
    return 1 if problems else 0


def met_outage(environment: Mapping[str, str]) -> bool:
    return any("503" in answers for answers in simulator(environment, "counts")["requests"].values())


def publish_all(environment: Mapping[str, str], console: Console, *, second_half: bool = False) -> int:
    """Publish every other job: good ones by the publisher, wrong ones by a client that checks nothing."""
    project = environment["GOOGLE_CLOUD_PROJECT"]
    good = list(good_jobs())[second_half::2]
    bad = bad_jobs()[second_half::2]
    with Publisher(project) as publisher:
        for future in [publish(publisher) for _, publish in good]:
            future.result(timeout=deadlines.PUBLISH_SECONDS)
    unchecked = PublisherClient()
    for job in bad:
        attributes = {"channel": job.channel} if job.channel else {}
        unchecked.publish(f"projects/{project}/topics/{job.topic}", job.data, **attributes).result(
            timeout=deadlines.PUBLISH_SECONDS
        )
    half = "second" if second_half else "first"
    console.print(f"published the {half} half: {len(good)} good jobs, and {len(bad)} that are wrong")
    return len(good) + len(bad)


def wait_for_outcomes(environment: Mapping[str, str], logs: Path, published: int) -> Snapshot:
    """Wait until every job has an outcome and every webhook has a row."""

    def settled() -> Snapshot | None:
        snapshot = take_snapshot(environment, logs)
        queued = snapshot.counts["webhooks"]["queued"]
        done = snapshot.settled >= published and queued == 0 and snapshot.rows >= snapshot.webhooks_sent
        return snapshot if done else None

    return wait(settled, "every job to be settled and every event to arrive")


def replay(environment: Mapping[str, str], console: Console) -> list[str]:
    """End the refusal, replay its dead letter as an operator would, and check that it is applied once."""
    faults(environment, [])
    command = ["ops", "dead-letters", "replay", "identify", "--class", "rejected", "--yes"]
    console.print(f"[bold]$ python -m {' '.join(command)}[/]")
    variables = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-m", *command], env=variables, capture_output=True, text=True, check=False)
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
    urlopen(request, timeout=deadlines.HTTP_CALL_SECONDS).close()  # noqa: S310 - loopback


def wait[T](check: Callable[[], T | None], what: str) -> T:
    """Return the first true answer of ``check``.

    Raises:
        StackError: if there is none in two minutes.
    """
    deadline = time.monotonic() + deadlines.DEMO_MAX_WAIT_SECONDS
    while not (answer := check()):
        if time.monotonic() > deadline:
            seconds = f"{deadlines.DEMO_MAX_WAIT_SECONDS:g} s"
            raise StackError(f"Waited {seconds} for {what}, in vain. The logs are in {_DIRECTORY / 'logs'}.")
        time.sleep(deadlines.DEMO_POLL_SECONDS)
    return answer


def main(arguments: list[str]) -> int:
    if arguments == ["month"]:
        return month.main()
    if arguments:
        print("usage: python -m local.demo [month]", file=sys.stderr)
        return 2
    try:
        status = asyncio.run(run_until_interrupted(run()))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 130 if status is None else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
