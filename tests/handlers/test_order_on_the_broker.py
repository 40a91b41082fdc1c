"""Order of ordered jobs on a real broker, with the lanes of the topology: what waits holds back its own person only."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local.stack.provision import provision
from shared.topology import topology
from tests.customerio.conftest import Upstream
from tests.function_process import running_function
from tests.local_pubsub.broker_helpers import PubSub, broker_process


@pytest.fixture
def hurried() -> Iterator[PubSub]:
    """The broker with its backoffs divided by 20."""
    with broker_process("--time-scale", "20") as pubsub:
        yield pubsub


async def test_a_job_that_waits_holds_back_its_own_person_and_a_late_delete_erases_nothing_newer(
    hurried: PubSub, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delete cannot be applied until twenty other people are done; then the person is created again."""
    accepted: list[tuple[str, str]] = []
    others = {f"person-{number}" for number in range(20)}
    refused, all_done = asyncio.Event(), asyncio.Event()

    async def answer(_request: web.Request, body: bytes) -> web.StreamResponse:
        items = [(item["identifiers"]["id"], item["action"]) for item in json.loads(body)["batch"]]
        if ("sick", "delete") in items and not others <= {person for person, _ in accepted}:
            refused.set()
            return web.json_response({}, status=503)
        accepted.extend(items)
        if items[-1] == ("sick", "identify"):
            all_done.set()
        return web.json_response({})

    upstream.then(*[answer] * 500)
    topic = topology().topics["identify"]
    environment = {
        "GOOGLE_CLOUD_PROJECT": hurried.project,
        "PUBSUB_EMULATOR_HOST": hurried.host,
        "DEAD_LETTER_TOPIC": f"projects/{hurried.project}/topics/{topic.dead_letter_name}",
        "CONTROL_TOPIC": f"projects/{hurried.project}/topics/cio-control",
        "LEDGER": f"sqlite:{tmp_path / 'ledger.sqlite'}",
        "CUSTOMERIO_REGION": "eu",
        "CUSTOMERIO_TRACK_URL": upstream.url,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "key",
    }
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", hurried.host)

    async def publish(person: str, **body: Any) -> None:
        data = json.dumps({"identifiers": {"id": person}, **body}).encode()
        path = f"projects/{hurried.project}/topics/{topic.name}"
        await asyncio.to_thread(hurried.publish, path, data, ordering_key=f"id:{person}")

    async with running_function("identify", environment, tmp_path / "log") as process, asyncio.timeout(60):
        endpoints = dict.fromkeys(topology().functions, process.url)
        await asyncio.to_thread(provision, hurried.project, endpoints)
        await publish("sick", action="delete")
        await refused.wait()
        await publish("sick", attributes={"plan": "pro"})
        for person in sorted(others):
            await publish(person, attributes={"plan": "pro"})
        await all_done.wait()

    assert [action for person, action in accepted if person == "sick"] == ["delete", "identify"]
    assert {person for person, _ in accepted[:20]} == others
    names = {name.rpartition("/")[2] for name in _topics(hurried)}
    assert {topic.name, topic.dead_letter_name} <= names
    assert topic.retry_name not in names


def _topics(pubsub: PubSub) -> list[str]:
    return [topic.name for topic in pubsub.publisher.list_topics(project=f"projects/{pubsub.project}")]
