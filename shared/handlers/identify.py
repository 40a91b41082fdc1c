"""identify: everything about people and objects, one Track operation per job."""

from collections.abc import Mapping

from shared.customerio.track import TrackAPI
from shared.handlers.applying import apply, track_api
from shared.handlers.endpoints import push_endpoint
from shared.handlers.outcomes import invalid
from shared.jobs import InvalidJob, parse_identify
from shared.outcome import Outcome
from shared.pubsub.endpoint import PushEndpoint
from shared.pubsub.envelope import Delivery


class Identify:
    """Settles identify jobs."""

    def __init__(self, track: TrackAPI) -> None:
        self._track = track

    async def __call__(self, delivery: Delivery) -> Outcome:
        try:
            operation = parse_identify(delivery.data)
        except InvalidJob as error:
            return invalid(error)
        return await apply(self._track, operation, delivery.data)


def endpoint(environment: Mapping[str, str]) -> PushEndpoint:
    """The function as its environment describes it; a missing variable raises ``SettingsError``."""
    return push_endpoint("identify", Identify(track_api(environment)), environment)
