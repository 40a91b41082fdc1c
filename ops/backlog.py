"""How many messages wait on each subscription, and for how long: from the local broker, or from Cloud Monitoring."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from ops import deadlines
from ops.errors import OperatorError, UnreachableError

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

_MONITORING = "https://monitoring.googleapis.com"
_LOOK_BACK = timedelta(seconds=deadlines.BACKLOG_LOOK_BACK_SECONDS)
_BACKLOG = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"


@functools.cache
def _http() -> httpx.Client:
    # One for all requests: each new client would load the certificates again, 50 ms of CPU. No connection is kept.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(timeout=deadlines.QUERY_SECONDS, trust_env=False, limits=limits)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unacknowledged messages of one subscription.

    Args:
        messages: Their number; None if unknown.
        oldest_seconds: Seconds since the oldest was published to the subscription's topic; None if unknown.
    """

    messages: int | None
    oldest_seconds: float | None


class BacklogSource(Protocol):
    """Source of the numbers."""

    def backlogs(self, subscriptions: Iterable[str]) -> Mapping[str, Backlog]:
        """Read the backlog of each subscription (``projects/P/subscriptions/S``). Unknown ones are left out.

        Raises:
            OperatorError: if there are no numbers.
        """


class LocalBroker:
    """The local broker's admin interface, which knows the present.

    Args:
        url: ``PUBSUB_ADMIN_URL`` of ``stack.env``.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def backlogs(self, subscriptions: Iterable[str]) -> Mapping[str, Backlog]:
        known = self._stats()
        return {
            name: Backlog(known[name]["backlog"], known[name]["oldest_unacked_seconds"])
            for name in subscriptions
            if name in known
        }

    def has_undelivered(self, subscription: str) -> bool | None:
        """Tell whether a pull would find something: a message that nobody holds. None if that is not known."""
        try:
            counted = self._stats().get(subscription)
        except OperatorError:
            return None
        return None if counted is None else bool(counted["backlog"] > counted["in_flight"])

    def _stats(self) -> Mapping[str, Any]:
        try:
            response = _http().get(f"{self._url}/_broker/stats")
            response.raise_for_status()
            known: Mapping[str, Any] = response.json()["subscriptions"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise UnreachableError(
                f"The local Pub/Sub broker at {self._url} reports no backlog ({type(error).__name__}): "
                "start the local stack with `make run`."
            ) from None
        return known


class CloudMonitoring:
    """Cloud Monitoring's time series by its REST API: numbers a few minutes old.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list

    Args:
        project: Google Cloud project.
        session: HTTP session with credentials.
        url: Base URL of the API; for tests.
    """

    def __init__(self, project: str, session: "AuthorizedSession", *, url: str | None = None) -> None:
        self._project = project
        self._session = session
        self._url = url or _MONITORING

    def backlogs(self, subscriptions: Iterable[str]) -> Mapping[str, Backlog]:
        names = {name.rpartition("/")[2]: name for name in subscriptions}
        backlog, age = self._newest(_BACKLOG, names), self._newest(_AGE, names)
        return {
            name: Backlog(None if short not in backlog else int(backlog[short]), age.get(short))
            for short, name in names.items()
            if short in backlog or short in age
        }

    def _newest(self, metric: str, names: Iterable[str]) -> dict[str, float]:
        """Read the metric's newest value per short subscription name."""
        now = datetime.now(UTC)
        wanted = ", ".join(f'"{name}"' for name in names)
        parameters = {
            "filter": f'metric.type = "{metric}" AND resource.labels.subscription_id = one_of({wanted})',
            "interval.startTime": (now - _LOOK_BACK).isoformat(),
            "interval.endTime": now.isoformat(),
        }
        found: dict[str, float] = {}
        while True:
            body = self._get(parameters)
            for series in body.get("timeSeries", []):
                value = series["points"][0]["value"]  # the newest point comes first; an int64 comes as text
                found[series["resource"]["labels"]["subscription_id"]] = float(
                    value.get("int64Value", value.get("doubleValue", 0))
                )
            if not (token := body.get("nextPageToken")):
                return found
            parameters["pageToken"] = token

    def _get(self, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        import requests  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        try:
            response = self._session.request(  # type: ignore[no-untyped-call]
                "GET",
                f"{self._url}/v3/projects/{self._project}/timeSeries",
                params=parameters,
                timeout=deadlines.QUERY_SECONDS,
                max_allowed_time=deadlines.QUERY_SECONDS,
            )
        except (requests.RequestException, GoogleAuthError) as error:
            raise UnreachableError(
                f"Cloud Monitoring at {self._url} does not answer ({type(error).__name__}): "
                "check the network and your credentials."
            ) from None
        if response.status_code == 403:
            raise OperatorError(
                "You may not read Cloud Monitoring: ask for roles/monitoring.viewer (Terraform's `operators` have it)."
            )
        if response.status_code != 200:
            raise OperatorError(f"Cloud Monitoring answered {response.status_code}: try again in a minute.")
        body: Mapping[str, Any] = response.json()
        return body
