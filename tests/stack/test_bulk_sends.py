"""Bulk sends through a whole stack, and a function that is killed while it drains them."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from shared.topology import topology
from tests.stack.stack_helpers import RunningStack, running_stack, until

pytestmark = pytest.mark.slow

_BULK = 300
_SEND = topology().topics["send"]
# What the killed instance had pulled comes again at its ack deadline, which no time scale divides.
_LONG = 3 * topology().lanes["bulk"].ack_deadline_seconds


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("bulk"), {}) as running:
        yield running


def publish(stack: RunningStack, markers: Sequence[str], **attributes: str) -> None:
    topic = f"projects/{stack.project}/topics/{_SEND.name}"
    bodies = [
        {"to": f"{marker}@example.com", "identifiers": {"id": marker}, "transactional_message_id": 7}
        for marker in markers
    ]
    for future in [stack.publisher.publish(topic, json.dumps(body).encode(), **attributes) for body in bodies]:
        future.result(timeout=20)


def sent(stack: RunningStack) -> list[str]:
    """Ids of those who were written to, in the order of the requests."""
    requests = stack.simulator("requests?since=0")
    return [each["body"]["identifiers"]["id"] for each in requests if each["path"].startswith("/v1/send/")]


def test_a_kill_while_300_bulk_sends_go_loses_none_and_repeats_none(stack: RunningStack) -> None:
    bulk = [f"bulk-{n}" for n in range(_BULK)]
    publish(stack, bulk, priority="bulk", delivery_guarantee="at_most_once")
    until(lambda: len(sent(stack)) >= 20, "the first sends")
    killed = stack.pids()["send"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: stack.pids().get("send") != killed, "another process")

    urgent = [f"urgent-{n}" for n in range(5)]
    publish(stack, urgent)
    until(lambda: set(urgent) <= set(sent(stack)), "the urgent sends")

    # At most once: a call that was on the wire at the kill is for a person to look at, and never made again.
    undecided: list[str] = []

    def all_settled() -> bool:
        for body, attributes in stack.dead_letters("send"):
            assert attributes["class"] == "unknown_outcome"
            undecided.append(json.loads(body)["identifiers"]["id"])
        return {*sent(stack), *undecided} >= set(bulk)

    until(all_settled, "every bulk send", patience=_LONG, every=0.5)
    assert {marker: times for marker, times in Counter(sent(stack)).items() if times > 1} == {}
    assert len(undecided) <= 20, "only calls that were on the wire"


def test_bulk_and_urgent_sends_all_arrive_once_and_none_is_refused(stack: RunningStack) -> None:
    already = len(sent(stack))
    before = stack.broker("stats")["subscriptions"]
    bulk, urgent = [f"mailing-{n}" for n in range(_BULK)], [f"reset-{n}" for n in range(5)]
    publish(stack, bulk, priority="bulk")
    publish(stack, urgent)
    until(lambda: set(sent(stack)[already:]) >= {*bulk, *urgent}, "all sends")
    order = sent(stack)[already:]
    assert sorted(order) == sorted([*bulk, *urgent]), "each once"
    lanes = [f"projects/{stack.project}/subscriptions/{hop.subscription}" for hop in _SEND.hops]

    def all_acknowledged() -> bool:
        return all(stack.broker("stats")["subscriptions"][lane]["backlog"] == 0 for lane in lanes)

    until(all_acknowledged, "empty lanes")
    after = stack.broker("stats")["subscriptions"]
    assert [after[lane]["nacked"] - before[lane]["nacked"] for lane in lanes] == [0] * len(lanes)
    [main] = [lane for lane in lanes if lane.endswith(_SEND.name)]
    assert after[main]["acked"] - before[main]["acked"] == len(urgent), "no bulk send is pushed as a job"
