"""send: transactional messages, one App API call per job, once."""

from functools import partial

import msgspec

from ..attributes import JobAttributes
from ..customerio.app import AppAPI
from ..jobs import parse
from ..lifetime import Lifetime
from ..outcome import Failed, Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..recipients import RecipientPolicy
from ..settings import Settings
from .app_wiring import app_api, idempotency
from .idempotency import Idempotency
from .recipients import allowed_send
from .wiring import push_endpoint


class Send:
    """Settles send jobs."""

    def __init__(self, app: AppAPI, idempotency: Idempotency, recipients: RecipientPolicy) -> None:
        self._app = app
        self._idempotency = idempotency
        self._recipients = recipients

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        request = allowed_send(parse("send", message.data, attributes), self._recipients)
        if isinstance(request, Failed):
            return request
        call = partial(self._app.send, request.channel, msgspec.json.encode(request.body))
        return await self._idempotency.run(call, message, attributes, subject=request.subject)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    app = app_api(settings, lifetime)
    return push_endpoint(Send(app, idempotency(app, settings, lifetime), settings.recipients), settings, lifetime)
