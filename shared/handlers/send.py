"""send: transactional messages, one App API call per job, once."""

from collections.abc import Mapping

import msgspec

from ..customerio.app import AppAPI
from ..jobs import InvalidJob, parse_send
from ..ledger import open_ledger
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import required
from .idempotency import LEDGER_HINT, Once, app_api
from .outcomes import invalid
from .wiring import push_endpoint


class Send:
    """Settles send jobs."""

    def __init__(self, app: AppAPI, once: Once) -> None:
        self._app = app
        self._once = once

    async def __call__(self, delivery: PushMessage) -> Outcome:
        try:
            request = parse_send(delivery.data, delivery.attributes.get("channel", "email"))
        except InvalidJob as error:
            return invalid(error)
        body = msgspec.json.encode(request.body)
        return await self._once(delivery, request.subject, lambda: self._app.send(request.channel, body))


def endpoint(environment: Mapping[str, str]) -> PushEndpoint:
    """The function as its environment describes it; a missing variable raises ``SettingsError``."""
    ledger = open_ledger(required(environment, "LEDGER", LEDGER_HINT))
    return push_endpoint("send", Send(app_api(environment), Once(ledger, "send")), environment, expiry=False)
