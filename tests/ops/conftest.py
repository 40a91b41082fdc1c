import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest
import pytest_asyncio
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import PubsubMessage, ReceivedMessage
from typer.testing import CliRunner, Result

from local.stack.provision import provision
from ops import clients
from ops.cli import app
from ops.target import Target
from shared.topology import topology
from tests.function_process import ROOT

_numbers = itertools.count()


@dataclass(frozen=True)
class Broker:
    host: str
    admin_url: str


@pytest_asyncio.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    log = tmp_path_factory.mktemp("broker") / "log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "local.pubsub", "--port", "0", "--admin-port", "0"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            host = (await process.stdout.readline()).decode().split()[-1]
            admin = (await process.stdout.readline()).decode().split()[-1]
        yield Broker(host, admin.removesuffix("/_broker/stats"))
        assert process.returncode is None, f"the broker ended with {process.returncode}: {log.read_text()[-2000:]}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass
class Machine:
    """One project on the broker, with every topic and subscription; functions are at ports where nobody listens."""

    project: str
    publisher: PublisherClient
    subscriber: SubscriberClient

    def publish(self, topic: str, data: bytes, ordering_key: str = "", /, **attributes: str) -> str:
        message = PubsubMessage(data=data, attributes=attributes, ordering_key=ordering_key)
        return self.publisher.publish(topic=f"projects/{self.project}/topics/{topic}", messages=[message]).message_ids[
            0
        ]

    def dead_letter(self, kind: str, data: bytes, ordering_key: str = "", **attributes: str) -> str:
        """As a function publishes one that it gives up."""
        ours = {
            "reason": "invalid",
            "class": "rejected",
            "status": "400",
            "field": "attributes.plan",
            "message": "is not allowed",
            "function": kind,
            "attempt": "2",
            "lane": "main",
            "first_publish_time": "2026-05-01T12:00:00+00:00",
        }
        if ordering_key:
            ours["original-ordering_key"] = ordering_key
        return self.publish(topology().topics[kind].dead_letter_name, data, **(ours | attributes))

    def watch(self, topic: str) -> Callable[[int], list[PubsubMessage]]:
        """Subscribe to a topic; the result gives the next ``count`` messages, or what comes in 0.3 s."""
        name = f"projects/{self.project}/subscriptions/watch-{topic}-{next(_numbers)}"
        path = f"projects/{self.project}/topics/{topic}"
        self.subscriber.create_subscription(request={"name": name, "topic": path, "enable_message_ordering": True})

        def get(count: int) -> list[PubsubMessage]:
            found: list[PubsubMessage] = []
            while len(found) < count:
                if not (pulled := self._pull(name)):
                    break
                self.subscriber.acknowledge(subscription=name, ack_ids=[received.ack_id for received in pulled])
                found += [received.message for received in pulled]
            return found

        return get

    def waiting(self, subscription: str) -> list[PubsubMessage]:
        """What the subscription hands out within 0.3 s. It is given back."""
        name = f"projects/{self.project}/subscriptions/{subscription}"
        pulled = self._pull(name)
        if pulled:
            ack_ids = [received.ack_id for received in pulled]
            self.subscriber.modify_ack_deadline(subscription=name, ack_ids=ack_ids, ack_deadline_seconds=0)
        return [received.message for received in pulled]

    def _pull(self, name: str) -> Sequence[ReceivedMessage]:
        request = {"subscription": name, "max_messages": 1000}
        return self.subscriber.pull(request=request, timeout=0.3).received_messages


@pytest.fixture
def environment(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MutableMapping[str, str]]:
    """The process's environment on one machine, put back at the end: commands add to it."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(("CUSTOMERIO_", "BIGQUERY_", "PUBSUB_", "GOOGLE_CLOUD_")):
            del os.environ[name]
    os.environ["PUBSUB_EMULATOR_HOST"] = broker.host
    os.environ["PUBSUB_ADMIN_URL"] = broker.admin_url
    # Whoever runs the tests may be logged in to Google Cloud.
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = "nowhere"
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    yield os.environ
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def machine(environment: MutableMapping[str, str]) -> Machine:
    project = f"machine-{next(_numbers)}"
    environment["GOOGLE_CLOUD_PROJECT"] = project
    provision(project, dict.fromkeys(topology().functions, "http://127.0.0.1:9/"))
    target = Target(project, "", environment)
    return Machine(project, clients.publisher(target), clients.subscriber(target))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C reach child processes, also where the shell that runs the tests ignores it."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, kept)


@pytest.fixture
def ops(environment: MutableMapping[str, str]) -> Callable[..., Result]:
    """Runs a command in this process."""
    assert environment is os.environ
    runner = CliRunner()

    def run(*arguments: str, given: str | bytes | None = None) -> Result:
        result = runner.invoke(app, [*arguments], input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
