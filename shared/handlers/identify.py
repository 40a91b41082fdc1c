"""identify: everything about people and objects, one Track operation per job."""

from collections.abc import Mapping

from ..customerio.track import TrackAPI
from ..jobs import InvalidJob, parse_identify
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from .applying import apply, track_api
from .outcomes import invalid
from .wiring import push_endpoint


class Identify:
    """Settles identify jobs."""

    def __init__(self, track: TrackAPI) -> None:
        self._track = track

    async def __call__(self, delivery: PushMessage) -> Outcome:
        try:
            operation = parse_identify(delivery.data)
        except InvalidJob as error:
            return invalid(error)
        return await apply(self._track, operation, delivery.data)


def endpoint(environment: Mapping[str, str]) -> PushEndpoint:
    """The function as its environment describes it; a missing variable raises ``SettingsError``."""
    return push_endpoint("identify", Identify(track_api(environment)), environment)
