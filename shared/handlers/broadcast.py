"""broadcast: API-triggered broadcasts, one App API call per job, once, at most one in ten seconds.

The function has one instance that takes one push at a time, so its own rate is the rate of the whole workspace.
"""

from functools import partial

import msgspec

from ..attributes import JobAttributes
from ..customerio.app import AppAPI
from ..jobs import parse
from ..lifetime import Lifetime
from ..outcome import Done, Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..recipients import RecipientPolicy
from ..settings import Settings
from .app_wiring import app_api, idempotency
from .idempotency import Idempotency
from .recipients import refused_broadcast
from .trigger_report import TriggerReport
from .wiring import push_endpoint, telemetry


class Broadcast:
    """Settles broadcast jobs."""

    def __init__(
        self, app: AppAPI, idempotency: Idempotency, report: TriggerReport, recipients: RecipientPolicy
    ) -> None:
        self._app = app
        self._idempotency = idempotency
        self._report = report
        self._recipients = recipients

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        trigger = parse("broadcast", message.data, attributes)
        if refused := refused_broadcast(self._recipients):
            return refused
        call = partial(self._app.trigger, trigger.broadcast_id, msgspec.json.encode(trigger.body))
        outcome = await self._idempotency.run(call, message, attributes)
        if not isinstance(outcome, Done):
            return outcome
        # A broadcast is many deliveries, and Customer.io names the trigger.
        done = msgspec.structs.replace(outcome, delivery_id="", trigger_id=outcome.delivery_id)
        return await self._report.outcome(done, trigger.broadcast_id, message)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    app = app_api(settings, lifetime)
    report = TriggerReport(app, telemetry(settings), lifetime)
    broadcast = Broadcast(app, idempotency(app, settings, lifetime), report, settings.recipients)
    return push_endpoint(broadcast, settings, lifetime)
