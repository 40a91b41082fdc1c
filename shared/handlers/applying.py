"""Applying one Track operation and saying what became of it: shared by the functions that use the Track API."""

from collections.abc import Mapping

import msgspec

from ..customerio.errors import CustomerIOError
from ..customerio.http import BasicCredentials, Connection
from ..customerio.track import TrackAPI
from ..jobs import TrackOperation
from ..outcome import Done, Outcome
from ..secrets import secret
from ..settings import customerio_settings
from .outcomes import outcome_of

# A batch is answered in well under a second; three requests of this length still end before the ack deadline.
_TIMEOUT_SECONDS = 10.0


async def apply(track: TrackAPI, operation: TrackOperation, data: bytes) -> Outcome:
    """Apply ``operation``, which came as ``data``."""
    try:
        await track.apply(
            msgspec.json.encode(operation.body), keys=(operation.subject, *operation.others), alone=operation.ordered
        )
    except CustomerIOError as error:
        return outcome_of(error, subject=operation.subject, data=data)
    return Done(subject=operation.subject)


def track_api(environment: Mapping[str, str]) -> TrackAPI:
    """The Track API as the environment describes it.

    Raises:
        SettingsError: a variable is missing or wrong.
    """
    settings = customerio_settings(environment)
    credentials = BasicCredentials(
        secret(environment, "CUSTOMERIO_SITE_ID"), secret(environment, "CUSTOMERIO_TRACK_API_KEY")
    )
    connection = Connection(settings.track_url, credentials, timeout=_TIMEOUT_SECONDS)
    return TrackAPI(connection, requests_per_second=settings.requests_per_second)
