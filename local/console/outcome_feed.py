"""The outcomes of jobs as they are published: a pull subscription that exists only while somebody watches.

A subscription that nobody pulls from would fill the broker's memory. What happened before is read from BigQuery.
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx

from local import deadlines
from shared.outcome_message import NotAnOutcomeError, OutcomeMessage
from shared.topology import topology

_MAX_PULLED_MESSAGES = 500
_log = logging.getLogger(__name__)


class OutcomeFeed:
    """Pulls outcomes by Pub/Sub's REST surface, which needs none of Google's clients to be loaded.

    Args:
        environment: Variables of ``stack.env``.
        take: Called with the outcomes of each pull.
    """

    def __init__(self, environment: Mapping[str, str], take: Callable[[Sequence[OutcomeMessage]], None]) -> None:
        project, topic = environment["GOOGLE_CLOUD_PROJECT"], topology().topics["outcomes"].name
        self._topic = f"projects/{project}/topics/{topic}"
        self._subscription = (
            f"http://{environment['PUBSUB_EMULATOR_HOST']}/v1/projects/{project}/subscriptions/{topic}-console"
        )
        self._take = take
        self._one_at_a_time = asyncio.Lock()

    async def follow(self) -> None:
        """Pull until cancelled. A Pub/Sub that does not answer is tried again."""
        async with self._one_at_a_time, _client() as client:
            try:
                while True:
                    try:
                        await self._pull_forever(client)
                    except (httpx.HTTPError, ValueError, KeyError) as error:
                        _log.warning("Outcomes cannot be pulled (%s); trying again.", type(error).__name__)
                        await asyncio.sleep(deadlines.CONSOLE_LOOK_SECONDS)
            finally:
                with suppress(httpx.HTTPError):
                    await client.delete(self._subscription)

    async def _pull_forever(self, client: httpx.AsyncClient) -> None:
        retention = f"{deadlines.MIN_RETENTION_SECONDS}s"
        created = await client.put(
            self._subscription, json={"topic": self._topic, "messageRetentionDuration": retention}
        )
        if created.status_code != httpx.codes.CONFLICT:  # an earlier console may have left it
            created.raise_for_status()
        while True:
            pulled = await client.post(f"{self._subscription}:pull", json={"maxMessages": _MAX_PULLED_MESSAGES})
            pulled.raise_for_status()
            received = pulled.json().get("receivedMessages", [])
            if not received:
                continue
            self._take(_decoded(received))
            ack_ids = {"ackIds": [each["ackId"] for each in received]}
            (await client.post(f"{self._subscription}:acknowledge", json=ack_ids)).raise_for_status()


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=deadlines.CONSOLE_PULL_SECONDS, trust_env=False)


def _decoded(received: Sequence[Mapping[str, Any]]) -> list[OutcomeMessage]:
    decoded = []
    for each in received:
        with suppress(NotAnOutcomeError):  # archive puts it into the dead letters, which the page shows
            decoded.append(OutcomeMessage.decode(base64.b64decode(each["message"].get("data", ""))))
    return decoded
