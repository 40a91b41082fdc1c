"""The Track API v2: operations on people, objects, events and deliveries, sent in batches.

https://docs.customer.io/integrations/api/track/#operation/batch
"""

from collections.abc import Iterable, Sequence

from .batcher import Batcher, BatcherLimits
from .breaker import CircuitBreaker, TokenBucket
from .errors import RejectedError
from .http import Connection
from .responses import item_errors

_BATCH_PATH = "/api/v2/batch"


class TrackAPI:
    """Applies operations; many callers share one request.

    Args:
        connection: to the Track host.
        requests_per_second: this instance's share of the workspace's rate; None is no limit.
        limits: how operations are gathered.
    """

    def __init__(
        self, connection: Connection, *, requests_per_second: float | None = None, limits: BatcherLimits | None = None
    ) -> None:
        self._connection = connection
        self._batcher = Batcher(
            self._post, gate=CircuitBreaker(), bucket=TokenBucket(requests_per_second), limits=limits
        )

    async def apply(self, item: bytes, *, keys: Iterable[str], alone: bool) -> None:
        """Apply one operation; see ``Batcher.submit`` for its arguments.

        Raises:
            CustomerIOError: it was not accepted.
        """
        await self._batcher.submit(item, keys=keys, alone=alone)

    async def _post(self, body: bytes, count: int) -> Sequence[RejectedError | None]:
        return item_errors(await self._connection.post(_BATCH_PATH, body), count)
