"""What a call returns, who hears of a failed job, and clients that are no clients."""

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from unittest import mock
from unittest.mock import MagicMock

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import PublisherClient

from shared.jobs import is_ulid
from shared.publisher import FailedJob, JobOptions, Publisher
from shared.publisher.failures import advice_for
from shared.testing import RecordingPublisher
from tests.local_pubsub.broker_helpers import PubSub
from tests.publisher.test_publishing import PATIENCE_SECONDS, open_topic

TOPIC = "projects/project-1/topics/cio-track"


@pytest.fixture
def project() -> str:
    return f"project-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def failed() -> list[FailedJob]:
    return []


@pytest.fixture
def publisher(pubsub: PubSub, project: str, failed: list[FailedJob]) -> Iterator[Publisher]:
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": pubsub.host}):
        made = Publisher(project, on_error=failed.append)
    yield made
    made.close(PATIENCE_SECONDS)


def test_a_call_returns_the_jobs_id(publisher: Publisher, pubsub: PubSub, project: str) -> None:
    open_topic(pubsub, project, "cio-track")
    made = publisher.track("42", "bought")
    named = publisher.track("42", "bought", options=JobOptions(job_id="order-7"))
    assert is_ulid(made.job_id)
    assert (named.job_id, named.kind) == ("order-7", "track")
    assert made.result(PATIENCE_SECONDS) != named.result(PATIENCE_SECONDS)
    assert made.done()


def test_a_callback_is_given_the_job(publisher: Publisher, pubsub: PubSub, project: str) -> None:
    open_topic(pubsub, project, "cio-track")
    called, told = threading.Event(), []
    job = publisher.track("42", "bought")
    job.add_done_callback(lambda each: (told.append(each.job_id), called.set()))
    assert called.wait(PATIENCE_SECONDS)
    assert told == [job.job_id]


async def test_a_job_can_be_awaited_without_blocking_the_loop(
    publisher: Publisher, pubsub: PubSub, project: str
) -> None:
    open_topic(pubsub, project, "cio-track")
    topic = f"projects/{project}/topics/cio-track"
    with pubsub.faults({"kind": "refuse_publish", "topic": topic}):
        job = asyncio.ensure_future(awaited(publisher))
        # The loop goes on while the job waits.
        for _ in range(10):
            await asyncio.sleep(0)
        assert not job.done()
    assert await asyncio.wait_for(job, PATIENCE_SECONDS)


async def awaited(publisher: Publisher) -> str:
    return await publisher.track("42", "bought")


async def test_an_awaited_job_that_fails_raises(publisher: Publisher) -> None:
    with pytest.raises(exceptions.NotFound):
        await publisher.track("42", "bought")


def test_a_reason_is_logged_once_and_every_job_is_given_to_on_error(
    publisher: Publisher, failed: list[FailedJob], project: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "customerio_jobs"):
        jobs = [publisher.track("42", "bought", {"secret": "canary"}) for _ in range(5)]
        assert publisher.close(PATIENCE_SECONDS) == 5
    (record,) = caplog.records
    assert f"the topic projects/{project}/topics/cio-track does not exist. Check the project" in record.getMessage()
    assert {each.job_id for each in failed} == {job.job_id for job in jobs}
    assert all(isinstance(each.error, exceptions.NotFound) and each.advice in record.getMessage() for each in failed)
    assert "canary" not in caplog.text


def test_on_error_may_publish(pubsub: PubSub, project: str) -> None:
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": pubsub.host}):
        publisher = Publisher(project, on_error=lambda _: publisher.track("operator", "job_failed"))
    events = open_topic(pubsub, project, "cio-track")
    for _ in range(20):
        publisher.identify("42", plan="pro")
    assert publisher.close(PATIENCE_SECONDS) == 20
    assert len(pubsub.pull(events, 20)) == 20


def test_an_on_error_that_raises_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def raises(_: FailedJob) -> None:
        raise ValueError("mine")

    publisher = RecordingPublisher(on_error=raises, fail_with=exceptions.PermissionDenied("no"))
    for _ in range(2):
        publisher.track("42", "bought")
    assert publisher.close(1) == 2
    assert sum("on_error raised" in record.getMessage() for record in caplog.records) == 2


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (exceptions.NotFound("x"), "the topic projects/project-1/topics/cio-track does not exist. Check the project"),
        (exceptions.PermissionDenied("x"), "may not publish to projects/project-1/topics/cio-track. Grant its service"),
        (exceptions.Unauthenticated("x"), "does not accept this application's credentials for project-1"),
        (RuntimeError("x"), "an earlier job of the same person failed"),
        (exceptions.InvalidArgument("x"), "Pub/Sub refused the job for projects/project-1/topics/cio-track (Invalid"),
    ],
)
def test_each_reason_says_what_to_do(error: Exception, advice: str) -> None:
    assert advice in advice_for(error, TOPIC)


@pytest.mark.parametrize("client", [MagicMock(), mock.create_autospec(PublisherClient, instance=True)])
def test_a_mocked_client_hangs_nothing(client: PublisherClient) -> None:
    publisher = Publisher("project-1", client=client)
    job = publisher.identify("42", plan="pro")
    assert job.done()
    assert (publisher.flush(1), publisher.close(1)) == (0, 0)


def test_a_mocked_client_is_given_the_message() -> None:
    client = MagicMock()
    with Publisher("project-1", client=client) as publisher:
        publisher.track("42", "bought", options=JobOptions(job_id="order-7"))
    client.publish.assert_called_once_with(
        TOPIC, b'{"action":"event","identifiers":{"id":"42"},"name":"bought"}', ordering_key="", job_id="order-7"
    )


def test_a_fake_that_fails_shows_how_the_application_takes_it() -> None:
    failed: list[FailedJob] = []
    publisher = RecordingPublisher(on_error=failed.append, fail_with=exceptions.PermissionDenied("no"))
    job = publisher.track("42", "bought")
    with pytest.raises(exceptions.PermissionDenied):
        job.result(1)
    assert [each.job_id for each in failed] == [job.job_id]
    assert publisher.jobs == []
