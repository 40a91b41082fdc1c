"""The promise under faults, in a run short enough for every change; ``make faults`` is the long one."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shared.customerio.signature import sign
from shared.jobs import new_ulid
from shared.topology import topology
from tests.faults.injector import frozen, pause
from tests.faults.run import idle, run
from tests.stack.stack_helpers import RunningStack, post, running_stack, until

pytestmark = pytest.mark.slow

# An outage without a reason is paused after a minute, and the breaker's own pauses are not scaled.
LONG = 150


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("faults"), {}) as running:
        yield running


def person_there(stack: RunningStack, identifier: str) -> bool:
    return stack.person(identifier) is not None


def lines(stack: RunningStack, function: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.log(function).splitlines() if line.startswith("{")]


def test_nothing_is_lost_or_repeated_under_a_fifth_of_faults(stack: RunningStack) -> None:
    result = run(stack, jobs=400, seed=11, per_second=80, patience=60)
    assert result.faults() == [], str(result)


def is_paused(stack: RunningStack, kind: str) -> bool:
    names = topology().topics[kind].push_subscriptions
    with stack.subscriber() as client:
        return not any(
            client.get_subscription(
                subscription=client.subscription_path(stack.project, name)
            ).push_config.push_endpoint
            for name in names
        )


def test_an_outage_is_waited_out_and_holds_up_no_other_kind(stack: RunningStack) -> None:
    """The Track API is away until its jobs are paused; the App API is there, and sends do not notice."""
    stack.faults({"host": "track", "status": 503})
    try:
        for n in range(30):
            stack.publish("cio-track", {"identifiers": {"id": f"outage-{n}"}, "name": "came"})
        until(lambda: is_paused(stack, "track"), "the pause", patience=LONG)
        started = time.monotonic()
        meanwhile = new_ulid()
        stack.publish(
            "cio-send",
            {"to": "o@example.com", "identifiers": {"id": "o"}, "transactional_message_id": 1},
            job_id=meanwhile,
        )
        until(lambda: meanwhile in stack.log("send"), "a send meanwhile")
        assert time.monotonic() - started < 2
    finally:
        stack.faults()
    until(lambda: all(person_there(stack, f"outage-{n}") for n in range(30)), "all jobs done", patience=LONG)
    assert stack.dead_letters("track") == []


def test_a_wrong_key_is_waited_out_with_one_critical_line(stack: RunningStack) -> None:
    before = sum(line["severity"] == "CRITICAL" for line in lines(stack, "identify"))
    stack.faults({"host": "track", "status": 401})
    try:
        for n in range(30):
            stack.publish("cio-identify", {"identifiers": {"id": f"key-{n}"}})

        def turned_away() -> bool:
            return any(line.get("reason") == "credentials_refused" for line in lines(stack, "identify"))

        until(turned_away, "a job to be turned away")  # the pause may come before the others are pushed
        until(lambda: is_paused(stack, "identify"), "the pause")
    finally:
        stack.faults()
    done = "all jobs done, by the same process"
    until(lambda: all(person_there(stack, f"key-{n}") for n in range(30)), done, patience=LONG)
    critical = [line for line in lines(stack, "identify") if line["severity"] == "CRITICAL"][before:]
    assert [line["reason"] for line in critical] == ["credentials_refused"]
    assert stack.dead_letters("identify") == []


def test_the_webhook_answers_in_time_while_pubsub_does_not(stack: RunningStack) -> None:
    key = stack.environment["CUSTOMERIO_WEBHOOK_SIGNING_KEY"]
    url = stack.environment["CUSTOMERIO_WEBHOOK_URL"]

    def deliver(number: int) -> tuple[int, float]:
        event = {"event_id": f"stalled-{number}", "metric": "sent", "object_type": "email", "timestamp": 1767225600}
        body = json.dumps({**event, "data": {}}).encode()
        started = time.monotonic()
        status = post(url, body, {"X-CIO-Timestamp": "1767225600", "X-CIO-Signature": sign(key, "1767225600", body)})
        return status, time.monotonic() - started

    assert deliver(0)[0] == 200
    with frozen(stack, "pubsub"):
        stalled = [deliver(number) for number in range(1, 4)]
    assert [status for status, _ in stalled] == [503] * 3
    assert max(seconds for _, seconds in stalled) < 4
    assert [deliver(number)[0] for number in range(1, 4)] == [200] * 3

    def arrived() -> bool:
        return {f"stalled-{n}" for n in range(4)} <= {
            row["event_id"] for row in stack.rows("event_id LIKE 'stalled-%'")
        }

    until(arrived, "every event in BigQuery")


def test_events_wait_while_bigquery_is_away(stack: RunningStack) -> None:
    with frozen(stack, "bigquery"):
        body = {"to": "b@example.com", "identifiers": {"id": "b"}, "transactional_message_id": 1}
        stack.publish("cio-send", body)
        pause(1.0)

    def arrived() -> bool:
        sent = [each for each in stack.simulator("deliveries") if each["recipient"] == "b@example.com"]
        return len(sent) == 1 and len(stack.rows(f"delivery_id = '{sent[0]['delivery_id']}'")) >= 3

    until(arrived, "the events")
    until(lambda: idle(stack), "every delivery to end")
    assert stack.dead_letters("events") == []
