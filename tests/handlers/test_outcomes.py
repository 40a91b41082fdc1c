"""What functions publish about their jobs: every send, failure and retry, a share of the rest; no push fails by it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared import deadlines
from shared.lifetime import Lifetime
from shared.outcome import Done
from shared.outcome_message import OutcomeMessage
from shared.pubsub import outcomes as module
from shared.pubsub.message import read_push
from shared.pubsub.outcomes import OutcomePublisher
from shared.pubsub.topic import TopicPublisher
from shared.telemetry import Telemetry
from tests.customerio.conftest import Upstream, status
from tests.function_process import running_function
from tests.handlers.conftest import Make, opened
from tests.handlers.handler_helpers import ADDRESS, CANARY, PROJECT, Around, Function, Push, lines
from tests.webhook.conftest import FakePubSub

OUTCOMES = f"projects/{PROJECT}/topics/cio-outcomes"
EMAIL = {"to": ADDRESS, "transactional_message_id": "welcome", "identifiers": {"id": CANARY}, "message_data": {"a": 1}}
BOUGHT = {"identifiers": {"id": "42"}, "name": "bought"}

Observed = Callable[..., Function]


@pytest_asyncio.fixture(scope="session")
async def outcomes_topic(pubsub_server: FakePubSub) -> AsyncIterator[TopicPublisher]:
    async with opened(OUTCOMES, pubsub_server) as made:
        yield made


@pytest.fixture
def observed(function: Make, around: Around, outcomes_topic: TopicPublisher) -> Observed:
    """Makes a function that publishes its outcomes."""

    def make(kind: str, *, sample: float = 1.0, **options: Any) -> Function:
        publisher = OutcomePublisher(
            outcomes_topic,
            Telemetry(kind, kind, PROJECT),
            function=kind,
            kind=kind,
            sample=sample,
            lifetime=around.lifetime,
        )
        return function(kind, outcomes=publisher, **options)

    return make


def published(around: Around) -> list[OutcomeMessage]:
    return [OutcomeMessage.decode(data) for topic, data, _ in around.pubsub.published if topic == OUTCOMES]


async def test_a_send_tells_its_delivery_id_and_nothing_about_the_person(observed: Observed, around: Around) -> None:
    around.upstream.then(status(200, {"delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY", "queued_at": 1}))
    send = observed("send")
    assert await send.push(Push(EMAIL, {"job_id": "welcome-42"}, attempt=2)) == 204
    [outcome] = published(around)
    assert (outcome.outcome, outcome.how, outcome.delivery_id) == ("done", "applied", "RPILAgUBcRhIBqSfeiIwdIYJKxTY")
    assert (outcome.function, outcome.kind, outcome.job_id) == ("send", "send", "welcome-42")
    assert (outcome.message_id, outcome.attempt, outcome.lane) == ("1", 2, "main")
    assert outcome.published_at == datetime.fromisoformat("2026-05-01T12:00:00.123Z")
    assert outcome.latency_seconds == pytest.approx((outcome.at - outcome.published_at).total_seconds(), abs=0.001)
    assert outcome.subject_hash == Telemetry("send", "send", PROJECT).hashed(f"id:{CANARY}")
    [(_, data, attributes)] = around.pubsub.published
    assert attributes == {"kind": "send", "outcome": "done", "job_id": "welcome-42"}
    assert CANARY.encode() not in data


async def test_a_send_that_was_done_before_tells_the_same_delivery_id(observed: Observed, around: Around) -> None:
    around.upstream.then(status(200, {"delivery_id": "first"}))
    send = observed("send")
    assert [await send.push(Push(EMAIL)) for _ in range(2)] == [204, 204]
    assert [(each.how, each.delivery_id) for each in published(around)] == [
        ("applied", "first"),
        ("already_done", "first"),
    ]


async def test_a_broadcast_tells_its_trigger(observed: Observed, around: Around) -> None:
    around.upstream.then(status(200, {"id": 77}))
    assert await observed("broadcast").push(Push({"broadcast_id": 3, "ids": ["42"]})) == 204
    [outcome] = published(around)
    assert (outcome.outcome, outcome.trigger_id, outcome.delivery_id) == ("done", "77", "")


async def test_each_delivery_until_the_dead_letter_is_told_with_its_reason(observed: Observed, around: Around) -> None:
    around.upstream.then(*(status(code) for code in (500, 503, 503)), status(400, {"meta": {"error": "no such id"}}))
    send, job = observed("send"), Push(EMAIL, {"job_id": "j"})
    answers = [await send.push(replace(job, attempt=attempt)) for attempt in (1, 4, 5)]
    assert [*answers, await send.push(job.in_retry_lane())] == [503, 503, 204, 204]
    told = published(around)
    assert all(each.requested for each in told)
    assert [(each.outcome, each.status, each.lane, each.attempt) for each in told] == [
        ("retried", 500, "main", 1),
        ("retried", 503, "main", 4),
        ("moved", 503, "main", 5),
        ("failed", 400, "retry", 1),
    ]
    assert {each.job_id for each in told} == {"j"}
    assert (told[0].reason, told[-1].error_class) == ("server_error", "rejected")


async def test_a_job_that_is_held_back_after_anothers_answer_says_that_it_asked_nothing(
    observed: Observed, around: Around
) -> None:
    around.upstream.then(status(429, Retry_After="30"))
    send = observed("send")
    assert [await send.push(Push(EMAIL, {"job_id": job})) for job in ("asks", "held")] == [429, 429]
    assert [(each.job_id, each.status, each.requested) for each in published(around)] == [
        ("asks", 429, True),
        ("held", 429, False),
    ]
    assert len(around.upstream.bodies) == 1


async def test_the_publishers_trace_is_continued_also_after_a_move(observed: Observed, around: Around) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    send = observed("send")
    attributes = {"googclient_traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    job = Push(EMAIL, attributes | {"traceparent": attributes["googclient_traceparent"]})
    around.upstream.then(status(503))
    assert [await send.push(replace(job, attempt=5)), await send.push(job.in_retry_lane())] == [204, 204]
    assert [(each.outcome, each.trace_id) for each in published(around)] == [("moved", trace), ("done", trace)]


async def test_a_key_with_an_address_in_it_is_hashed(observed: Observed, around: Around) -> None:
    assert await observed("send").push(Push(b"no json", {"job_id": ADDRESS})) == 204
    [outcome] = published(around)
    assert outcome.job_id.startswith("hashed-")
    told = [(data, attributes) for topic, data, attributes in around.pubsub.published if topic == OUTCOMES]
    assert CANARY not in repr(told)


async def test_successes_are_sampled_by_job_and_failures_are_not(observed: Observed, around: Around) -> None:
    unsampled, half = observed("track", sample=0.0), observed("track", sample=0.5)
    assert await unsampled.push(Push(BOUGHT, {"job_id": "j"})) == 204
    assert published(around) == []
    assert await unsampled.push(Push(b"[]", {"job_id": "refused"})) == 204
    assert [each.job_id for each in published(around)] == ["refused"]
    around.pubsub.published.clear()
    jobs = [Push(BOUGHT, {"job_id": f"job-{number}"}) for number in range(200)]
    for _ in range(2):
        assert set(await asyncio.gather(*map(half.push, jobs))) == {204}
    told = [each.job_id for each in published(around)]
    assert 60 < len(set(told)) < 140
    assert sorted(told) == sorted([*set(told)] * 2)


async def test_a_push_is_answered_when_pubsub_takes_no_outcomes(
    observed: Observed, around: Around, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "LOST_OUTCOMES_LOG_SECONDS", 0.0)
    around.pubsub.down = True
    assert await observed("send").push(Push(EMAIL)) == 204
    told = lines(capsys.readouterr().out)
    assert [line["outcome"] for line in told] == ["applied", "outcomes_lost"]
    assert told[-1]["message"].startswith(f"1 outcomes could not be published to {OUTCOMES}")


class HeldTopic(TopicPublisher):
    """A topic that confirms what is published when it is let go."""

    def __init__(self) -> None:
        super().__init__(OUTCOMES, timeout=1.0)
        self.let_go = asyncio.Event()

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:  # noqa: ARG002
        await self.let_go.wait()
        return "1"


async def test_one_push_waits_for_a_slow_pubsub_and_the_next_ones_only_when_it_confirms_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = 0
    wait = asyncio.wait

    async def counted(tasks: Any, **options: Any) -> Any:
        nonlocal waits
        waits += 1
        return await wait(tasks, **options)

    monkeypatch.setattr(asyncio, "wait", counted)
    monkeypatch.setattr(deadlines, "OUTCOME_WAIT_SECONDS", 0.01)
    topic, log = HeldTopic(), Telemetry("send", "send", PROJECT)
    publisher = OutcomePublisher(topic, log, function="send", kind="send", sample=1, lifetime=Lifetime())
    message = read_push(Push(EMAIL).body())
    going_on = [await publisher.publish(message, Done(), "") for _ in range(3)]
    assert waits == 1
    topic.let_go.set()
    await asyncio.gather(*(task for task in going_on if task))
    assert [await publisher.publish(message, Done(), "") for _ in range(2)] == [None, None]
    assert (len(list(filter(None, going_on))), waits) == (3, 3)


async def test_what_has_no_room_is_lost_and_counted(
    observed: Observed, around: Around, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 5)
    around.pubsub.delay = 0.3
    send = observed("send")
    answers = await asyncio.gather(*(send.push(Push(EMAIL, {"job_id": f"j{number}"})) for number in range(20)))
    assert set(answers) == {204}
    assert len(published(around)) == 5
    lost = [line for line in lines(capsys.readouterr().out) if line["outcome"] == "outcomes_lost"]
    assert len(lost) == 1  # the others are counted in the next minute's line, or at the end
    around.lifetime.end()
    await asyncio.sleep(0)  # log lines of one turn of the loop are written in the next
    [line] = lines(capsys.readouterr().out)
    assert line["message"].startswith("14 outcomes")


def test_every_field_reaches_the_row_under_its_own_name() -> None:
    data = json.dumps(
        {
            "function": "send", "kind": "send", "job_id": "j", "outcome": "failed", "at": "2026-05-01T12:00:02Z",
            "published_at": "2026-05-01T12:00:00Z", "latency_seconds": 2, "message_id": "7", "attempt": 3,
            "lane": "retry", "error_class": "rejected", "reason": "r", "status": 400, "subject_hash": "s",
            "trace_id": "t", "requested": True,
            "delivery_id": "d", "trigger_id": "9", "how": "applied", "from_a_later_version": 1,
        }
    ).encode()  # fmt: skip
    outcome = OutcomeMessage.decode(data)
    assert json.loads(outcome.encode()) | {"from_a_later_version": 1} == json.loads(data)


async def test_what_is_not_confirmed_yet_is_published_before_the_instance_ends(
    pubsub: FakePubSub, upstream: Upstream, tmp_path: Path
) -> None:
    environment = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "PUBSUB_EMULATOR_HOST": pubsub.address,
        "DEAD_LETTER_TOPIC": f"projects/{PROJECT}/topics/cio-send-dead-letter",
        "OUTCOMES_TOPIC": OUTCOMES,
        "CONTROL_TOPIC": f"projects/{PROJECT}/topics/cio-control",
        "RECIPIENTS": '{"everybody": true}',
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_APP_URL": upstream.url,
        "CUSTOMERIO_APP_API_KEY": "app-key",
        "LEDGER": f"sqlite:{tmp_path / 'ledger.sqlite'}",
    }
    pubsub.delay = 3.0
    async with running_function("send", environment, tmp_path / "log") as send, httpx.AsyncClient(timeout=20) as caller:
        assert (await caller.post(send.url, content=Push(EMAIL).body())).status_code == 204
        assert pubsub.published == []  # the push did not wait for it
        os.killpg(send.pid, signal.SIGTERM)
        await asyncio.wait_for(send.exited(), deadlines.SHUTDOWN_SECONDS)
    assert [topic for topic, _, _ in pubsub.published] == [OUTCOMES]
