"""A stack as ``make run`` starts it, in a folder of its own, and what a person does with it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from google.api_core.exceptions import DeadlineExceeded
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions

from local import bigquery
from shared.topology import topology

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
# Free ports, because stacks run side by side here, and recipients who react at once.
OPTIONS = {"STACK_TIME_SCALE": "50", "STACK_PORT_BASE": "0", "STACK_REACTION_SECONDS": "0"}


def until[T](check: Callable[[], T | None], what: str, *, patience: float = PATIENCE, every: float = 0.05) -> T:
    """The first true answer of ``check``."""
    deadline = time.monotonic() + patience
    while not (answer := check()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(every)
    return answer


class RunningStack:
    def __init__(self, directory: Path, environment: Mapping[str, str], process: subprocess.Popen[str]) -> None:
        self.directory = directory
        self.environment = environment
        self.process = process
        self.project = environment["GOOGLE_CLOUD_PROJECT"]
        with self.as_environment():
            self.publisher = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))

    def as_environment(self) -> "mock._patch_dict":
        """Have Google's clients that are made within the block use the stack, and none that is made later."""
        return mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": self.environment["PUBSUB_EMULATOR_HOST"]})

    def subscriber(self) -> SubscriberClient:
        with self.as_environment():
            return SubscriberClient()

    def publish(self, topic: str, body: Any, **attributes: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.publisher.publish(f"projects/{self.project}/topics/{topic}", data, **attributes).result(timeout=20)

    def simulator(self, what: str) -> Any:
        return get(f"{self.environment['CUSTOMERIO_TRACK_URL']}/_sim/{what}")

    def broker(self, what: str) -> Any:
        return get(f"{self.environment['PUBSUB_ADMIN_URL']}/_broker/{what}")

    def faults(self, *wanted: dict[str, Any]) -> None:
        url = f"{self.environment['CUSTOMERIO_TRACK_URL']}/_sim/faults"
        urlopen(Request(url, data=json.dumps(wanted).encode(), method="PUT"), timeout=10).close()

    def person(self, identifier: str) -> dict[str, Any] | None:
        people = self.simulator("people")
        return next((each for each in people if each.get("id") == identifier and not each["suppressed"]), None)

    def person_by_email(self, address: str) -> dict[str, Any] | None:
        return next((each for each in self.simulator("people") if each.get("email") == address), None)

    def dead_letters(self, kind: str) -> list[tuple[bytes, dict[str, str]]]:
        """Take what is in a kind's dead-letter subscription."""
        path = f"projects/{self.project}/subscriptions/{topology().topics[kind].dead_letter_name}"
        with self.subscriber() as client:
            try:
                answer = client.pull(subscription=path, max_messages=1000, timeout=1, retry=None)
            except DeadlineExceeded:
                return []
            if answer.received_messages:
                client.acknowledge(subscription=path, ack_ids=[each.ack_id for each in answer.received_messages])
            return [(each.message.data, dict(each.message.attributes)) for each in answer.received_messages]

    def rows(self, where: str = "TRUE", *, table: str = "events") -> list[dict[str, Any]]:
        dataset = self.environment["BIGQUERY_DATASET"]
        query = f"SELECT * FROM `{self.project}.{dataset}.{table}` WHERE {where}"
        with closing(bigquery.client(self.environment["BIGQUERY_EMULATOR_HOST"], self.project)) as client:
            return [dict(row) for row in client.query_and_wait(query)]

    def pids(self) -> dict[str, int]:
        told = read_env(self.directory / ".local" / "stack.env")["STACK_PIDS"]
        return {name: int(pid) for name, pid in (entry.split("=") for entry in told.split())}

    def log(self, part: str) -> str:
        return (self.directory / ".local" / "logs" / f"{part}.log").read_text()


def get(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    try:
        with urlopen(Request(url, data=body, headers=dict(headers)), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def read_env(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return {name: shlex.split(value)[0] if value else "" for name, _, value in (line.partition("=") for line in lines)}


@contextmanager
def running_stack(directory: Path, given: Mapping[str, str]) -> Iterator[RunningStack]:
    """``python -m local.stack`` in ``directory``, until its ``stack.env`` is there."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CUSTOMERIO_", "PUBSUB_"))}
    environment = {**inherited, "PYTHONPATH": str(ROOT), **OPTIONS, **given}
    with (
        (directory / "stack.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "local.stack"], cwd=directory, env=environment, stdout=log, stderr=log, text=True
        ) as process,
    ):
        try:
            written = directory / ".local" / "stack.env"
            until(lambda: written.exists() or process.poll() is not None, "stack.env")
            assert process.poll() is None, (directory / "stack.log").read_text()
            yield RunningStack(directory, read_env(written), process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
