"""Wires a handler to what is around it, from one ``Settings``: topics, telemetry, Customer.io, ledger, warehouse."""

import gc
import hashlib
from collections.abc import Awaitable, Callable

from .. import deadlines
from ..customerio.app import AppAPI
from ..customerio.http import BasicCredentials, BearerCredentials, Connection
from ..customerio.track import TrackAPI
from ..ledger import open_ledger
from ..lifetime import Lifetime
from ..pubsub.push import Handle, PushEndpoint
from ..pubsub.topic import DeadLetterTopic, RetryTopic, TopicPublisher
from ..secrets import Secret, open_secret
from ..settings import Settings
from ..telemetry import Telemetry
from ..topology import topology
from .idempotency import Idempotency

Workspace = Callable[[], Awaitable[str]]


def push_endpoint(handle: Handle, settings: Settings, lifetime: Lifetime) -> PushEndpoint:
    """The endpoint of a function that is pushed messages."""
    _spare_the_collector()
    topic = next(topic for topic in topology().topics.values() if topic.function == settings.function)
    dead_letters = TopicPublisher(settings.dead_letter_topic, timeout=deadlines.PUBLISH_SECONDS)
    retry_lane = None
    if "retry" in topic.lanes:
        retry_lane = RetryTopic(TopicPublisher(settings.retry_topic, timeout=deadlines.PUBLISH_SECONDS))
    return PushEndpoint(
        handle,
        DeadLetterTopic(dead_letters, settings.function),
        telemetry(settings),
        retry_lane=retry_lane,
        lifetime=lifetime,
    )


def telemetry(settings: Settings) -> Telemetry:
    """The function's log. Its lines carry the kind of message that the function takes, if any is pushed to it."""
    kinds = (kind for kind, topic in topology().topics.items() if topic.function == settings.function)
    return Telemetry(settings.function, next(kinds, ""), settings.project)


def track_api(settings: Settings, lifetime: Lifetime) -> TrackAPI:
    """The Track API with the workspace's credentials."""
    site_id, api_key = (open_secret(settings.secrets[name]) for name in ("site-id", "track-api-key"))
    credentials = BasicCredentials(site_id, api_key)
    connection = Connection(settings.customerio.track_url, credentials, timeout=deadlines.TRACK_REQUEST_SECONDS)
    track = TrackAPI(connection, requests_per_second=settings.requests_per_second)
    lifetime.on_end(track.stop)
    return track


def app_api(settings: Settings, lifetime: Lifetime) -> AppAPI:
    """The App API with the workspace's key."""
    credentials = BearerCredentials(open_secret(settings.secrets["app-api-key"]))
    connection = Connection(settings.customerio.app_url, credentials, timeout=deadlines.APP_REQUEST_SECONDS)
    app = AppAPI(connection, requests_per_second=settings.requests_per_second)
    lifetime.on_end(app.stop)
    return app


def idempotency(app: AppAPI, settings: Settings, lifetime: Lifetime) -> Idempotency:
    """Calls to ``app`` under the function's ledger; keys of different functions are apart."""
    return Idempotency(app, open_ledger(settings.ledger), settings.function, lifetime)


def workspace(track_url: str, site_id: Secret) -> Workspace:
    """Name of the workspace that a site id belongs to; it tells regions and simulators apart, too."""

    async def name() -> str:
        newest = (await site_id.values())[0]
        return hashlib.sha256(f"{track_url}\0{newest}".encode()).hexdigest()

    return name


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking what lives as long as the process: a seventh of the CPU of a job."""
    gc.collect()
    gc.freeze()
    # A thousand pushes under way are some ten thousand young objects that reference counting frees by itself.
    gc.set_threshold(20_000, 20, 50)
