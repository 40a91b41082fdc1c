"""What a function is told by its environment, read once when its instance starts.

Terraform sets these variables in the cloud, the local stack on one machine. What is missing or wrong is named, with
what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .customerio.regions import Region, app_url, track_url


class SettingsError(Exception):
    """A variable is missing or wrong. The text names it and says what to set; never its value."""


@dataclass(frozen=True, slots=True)
class CustomerIOSettings:
    """Where Customer.io is. The URLs follow from the region unless they are given."""

    region: Region
    track_url: str
    app_url: str
    requests_per_second: float | None


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What every function needs that takes jobs."""

    project: str
    dead_letter_topic: str


def customerio_settings(environment: Mapping[str, str]) -> CustomerIOSettings:
    """Read ``CUSTOMERIO_REGION``, ``…_TRACK_URL``, ``…_APP_URL`` and ``…_REQUESTS_PER_SECOND``.

    The last is this instance's share of the account's rate; without it the instance does not limit itself.
    """
    region = required(environment, "CUSTOMERIO_REGION", "us or eu, as in the workspace's settings").lower()
    if region not in {"us", "eu"}:
        msg = "CUSTOMERIO_REGION must be us or eu"
        raise SettingsError(msg)
    typed: Region = "eu" if region == "eu" else "us"
    return CustomerIOSettings(
        region=typed,
        track_url=environment.get("CUSTOMERIO_TRACK_URL") or track_url(typed),
        app_url=environment.get("CUSTOMERIO_APP_URL") or app_url(typed),
        requests_per_second=_positive(environment, "CUSTOMERIO_REQUESTS_PER_SECOND"),
    )


def job_settings(environment: Mapping[str, str]) -> JobSettings:
    """Read ``GOOGLE_CLOUD_PROJECT`` and ``DEAD_LETTER_TOPIC``."""
    return JobSettings(
        project=required(environment, "GOOGLE_CLOUD_PROJECT", "the project's id"),
        dead_letter_topic=required(environment, "DEAD_LETTER_TOPIC", "projects/PROJECT/topics/TOPIC-dead-letter"),
    )


def required(environment: Mapping[str, str], name: str, what: str) -> str:
    """The variable's value.

    Raises:
        SettingsError: it is missing or empty.
    """
    value = environment.get(name, "").strip()
    if not value:
        msg = f"{name} is not set: {what}"
        raise SettingsError(msg)
    return value


def _positive(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        msg = f"{name} must be a number above 0"
        raise SettingsError(msg)
    return number
