"""Whether Customer.io accepts the credentials, in the region that is set."""

from collections.abc import Iterator

import httpx

from ops import deadlines
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.commands.doctor.keys import Keys
from ops.target import Target
from shared.settings import CustomerIOHosts, SettingsError

_TRACK = "Track API credentials"
_APP = "App API key"


def check_customerio(target: Target, keys: Keys) -> Iterator[Finding]:
    """Ask each API for something that needs its key and changes nothing.

    Track: ``GET /api/v1/accounts/region``, because ``GET /auth`` answers 200 to wrong keys too. Both regions answer it:
    https://docs.customer.io/integrations/api/track/#operation/getRegion
    App: ``GET /v1/workspaces``, because ``GET /v1/info/ip_addresses`` needs no key.
    """
    try:
        settings = CustomerIOHosts.from_environment(target.environment)
    except SettingsError as error:
        yield failed("region", f"{error}; or give --region")
        return
    if {"CUSTOMERIO_SITE_ID", "CUSTOMERIO_TRACK_API_KEY"} <= keys.keys():
        yield from _track(settings, keys["CUSTOMERIO_SITE_ID"][0], keys["CUSTOMERIO_TRACK_API_KEY"][0])
    else:
        yield skipped(_TRACK, "CUSTOMERIO_SITE_ID or CUSTOMERIO_TRACK_API_KEY is not known here")
    if "CUSTOMERIO_APP_API_KEY" in keys:
        yield _app(settings, keys["CUSTOMERIO_APP_API_KEY"][0])
    else:
        yield skipped(_APP, "CUSTOMERIO_APP_API_KEY is not known here")


def _track(settings: CustomerIOHosts, site_id: str, api_key: str) -> Iterator[Finding]:
    url = f"{settings.track_url}/api/v1/accounts/region"
    response = _get(url, httpx.BasicAuth(site_id, api_key))
    if isinstance(response, str):
        yield failed(_TRACK, response)
    elif response.status_code == 401:
        yield failed(
            _TRACK,
            f"{settings.track_url} refused them: CUSTOMERIO_SITE_ID (secret site-id) and CUSTOMERIO_TRACK_API_KEY "
            "(secret track-api-key) must be a pair of one workspace's Track API credentials",
        )
    elif response.status_code != 200:
        yield failed(_TRACK, f"{url} answered {response.status_code}: try again, or see status.customer.io")
    else:
        yield ok(_TRACK, f"accepted by {settings.track_url}")
        yield _region(settings, response)


def _region(settings: CustomerIOHosts, response: httpx.Response) -> Finding:
    try:
        found = str(response.json()["region"])
    except (ValueError, KeyError, TypeError):
        return failed("region", "Customer.io did not say which region the workspace is in: see its account settings")
    if found != settings.region:
        return failed(
            "region",
            f"the workspace is in {found}, CUSTOMERIO_REGION is {settings.region}: set it to {found} "
            "(in Terraform: customerio.region)",
        )
    return ok("region", found)


class _Bearer(httpx.Auth):
    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def _app(settings: CustomerIOHosts, key: str) -> Finding:
    url = f"{settings.app_url}/v1/workspaces"
    response = _get(url, _Bearer(key))
    if isinstance(response, str):
        return failed(_APP, response)
    if response.status_code == 401:
        return failed(
            _APP,
            f"{settings.app_url} refused it: CUSTOMERIO_APP_API_KEY (secret app-api-key) must be an App API key of the "
            "workspace; a Track API key is something else",
        )
    if response.status_code != 200:
        return failed(_APP, f"{url} answered {response.status_code}: try again, or see status.customer.io")
    return ok(_APP, f"accepted by {settings.app_url}")


def _get(url: str, auth: httpx.Auth) -> httpx.Response | str:
    """Send a request; the answer, or a sentence that says why there is none."""
    try:
        return httpx.get(url, auth=auth, timeout=deadlines.QUERY_SECONDS, follow_redirects=False, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return f"{url} does not answer ({type(error).__name__}): check the network, the region and the URL"
