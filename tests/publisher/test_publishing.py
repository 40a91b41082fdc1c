"""The publisher over Google's client, against a Pub/Sub: order, failures, many threads, and the end."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import BatchSettings, PublisherOptions

from shared.publisher import InvalidJob, JobFuture, JobOptions, Publisher
from tests.local_pubsub.broker_helpers import ROOT, PubSub

PATIENCE_SECONDS = 15.0


@pytest.fixture
def project() -> str:
    return f"project-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def publisher(pubsub: PubSub, project: str) -> Iterator[Publisher]:
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": pubsub.host}):
        made = Publisher(project)
    yield made
    made.close(PATIENCE_SECONDS)


@pytest.fixture
def single_file(pubsub: PubSub, project: str) -> Iterator[Publisher]:
    """A publisher that sends each job of a person in a request of its own, so that the second waits for the first."""
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": pubsub.host}):
        client = PublisherClient(
            batch_settings=BatchSettings(max_messages=1),
            publisher_options=PublisherOptions(enable_message_ordering=True),
        )
    made = Publisher(project, client=client)
    yield made
    made.close(PATIENCE_SECONDS)
    client.stop()
    client.transport.close()


def open_topic(pubsub: PubSub, project: str, topic: str) -> str:
    """Make a topic and an ordered subscription of it, whose path is returned."""
    path = f"projects/{project}/topics/{topic}"
    pubsub.publisher.create_topic(request={"name": path})
    return pubsub.subscription(path, enable_message_ordering=True)


def plans(pubsub: PubSub, subscription: str, count: int) -> list[str]:
    """Pull the identify jobs of one person and list the attribute ``plan`` in the order of delivery."""
    told: list[str] = []
    while len(told) < count:
        received = pubsub.pull(subscription)
        pubsub.ack(subscription, *received)
        told += [message.message.data.decode().split('"plan":"')[1].split('"')[0] for message in received]
    return told


def outcomes(futures: list[JobFuture]) -> list[str]:
    """``sent``, or the class of the error, once every future has one."""
    return ["sent" if (error := each.exception(PATIENCE_SECONDS)) is None else type(error).__name__ for each in futures]


def test_a_job_arrives_as_it_was_made(pubsub: PubSub, project: str, publisher: Publisher) -> None:
    subscription = open_topic(pubsub, project, "cio-identify")
    message_id = publisher.identify("42", plan="pro", options=JobOptions(job_id="order-7")).result(PATIENCE_SECONDS)
    (received,) = pubsub.pull(subscription)
    assert received.message.message_id == message_id
    assert received.message.data == b'{"action":"identify","identifiers":{"id":"42"},"attributes":{"plan":"pro"}}'
    assert received.message.ordering_key == "id:42"
    assert dict(received.message.attributes) == {"job_id": "order-7"}


def test_leaving_the_block_sends_everything_in_the_order_of_the_calls(pubsub: PubSub, project: str) -> None:
    subscription = open_topic(pubsub, project, "cio-identify")
    # Three batches of one person: the client's own stop would send the first and drop the others.
    numbers = [str(number) for number in range(250)]
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": pubsub.host}):
        publisher = Publisher(project)
    with publisher:
        futures = [publisher.identify("42", plan=number) for number in numbers]
    assert all(future.done() for future in futures)
    assert set(outcomes(futures)) == {"sent"}
    assert plans(pubsub, subscription, 250) == numbers


def test_a_closed_publisher_takes_no_more_and_can_be_closed_again(publisher: Publisher) -> None:
    publisher.close()
    publisher.close()
    with pytest.raises(RuntimeError, match="stopped"):
        publisher.track("42", "order_placed")


def test_a_client_of_the_applications_own_stays_open(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    Publisher(pubsub.project, client=pubsub.publisher).close()
    assert pubsub.publish(topic)


def test_closing_waits_no_longer_than_it_is_told_and_loses_nothing(
    pubsub: PubSub, project: str, publisher: Publisher
) -> None:
    subscription = open_topic(pubsub, project, "cio-track")
    with pubsub.faults({"kind": "refuse_publish", "topic": f"projects/{project}/topics/cio-track"}):
        future = publisher.track("42", "order_placed")
        with pytest.raises(TimeoutError, match="1 jobs still wait"):
            publisher.close(0.1)
    publisher.close(PATIENCE_SECONDS)
    assert future.result(0)
    assert len(pubsub.pull(subscription)) == 1


def test_a_person_whose_job_failed_is_published_again(pubsub: PubSub, project: str, publisher: Publisher) -> None:
    assert outcomes([publisher.identify("42", plan="lost")]) == ["NotFound"]
    subscription = open_topic(pubsub, project, "cio-identify")
    assert outcomes([publisher.identify("42", plan="pro"), publisher.identify("42", plan="free")]) == ["sent", "sent"]
    assert plans(pubsub, subscription, 2) == ["pro", "free"]


def test_what_waited_behind_a_failed_job_fails_with_it_and_the_next_goes_out(
    pubsub: PubSub, project: str, single_file: Publisher
) -> None:
    futures = [single_file.identify("42", plan=str(number)) for number in range(3)]
    failed = outcomes(futures)
    assert failed[0] == "NotFound"
    assert "sent" not in failed
    subscription = open_topic(pubsub, project, "cio-identify")
    assert outcomes([single_file.identify("42", plan="pro")]) == ["sent"]
    assert plans(pubsub, subscription, 1) == ["pro"]


def test_one_persons_failure_stops_nobody_else(pubsub: PubSub, project: str, single_file: Publisher) -> None:
    failed = [single_file.identify("42", plan="pro") for _ in range(2)]
    events = open_topic(pubsub, project, "cio-track")
    assert outcomes([single_file.track("42", "order_placed")]) == ["sent"]
    assert "sent" not in outcomes(failed)
    assert len(pubsub.pull(events)) == 1


def test_threads_can_share_it(pubsub: PubSub, project: str, publisher: Publisher) -> None:
    subscription = open_topic(pubsub, project, "cio-track")
    with ThreadPoolExecutor(8) as threads:
        futures = list(threads.map(lambda n: publisher.track(f"person-{n % 9}", "order_placed", {"n": n}), range(400)))
    assert set(outcomes(futures)) == {"sent"}
    jobs: set[str] = set()
    while len(jobs) < 400:
        received = pubsub.pull(subscription)
        pubsub.ack(subscription, *received)
        jobs |= {message.message.attributes["job_id"] for message in received}
    assert len({future.result() for future in futures}) == 400


def test_threads_that_meet_failures_of_one_person_all_get_an_answer(
    pubsub: PubSub, project: str, single_file: Publisher
) -> None:
    stop = threading.Event()
    futures: list[JobFuture] = []

    def publish() -> None:
        while not stop.is_set():
            future = single_file.identify("42", plan="pro")
            futures.append(future)
            future.exception(PATIENCE_SECONDS)

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(publish) for _ in range(4)]
        while len(futures) < 100 and not any(each.done() for each in running):
            [future.exception(PATIENCE_SECONDS) for future in futures[-1:]]
        stop.set()
        for each in running:
            each.result(PATIENCE_SECONDS)
    assert "sent" not in outcomes(futures)
    subscription = open_topic(pubsub, project, "cio-identify")
    assert outcomes([single_file.identify("42", plan="free")]) == ["sent"]
    assert plans(pubsub, subscription, 1) == ["free"]


def test_a_message_above_what_pubsub_takes_is_refused(pubsub: PubSub, project: str, publisher: Publisher) -> None:
    subscription = open_topic(pubsub, project, "cio-broadcast")
    with pytest.raises(InvalidJob, match="must fit into a Pub/Sub message of 10 MB; it has 100"):
        publisher.broadcast(12, ids=["42"], data={"text": "x" * 10_000_000})
    assert outcomes([publisher.broadcast(12, ids=["42"])]) == ["sent"]
    (received,) = pubsub.pull(subscription)
    assert dict(received.message.attributes).keys() == {"job_id"}


def test_threads_can_be_the_first_to_use_it() -> None:
    # In a process of its own, since it is about what nothing has used before; there it would crash.
    program = """
import sys, threading
from tests.publisher.recording import recording
sys.setswitchinterval(1e-6)
publisher, messages = recording()
start = threading.Barrier(16)
def publish():
    start.wait()
    publisher.identify("42", plan="pro")
threads = [threading.Thread(target=publish) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(messages))
"""
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout) == (0, "16\n"), run.stderr


def test_an_application_gets_none_of_the_functions_parts_with_it() -> None:
    program = "import sys, shared.publisher; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    ours = {name.split(".")[1] for name in loaded if name.startswith("shared.")}
    assert ours == {"attributes", "deadlines", "errors", "forgetting", "jobs", "outcome", "publisher", "topology"}
    assert loaded.isdisjoint({"aiohttp", "functions_framework", "httpx", "starlette"})
