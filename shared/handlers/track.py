"""track: events, pages, screens and delivery metrics, one Track operation per job."""

from collections.abc import Mapping

from ..customerio.track import TrackAPI
from ..jobs import InvalidJob, job_ulid, parse_track
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from .applying import apply, track_api
from .outcomes import invalid
from .wiring import push_endpoint


class Track:
    """Settles track jobs.

    An event gets the job's own id, by which Customer.io drops a repeated one, and the time at which it was published
    when it names none: a job that waited out an outage keeps its place in time.
    """

    def __init__(self, track: TrackAPI) -> None:
        self._track = track

    async def __call__(self, delivery: PushMessage) -> Outcome:
        published_ms = round(delivery.first_published_at.timestamp() * 1000)
        # Published twice under one job_id, it is one event: then the id may not depend on when it was published.
        event_id = job_ulid(delivery.key, None if delivery.has_own_key else published_ms)
        try:
            operation = parse_track(delivery.data, event_id=event_id, occurred_at=published_ms // 1000)
        except InvalidJob as error:
            return invalid(error)
        return await apply(self._track, operation, delivery.data)


def endpoint(environment: Mapping[str, str]) -> PushEndpoint:
    """The function as its environment describes it; a missing variable raises ``SettingsError``."""
    return push_endpoint("track", Track(track_api(environment)), environment)
