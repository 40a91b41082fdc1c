"""Wires a handler to the Track API, from one ``Settings``."""

import hashlib
from collections.abc import Awaitable, Callable

from .. import deadlines
from ..customerio.http import BasicCredentials, Connection
from ..customerio.track import TrackAPI
from ..lifetime import Lifetime
from ..secrets import Secret, open_secret
from ..settings import Settings

Workspace = Callable[[], Awaitable[str]]


def track_connection(settings: Settings) -> Connection:
    """Connection to the Track host with the workspace's credentials."""
    site_id, api_key = (open_secret(settings.secrets[name]) for name in ("site-id", "track-api-key"))
    credentials = BasicCredentials(site_id, api_key)
    return Connection(settings.customerio.track_url, credentials, timeout=deadlines.TRACK_REQUEST_SECONDS)


def track_api(settings: Settings, lifetime: Lifetime) -> TrackAPI:
    """The Track API with the workspace's credentials."""
    track = TrackAPI(track_connection(settings), requests_per_second=settings.requests_per_second)
    lifetime.on_end(track.stop)
    return track


def workspace(track_url: str, site_id: Secret) -> Workspace:
    """Name of the workspace that a site id belongs to; it tells regions and simulators apart, too."""

    async def name() -> str:
        newest = (await site_id.values())[0]
        return hashlib.sha256(f"{track_url}\0{newest}".encode()).hexdigest()

    return name
