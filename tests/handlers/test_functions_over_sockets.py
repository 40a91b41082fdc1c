"""Each function as it is deployed: a process of its own, pushes over a socket, dead letters to a broker."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.handlers import broadcast, identify, send, sync, track
from shared.settings import Settings, SettingsError
from shared.topology import topology
from tests.customerio.conftest import Upstream, status
from tests.function_process import running_function
from tests.handlers.handler_helpers import ADDRESS, CANARY, Push
from tests.local_pubsub.broker_helpers import PubSub

JOBS: dict[str, dict[str, Any]] = {
    "identify": {"identifiers": {"email": ADDRESS}, "attributes": {"name": CANARY}},
    "track": {"identifiers": {"email": ADDRESS}, "name": "bought"},
    "send": {"identifiers": {"email": ADDRESS}, "transactional_message_id": 1, "to": ADDRESS},
    "broadcast": {"broadcast_id": 12, "emails": [ADDRESS]},
    "sync": {"id": CANARY, "email": ADDRESS},
}
ENDPOINTS = {
    "identify": identify.endpoint,
    "track": track.endpoint,
    "send": send.endpoint,
    "broadcast": broadcast.endpoint,
    "sync": sync.endpoint,
}
PATHS = dict.fromkeys(JOBS, "/api/v2/batch") | {"send": "/v1/send/email", "broadcast": "/v1/campaigns/12/triggers"}


@pytest.mark.parametrize("kind", JOBS)
async def test_a_push_is_a_call_and_a_failure_a_dead_letter(
    kind: str, upstream: Upstream, broker: PubSub, tmp_path: Path
) -> None:
    function = topology().topics[kind].function
    topic = await asyncio.to_thread(broker.topic)
    dead_letters = await asyncio.to_thread(broker.subscription, topic)
    environment = {
        "GOOGLE_CLOUD_PROJECT": broker.project,
        "PUBSUB_EMULATOR_HOST": broker.host,
        "DEAD_LETTER_TOPIC": topic,
        "CONTROL_TOPIC": await asyncio.to_thread(broker.topic),
        "CUSTOMERIO_REGION": "eu",
        "CUSTOMERIO_TRACK_URL": upstream.url,
        "CUSTOMERIO_APP_URL": upstream.url,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "track-key",
        "CUSTOMERIO_APP_API_KEY": "app-key",
        "RECIPIENTS": '{"everybody": true}',
        "LEDGER": f"sqlite:{tmp_path / 'ledger.sqlite'}",
    }
    complaint = {"errors": [{"batch_index": 0, "reason": "invalid", "field": "email", "message": f"no {ADDRESS}"}]}
    upstream.then(status(503), status(200), status(207 if PATHS[kind] == "/api/v2/batch" else 400, complaint))
    other = {**JOBS[kind], **({"data": {"season": "spring"}} if kind == "broadcast" else {"language": "de"})}

    async with running_function(function, environment, tmp_path / "log") as process, httpx.AsyncClient() as pubsub:

        async def push(job: Push) -> int:
            return (await pubsub.post(process.url, content=job.body(), timeout=15.0)).status_code

        answers = [
            await push(Push(JOBS[kind])),
            await push(Push(JOBS[kind], attempt=2)),
            await push(Push(other, {"job_id": "refused"})),
            await push(Push({"note": CANARY}, {"job_id": "malformed"})),
            (await pubsub.post(process.url, content=b"hello")).status_code,
            (await pubsub.get(process.url)).status_code,
        ]
        letters = await asyncio.to_thread(broker.pull, dead_letters, 2)
        log = process.lines()

    assert answers == [503, 204, 204, 204, 400, 400]
    assert upstream.paths == [PATHS[kind]] * 3
    by_id = {letter.message.attributes["job_id"]: letter.message for letter in letters}
    assert json.loads(by_id["refused"].data) == other
    refused = dict(by_id["refused"].attributes)
    assert (refused["class"], refused["reason"], refused["field"]) == ("rejected", "invalid", "email")
    assert (refused["message"], refused["function"]) == ("no [redacted]", function)
    assert by_id["malformed"].attributes["class"] == "invalid_job"
    written = [json.loads(line) for line in log if line.startswith("{")]
    outcomes = [line["outcome"] for line in written]
    assert outcomes[:4] == ["retry_later", "applied", "dead_lettered", "dead_lettered"]
    assert set(outcomes[4:]) == {"refused"}
    assert "canary" not in "\n".join(log)
    assert not [line for line in log if "Traceback" in line or '"fault"' in line]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("identify", "CUSTOMERIO_SITE_ID"),
        ("track", "CUSTOMERIO_REGION"),
        ("send", "LEDGER"),
        ("broadcast", "CUSTOMERIO_APP_API_KEY"),
        ("sync", "DEAD_LETTER_TOPIC"),
        ("identify", "CONTROL_TOPIC"),
    ],
)
def test_a_missing_setting_is_named(kind: str, missing: str) -> None:
    environment = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "DEAD_LETTER_TOPIC": "projects/p/topics/t",
        "CONTROL_TOPIC": "projects/p/topics/cio-control",
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "key",
        "CUSTOMERIO_APP_API_KEY": "key",
        "LEDGER": "sqlite:never-opened",
    }
    del environment[missing]
    with pytest.raises(SettingsError, match=f"^{missing}"):
        ENDPOINTS[kind](Settings.from_environment(kind, environment))
