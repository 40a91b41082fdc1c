"""track: events, pages, screens and delivery metrics, one Track operation per job."""

from ..attributes import JobAttributes
from ..customerio.track import TrackAPI
from ..jobs import job_ulid, parse
from ..lifetime import Lifetime
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..settings import Settings
from .operations import apply
from .track_wiring import track_api
from .wiring import push_endpoint


class Track:
    """Settles track jobs.

    An event gets the job's own id, by which Customer.io drops a repeated one, and the time at which it was published
    when it names none: a job that waited out an outage keeps its place in time.
    """

    def __init__(self, track: TrackAPI) -> None:
        self._track = track

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        published_ms = int(message.first_published_at.timestamp() * 1000)
        # Published twice under one job_id, it is one event: then the id may not depend on when it was published.
        event_id = job_ulid(message.key, None if message.is_named else published_ms)
        event = parse("track", message.data, attributes)
        operation = event.with_event_defaults(event_id=event_id, occurred_at=published_ms // 1000)
        return await apply(self._track, operation, message, attributes)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    return push_endpoint(Track(track_api(settings, lifetime)), settings, lifetime)
