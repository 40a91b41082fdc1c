"""The App API: transactional messages and API-triggered broadcasts.

Neither has an idempotency key, so nothing here tries twice.

https://docs.customer.io/integrations/api/app/
"""

import asyncio

import httpx
import msgspec

from .breaker import CircuitBreaker, TokenBucket
from .errors import CustomerIOError, RateLimitedError
from .http import Connection

# Fewer than the connections of the pool: a request that waited for one until its time was up would look like one
# that was sent and never answered.
_REQUESTS = 150


class _Accepted(msgspec.Struct):
    delivery_id: str = ""
    id: int | str = ""


class AppAPI:
    """Sends messages and triggers broadcasts.

    Args:
        connection: to the App host.
        requests_per_second: this instance's share of the workspace's rate; None is no limit.
        longest_wait: seconds that a request waits for that rate before it is refused.
    """

    def __init__(
        self, connection: Connection, *, requests_per_second: float | None = None, longest_wait: float = 5.0
    ) -> None:
        self._connection = connection
        self._longest_wait = longest_wait
        self._gate = CircuitBreaker()
        self._bucket = TokenBucket(requests_per_second)
        self._under_way = 0

    async def send(self, channel: str, body: bytes) -> str:
        """Send one transactional message through ``channel`` and return its ``delivery_id``.

        Raises:
            CustomerIOError: its class says whether it can have been sent.
        """
        return (await self._post(f"/v1/send/{channel}", body)).delivery_id

    async def trigger(self, broadcast_id: int, body: bytes) -> str:
        """Trigger one broadcast and return the trigger's id.

        Raises:
            CustomerIOError: its class says whether it can have been triggered.
        """
        return str((await self._post(f"/v1/campaigns/{broadcast_id}/triggers", body)).id)

    async def _post(self, path: str, body: bytes) -> _Accepted:
        self._gate.check()
        if self._under_way >= (1 if self._gate.is_probing else _REQUESTS):
            raise RateLimitedError("too many requests wait for Customer.io")
        wait = self._bucket.reserve(self._longest_wait)
        self._under_way += 1
        try:
            await asyncio.sleep(wait)
            self._gate.check()  # it may have closed meanwhile
            response = await self._reported(path, body)
        finally:
            self._under_way -= 1
        try:
            return msgspec.json.decode(response.content, type=_Accepted, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _Accepted()  # it was accepted; how it put that is not worth a second send

    async def _reported(self, path: str, body: bytes) -> httpx.Response:
        try:
            response = await self._connection.post(path, body)
        except CustomerIOError as error:
            self._gate.failed(error)
            raise
        self._gate.succeeded()
        return response
