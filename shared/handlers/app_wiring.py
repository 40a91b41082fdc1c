"""Wires a handler to the App API and to the ledger of its calls, from one ``Settings``."""

from .. import deadlines
from ..customerio.app import AppAPI
from ..customerio.http import BearerCredentials, Connection
from ..ledger import open_ledger
from ..lifetime import Lifetime
from ..secrets import open_secret
from ..settings import Settings
from .idempotency import Idempotency


def app_connection(settings: Settings) -> Connection:
    """Connection to the App host with the workspace's key."""
    credentials = BearerCredentials(open_secret(settings.secrets["app-api-key"]))
    return Connection(settings.customerio.app_url, credentials, timeout=deadlines.APP_REQUEST_SECONDS)


def app_api(settings: Settings, lifetime: Lifetime) -> AppAPI:
    """The App API with the workspace's key."""
    app = AppAPI(app_connection(settings), requests_per_second=settings.requests_per_second)
    lifetime.on_end(app.stop)
    return app


def idempotency(app: AppAPI, settings: Settings, lifetime: Lifetime) -> Idempotency:
    """Calls to ``app`` under the function's ledger; keys of different functions are apart."""
    return Idempotency(app, open_ledger(settings.ledger), settings.function, lifetime)
