"""How much waits on each subscription and for how long: from the local broker, or from Cloud Monitoring."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import httpx

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

_CALL_SECONDS = 15.0
_MONITORING = "https://monitoring.googleapis.com"
# Pub/Sub's metrics are sampled every minute and shown up to two minutes later.
_LOOK_BACK = timedelta(minutes=10)
_BACKLOG = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"


class SourceError(Exception):
    """The numbers could not be had. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages that are not acknowledged.

    Args:
        messages: how many; None where it is not known.
        oldest_seconds: how long ago the oldest was published to this subscription's topic; None where it is not known.
    """

    messages: int | None
    oldest_seconds: float | None


class Source(Protocol):
    """Where the numbers come from."""

    def waiting(self, subscriptions: Iterable[str]) -> Mapping[str, Waiting]:
        """Numbers by subscription (``projects/P/subscriptions/S``); one of which nothing is known is left out.

        Raises:
            SourceError: there are no numbers.
        """


class BrokerSource:
    """The local broker's admin surface: what is so now.

    Args:
        url: ``PUBSUB_ADMIN_URL`` of ``stack.env``.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def waiting(self, subscriptions: Iterable[str]) -> Mapping[str, Waiting]:
        try:
            response = httpx.get(f"{self._url}/_broker/stats", timeout=_CALL_SECONDS, trust_env=False)
            response.raise_for_status()
            known: Mapping[str, Any] = response.json()["subscriptions"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            message = f"the broker at {self._url} gave no numbers ({type(error).__name__}): is the stack running?"
            raise SourceError(message) from None
        return {
            name: Waiting(known[name]["backlog"], known[name]["oldest_unacked_seconds"])
            for name in subscriptions
            if name in known
        }


class MonitoringSource:
    """Cloud Monitoring's time series, by its REST API: what was so a few minutes ago.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list

    Args:
        project: Google Cloud project.
        session: sends the requests, with credentials.
        url: where the API is; given by tests.
    """

    def __init__(self, project: str, session: "AuthorizedSession", *, url: str | None = None) -> None:
        self._project = project
        self._session = session
        self._url = url or _MONITORING

    def waiting(self, subscriptions: Iterable[str]) -> Mapping[str, Waiting]:
        names = {name.rpartition("/")[2]: name for name in subscriptions}
        backlog, age = self._newest(_BACKLOG, names), self._newest(_AGE, names)
        return {
            name: Waiting(None if short not in backlog else int(backlog[short]), age.get(short))
            for short, name in names.items()
            if short in backlog or short in age
        }

    def _newest(self, metric: str, names: Iterable[str]) -> dict[str, float]:
        """The metric's newest value by short name of the subscription."""
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
                value = series["points"][0]["value"]  # the newest comes first; int64 comes as text
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
            response = self._session.get(
                f"{self._url}/v3/projects/{self._project}/timeSeries", params=parameters, timeout=_CALL_SECONDS
            )
        except (requests.RequestException, GoogleAuthError) as error:
            message = f"Cloud Monitoring cannot be reached: {type(error).__name__}"
            raise SourceError(message) from None
        if response.status_code == 403:
            message = (
                "you may not read Cloud Monitoring: ask for roles/monitoring.viewer, which Terraform's `operators` have"
            )
            raise SourceError(message)
        if response.status_code != 200:
            message = f"Cloud Monitoring answered {response.status_code}"
            raise SourceError(message)
        body: Mapping[str, Any] = response.json()
        return body
