"""Delivery of signed reporting webhooks, one at a time.

An endpoint has 4 seconds to answer. A failed webhook holds back all later ones. It is tried again with exponential
backoff, or after an hour if the answer was one of `LONG_WAIT_STATUSES` or the connection was refused or reset, and is
dropped after seven days. A retry has the same body, hence the same event_id, and a fresh timestamp and signature.
Rules: https://docs.customer.io/integrations/api/webhooks/
"""

import asyncio
import hashlib
import hmac
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Literal

import aiohttp
import msgspec

from local import deadlines
from local.customerio.exchange import encode

LONG_WAIT_STATUSES: Final = frozenset({400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521})

type Outcome = Literal["accepted", "backoff", "long_wait"]


@dataclass(frozen=True, slots=True)
class Target:
    """Target of the webhooks, and their signing key; of several, separated by commas, the first one signs."""

    url: str
    signing_key: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds that webhooks wait.

    Args:
        timeout: For the endpoint's answer.
        first_backoff: Before the first retry; it doubles with each further one.
        last_backoff: Longest of the doubled waits.
        long_wait: After an answer among `LONG_WAIT_STATUSES`, or a refused or reset connection.
        give_up: From the first attempt until the webhook is dropped.
    """

    timeout: float = deadlines.WEBHOOK_TIMEOUT_SECONDS
    first_backoff: float = deadlines.WEBHOOK_MIN_BACKOFF_SECONDS
    last_backoff: float = deadlines.WEBHOOK_MAX_BACKOFF_SECONDS
    long_wait: float = deadlines.WEBHOOK_LONG_WAIT_SECONDS
    give_up: float = deadlines.WEBHOOK_MAX_RETRY_SECONDS


def sign(key: str, timestamp: str, body: bytes) -> str:
    """The hexadecimal HMAC-SHA256 of `v0:<timestamp>:<raw body>`."""
    return hmac.new(key.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


class _Webhook(msgspec.Struct, frozen=True):
    metric: str
    body: bytes


class Webhooks:
    """A queue of webhooks and the task that delivers them. Without a target, events are dropped."""

    def __init__(self, target: Target | None, retry_policy: RetryPolicy) -> None:
        self._target = target
        self._retry_policy = retry_policy
        self._queue: deque[_Webhook] = deque()
        self._filled = asyncio.Event()
        self._cleared = asyncio.Event()
        self._reused_connection = False
        self._zero_counts()

    @property
    def has_target(self) -> bool:
        return self._target is not None

    def queue(self, event: Mapping[str, Any]) -> None:
        self.queue_raw(event.get("metric"), encode(event))

    def queue_raw(self, metric: object, body: bytes) -> None:
        """Queue a body to be delivered byte for byte. `metric` is what it is counted as."""
        if self._target is not None:
            self._queue.append(_Webhook(metric if isinstance(metric, str) else "unknown", body))
            self._filled.set()

    def clear(self) -> None:
        self._queue.clear()
        self._zero_counts()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def report(self) -> dict[str, Any]:
        """Counts by metric. `failed` counts attempts, `expired` dropped webhooks, `queued` those that wait."""
        return {
            "attempted": self._attempted,
            "sent": self._sent,
            "failed": self._failed,
            "expired": self._expired,
            "queued": len(self._queue),
        }

    async def run(self) -> None:
        """Deliver until cancelled."""
        if self._target is None:
            return
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(self._note_reuse)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1),
            timeout=aiohttp.ClientTimeout(total=self._retry_policy.timeout),
            trace_configs=[trace],
        ) as session:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._queue:
                    await self._deliver(session, self._target, self._queue[0])

    def _zero_counts(self) -> None:
        self._attempted: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._expired = 0

    async def _deliver(self, session: aiohttp.ClientSession, target: Target, webhook: _Webhook) -> None:
        """Try until the webhook is accepted or dropped, or the queue is cleared."""
        backoff = self._retry_policy.first_backoff
        give_up_at = time.monotonic() + self._retry_policy.give_up
        cleared = self._cleared
        while not cleared.is_set():
            outcome = await self._attempt(session, target, webhook)
            if cleared.is_set():
                return
            self._attempted[webhook.metric] += 1
            if outcome == "accepted":
                self._sent[webhook.metric] += 1
                self._queue.popleft()
                return
            self._failed[webhook.metric] += 1
            pause = self._retry_policy.long_wait if outcome == "long_wait" else backoff
            backoff = min(backoff * 2, self._retry_policy.last_backoff)
            if time.monotonic() + pause > give_up_at:
                self._expired += 1
                self._queue.popleft()
                return
            await _wait(cleared, pause)

    async def _attempt(self, session: aiohttp.ClientSession, target: Target, webhook: _Webhook) -> Outcome:
        self._reused_connection = False
        try:
            try:
                status = await _post(session, target, webhook.body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A server may close an idle connection at the moment it is used again. That says nothing about the
                # endpoint, so the request goes once more over a new connection.
                if not self._reused_connection:
                    raise
                status = await _post(session, target, webhook.body)
        except TimeoutError:
            return "backoff"
        except (aiohttp.ClientError, OSError):
            return "long_wait"
        if status in LONG_WAIT_STATUSES:
            return "long_wait"
        return "accepted" if status // 100 == 2 else "backoff"

    async def _note_reuse(self, _session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
        self._reused_connection = True


async def _post(session: aiohttp.ClientSession, target: Target, body: bytes) -> int:
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-CIO-Timestamp": timestamp,
        "X-CIO-Signature": sign(target.signing_key.partition(",")[0].strip(), timestamp, body),
    }
    async with session.post(target.url, data=body, headers=headers, allow_redirects=False) as response:
        await response.read()
        return response.status


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
