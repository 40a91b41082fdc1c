"""control: pauses kinds of jobs that Customer.io turns away, and resumes them when it takes them again."""

from datetime import UTC, datetime, timedelta

from .. import control_message, deadlines
from ..control_message import PauseRequest
from ..customerio.probe import broadcast_probe, send_probe, track_probe
from ..errors import InvalidJob
from ..lifetime import Lifetime
from ..outcome import Done, Outcome, Retry
from ..pubsub.message import PushMessage
from ..pubsub.pause import Pace
from ..pubsub.push import PushEndpoint
from ..pubsub.push_switch import PushSwitch, PushSwitchError
from ..settings import Settings
from ..topology import topology
from .app_wiring import app_connection
from .pauses import Pauses
from .track_wiring import track_connection
from .wiring import push_endpoint, telemetry

_MAX_AGE = timedelta(seconds=deadlines.CONTROL_MESSAGE_MAX_AGE_SECONDS)


class Control:
    """Settles messages of the control topic. ``kinds`` are those that can be paused."""

    def __init__(self, pauses: Pauses, kinds: tuple[str, ...]) -> None:
        self._pauses = pauses
        self._kinds = kinds

    async def __call__(self, message: PushMessage) -> Outcome:
        request = control_message.decode(message.data)
        if datetime.now(UTC) - message.first_published_at > _MAX_AGE:
            return Done(how="unchanged")
        try:
            if not isinstance(request, PauseRequest):
                await self._pauses.look()
            elif request.kind in self._kinds:
                await self._pauses.pause(request.kind, request.reason)
            else:
                raise InvalidJob("kind", f"must be one of {', '.join(self._kinds)}")
        except PushSwitchError as error:
            return Retry(status=503, reason="pubsub_unavailable", message=str(error))
        return Done()


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    app = app_connection(settings)
    by_rate = {
        "track": track_probe(track_connection(settings)),
        "send": send_probe(app),
        "broadcast": broadcast_probe(app),
    }
    rates = {kind: topic.rate for kind, topic in topology().topics.items() if topic.rate}
    probes = {kind: by_rate[rate] for kind, rate in rates.items()}
    switch = PushSwitch(settings.push_targets, Pace(settings.time_scale))
    pauses = Pauses(switch, probes, telemetry(settings))
    return push_endpoint(Control(pauses, switch.kinds), settings, Lifetime())
