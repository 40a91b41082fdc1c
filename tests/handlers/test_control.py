"""control over the local Pub/Sub: who pauses, who resumes, and what Terraform, an operator or a cut leave behind."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable

from shared import control_message
from shared.control_message import PauseRequest, Tick
from shared.customerio.http import BearerCredentials
from shared.customerio.probe import send_probe, track_probe
from shared.errors import InvalidJob
from shared.handlers.control import Control
from shared.handlers.pauses import Pauses
from shared.outcome import Done, Retry
from shared.pubsub import pause
from shared.pubsub.message import PushMessage
from shared.pubsub.pause import Pace, PushState
from shared.pubsub.push_switch import PushSwitch
from shared.push_targets import PushTarget
from shared.secrets import EnvironmentSecret
from shared.telemetry import Telemetry
from tests.customerio.conftest import Connect, Upstream, status
from tests.local_pubsub.broker_helpers import PubSub

ENDPOINT = "http://127.0.0.1:9/send"
ACCOUNT = "push@example.iam.gserviceaccount.com"


class Around:
    """control with two kinds, ``send`` with two lanes and ``track`` with one; its clock is moved by hand."""

    def __init__(self, broker: PubSub, connect: Connect, upstream: Upstream, **switch: Any) -> None:
        self.broker = broker
        topic = broker.topic()
        self.send = tuple(broker.push_subscription(topic, ENDPOINT, labels={"team": "crm"}) for _ in range(2))
        self.track = broker.push_subscription(topic, "http://127.0.0.1:9/track")
        self.now = time.time()
        targets = {
            "send": PushTarget(self.send, ENDPOINT, ACCOUNT, ENDPOINT),
            "track": PushTarget((self.track,), "http://127.0.0.1:9/track"),
        }
        self.switch = PushSwitch(
            targets, Pace(), **({"client": lambda: broker.subscriber, "now": lambda: self.now} | switch)
        )
        connection = connect(upstream.url, BearerCredentials(EnvironmentSecret("key")))
        probes = {"send": send_probe(connection), "track": track_probe(connection)}
        pauses = Pauses(self.switch, probes, Telemetry("control", "control", "p"))
        self.control = Control(pauses, self.switch.kinds)

    async def tick(self, seconds: float = 0) -> None:
        self.now += seconds
        assert await self.control(message(Tick())) == Done()

    async def asked(self, kind: str = "send", reason: str = "credentials_refused") -> None:
        assert await self.control(message(PauseRequest(kind, reason))) == Done()

    def state(self, subscription: str) -> PushState:
        return pause.decode(self.broker.subscriber.get_subscription(subscription=subscription).labels)

    def pushing(self) -> list[bool]:
        """Whether each lane pushes: both of send, then track's."""
        found = [self.broker.subscriber.get_subscription(subscription=name) for name in (*self.send, self.track)]
        return [bool(each.push_config.push_endpoint) for each in found]

    def set(self, subscription: str, **fields: object) -> None:
        request = {"subscription": {"name": subscription, **fields}, "update_mask": {"paths": list(fields)}}
        self.broker.subscriber.update_subscription(request=request)


def message(request: PauseRequest | Tick, age: float = 0) -> PushMessage:
    published = datetime.now(UTC) - timedelta(seconds=age)
    data = control_message.encode(request)
    return PushMessage(key="1", is_named=False, data=data, attributes={}, first_published_at=published)


@pytest.fixture
def around(broker: PubSub, connect: Connect, upstream: Upstream) -> Around:
    return Around(broker, connect, upstream)


async def test_a_request_pauses_all_lanes_of_its_kind_and_no_other(around: Around) -> None:
    await around.asked()
    assert around.pushing() == [False, False, True]
    state = around.state(around.send[0])
    assert (state.paused_by, state.reason, state.since) == ("customerio", "credentials_refused", int(around.now))
    await around.asked(reason="server_error")
    assert around.state(around.send[0]) == state


async def test_push_comes_back_as_it_was_when_a_probe_is_taken(around: Around, upstream: Upstream) -> None:
    await around.asked()
    upstream.then(status(503), status(400))
    await around.tick(60)
    assert around.pushing() == [False, False, True]
    await around.tick(60)
    assert around.pushing() == [True, True, True]
    found = around.broker.subscriber.get_subscription(subscription=around.send[0])
    assert found.push_config.push_endpoint == ENDPOINT
    assert found.push_config.oidc_token.service_account_email == ACCOUNT
    assert found.push_config.oidc_token.audience == ENDPOINT
    assert found.labels["team"] == "crm"
    await around.tick(601)
    assert dict(around.broker.subscriber.get_subscription(subscription=around.send[0]).labels) == {"team": "crm"}


