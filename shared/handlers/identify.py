"""identify: everything about people and objects, one Track operation per job."""

from ..attributes import JobAttributes
from ..customerio.track import TrackAPI
from ..jobs import parse
from ..lifetime import Lifetime
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import Settings
from .operations import apply
from .track_wiring import track_api
from .wiring import push_endpoint


class Identify:
    """Settles identify jobs."""

    def __init__(self, track: TrackAPI) -> None:
        self._track = track

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        operation = parse("identify", message.data, attributes)
        return await apply(self._track, operation, message, attributes)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    return push_endpoint(Identify(track_api(settings, lifetime)), settings, lifetime)
