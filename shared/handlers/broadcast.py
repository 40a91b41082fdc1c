"""broadcast: API-triggered broadcasts, one App API call per job, once, at most one in ten seconds.

The function has one instance that takes one push at a time, so its own rate is the rate of the whole workspace.
"""

from collections.abc import Mapping

import msgspec

from ..customerio.app import AppAPI
from ..jobs import InvalidJob, parse_broadcast
from ..ledger import open_ledger
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import required
from .idempotency import LEDGER_HINT, Once, app_api
from .outcomes import invalid
from .wiring import push_endpoint

# A little more than the pause between two broadcasts: the next one waits its turn instead of coming again.
_LONGEST_WAIT = 12.0


class Broadcast:
    """Settles broadcast jobs."""

    def __init__(self, app: AppAPI, once: Once) -> None:
        self._app = app
        self._once = once

    async def __call__(self, delivery: PushMessage) -> Outcome:
        try:
            trigger = parse_broadcast(delivery.data)
        except InvalidJob as error:
            return invalid(error)
        body = msgspec.json.encode(trigger.body)
        return await self._once(delivery, "", lambda: self._app.trigger(trigger.broadcast_id, body))


def endpoint(environment: Mapping[str, str]) -> PushEndpoint:
    """The function as its environment describes it; a missing variable raises ``SettingsError``."""
    ledger = open_ledger(required(environment, "LEDGER", LEDGER_HINT))
    app = app_api(environment, longest_wait=_LONGEST_WAIT)
    return push_endpoint("broadcast", Broadcast(app, Once(ledger, "broadcast")), environment, expiry=False)