async def test_nothing_is_probed_while_nothing_is_paused_and_once_a_tick_otherwise(
    around: Around, upstream: Upstream
) -> None:
    await around.tick(60)
    assert upstream.paths == []
    upstream.then(*[status(500)] * 6)
    await around.asked("send")
    await around.asked("track")
    for _ in range(3):
        await around.tick(60)
    assert sorted(upstream.paths) == ["/api/v2/batch"] * 3 + ["/v1/send/email"] * 3


async def test_one_api_that_is_back_does_not_wait_for_the_other(around: Around, upstream: Upstream) -> None:
    await around.asked("send")
    await around.asked("track")

    async def by_path(request: Any, body: bytes) -> Any:
        return await status(503 if request.path.startswith("/v1") else 400)(request, body)

    upstream.then(by_path, by_path)
    await around.tick(60)
    assert around.pushing() == [False, False, True]


async def test_an_apply_during_a_pause_is_undone_at_the_next_tick(around: Around, upstream: Upstream) -> None:
    await around.asked()
    around.set(around.send[0], push_config={"push_endpoint": ENDPOINT})
    assert around.pushing() == [True, False, True]
    upstream.then(status(401), status(401))
    await around.tick(60)
    assert around.pushing() == [False, False, True]


async def test_a_request_that_was_cut_between_two_lanes_is_finished_when_it_comes_again(around: Around) -> None:
    state = pause.pause_for_customerio(PushState(), "server_error", around.now, Pace())
    around.set(around.send[0], labels=pause.encode(state, {}), push_config={})
    await around.asked()
    assert around.pushing() == [False, False, True]
    await around.tick(60)
    assert around.pushing() == [True, True, True]


async def test_no_probe_ends_an_operators_pause_and_its_time_does(around: Around, upstream: Upstream) -> None:
    state = pause.pause_for_operator("wrong template", around.now, around.now + 7200)
    for name in around.send:
        around.set(name, labels=pause.encode(state, {}), push_config={})
    await around.asked()
    for _ in range(3):
        await around.tick(600)
    assert around.pushing() == [False, False, True]
    assert upstream.paths == []
    assert around.state(around.send[0]) == state
    await around.tick(5400)
    assert around.pushing() == [True, True, True]


async def test_an_operators_pause_after_an_apply_is_restored_too(around: Around) -> None:
    state = pause.pause_for_operator("stop", around.now)
    around.set(around.send[0], labels=pause.encode(state, {}))
    await around.tick()
    assert around.pushing() == [False, True, True]


async def test_push_without_a_mark_is_put_back(around: Around) -> None:
    """So ``ops resume`` works: it takes the mark away, which needs no knowledge of the push config."""
    around.set(around.send[0], push_config={})
    await around.tick()
    assert around.pushing() == [True, True, True]


async def test_a_pause_that_begins_again_at_once_is_probed_after_twice_the_time(
    around: Around, upstream: Upstream
) -> None:
    await around.asked()
    await around.tick(60)
    around.now += 5
    await around.asked()
    probes = len(upstream.paths)
    await around.tick(60)
    assert (len(upstream.paths), around.pushing()) == (probes, [False, False, True])
    await around.tick(60)
    assert around.pushing() == [True, True, True]


async def test_what_is_older_than_two_minutes_changes_nothing(around: Around) -> None:
    assert await around.control(message(PauseRequest("send", "server_error"), age=121)) == Done(how="unchanged")
    assert around.pushing() == [True, True, True]


async def test_a_kind_that_cannot_be_paused_is_refused(around: Around) -> None:
    with pytest.raises(InvalidJob, match="kind: must be one of send, track"):
        await around.control(message(PauseRequest("events", "server_error")))


async def test_a_pubsub_that_is_away_is_tried_again(broker: PubSub, connect: Connect, upstream: Upstream) -> None:
    class Away:
        def get_subscription(self, **_: object) -> None:
            raise ServiceUnavailable("canary")

    around = Around(broker, connect, upstream, client=Away)
    for request in (Tick(), PauseRequest("send", "server_error")):
        outcome = await around.control(message(request))
        assert isinstance(outcome, Retry)
        assert outcome.reason == "pubsub_unavailable"
        assert "canary" not in outcome.message


async def test_the_log_says_what_begins_goes_on_and_ends(
    around: Around, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.then(status(500), status(400))
    await around.asked()
    await around.tick(60)
    await around.tick(60)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line["severity"], line["outcome"], line.get("reason")) for line in lines] == [
        ("send", "ERROR", "paused", "credentials_refused"),
        ("send", "WARNING", "still_paused", "credentials_refused"),
        ("send", "INFO", "resumed", None),
    ]
