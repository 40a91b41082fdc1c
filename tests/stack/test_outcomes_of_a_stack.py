"""What became of a job, as an application hears it and as BigQuery keeps it."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

from tests.stack.stack_helpers import PATIENCE, ROOT, RunningStack, until

BODY = {"to": "one@example.com", "transactional_message_id": 5}


@contextmanager
def subscription(stack: RunningStack, name: str) -> Iterator[str]:
    path = f"projects/{stack.project}/subscriptions/{name}"
    with stack.subscriber() as client:
        client.create_subscription(name=path, topic=f"projects/{stack.project}/topics/cio-outcomes")
        yield path
        client.delete_subscription(subscription=path)


def test_an_application_hears_the_delivery_id_within_a_second(stack: RunningStack) -> None:
    outcomes: Queue[tuple[float, dict[str, Any]]] = Queue()
    waited = []
    with subscription(stack, "listening") as path, stack.subscriber() as client:
        pulling = client.subscribe(
            path, callback=lambda told: (outcomes.put((time.monotonic(), json.loads(told.data))), told.ack())
        )
        for number in range(7):
            published = time.monotonic()
            stack.publish("cio-send", BODY | {"identifiers": {"id": f"hears-{number}"}}, job_id=f"hears-{number}")
            heard, outcome = outcomes.get(timeout=PATIENCE)
            waited.append(heard - published)
            assert (outcome["job_id"], outcome["outcome"]) == (f"hears-{number}", "done")
            assert outcome["delivery_id"] in {each["delivery_id"] for each in stack.simulator("deliveries")}
        pulling.cancel()
        pulling.result(timeout=PATIENCE)
    assert statistics.median(waited) < 1, waited


def test_the_example_prints_delivery_ids(stack: RunningStack) -> None:
    command = [sys.executable, str(ROOT / "examples" / "delivery_ids.py"), "example"]
    with subscription(stack, "example"):
        stack.publish("cio-send", BODY | {"identifiers": {"id": "example"}}, job_id="example-1")
        environment = stack.environment
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as listening:
            assert listening.stdout is not None
            job, outcome, delivery_id = listening.stdout.readline().split()
            listening.kill()
    assert (job, outcome) == ("example-1", "done")
    assert delivery_id in {each["delivery_id"] for each in stack.simulator("deliveries")}


def test_every_delivery_of_a_job_is_a_row(stack: RunningStack) -> None:
    stack.publish("cio-send", {"identifiers": {"id": "1"}}, job_id="row-refused")
    stack.publish("cio-send", BODY | {"identifiers": {"id": "row"}}, job_id="row-sent")
    stack.publish("cio-identify", {"identifiers": {"id": "row"}}, job_id="row-applied")

    def found() -> list[dict[str, Any]] | None:
        rows = stack.rows("job_id LIKE 'row-%' ORDER BY job_id", table="job_outcomes")
        return rows if len(rows) >= 3 else None

    applied, refused, sent = until(found, "the rows")
    assert (applied["outcome"], applied["how"], applied["kind"]) == ("done", "applied", "identify")
    assert (refused["outcome"], refused["error_class"], refused["delivery_id"]) == ("failed", "invalid_job", None)
    delivery = next(each for each in stack.simulator("deliveries") if each["identifiers"].get("id") == "row")
    assert sent["delivery_id"] == delivery["delivery_id"]
    timeline = until(
        lambda: stack.rows("job_id = 'row-sent' AND opened_at IS NOT NULL", table="message_timeline"), "the open"
    )
    assert (timeline[0]["delivery_id"], timeline[0]["outcome"]) == (delivery["delivery_id"], "done")
