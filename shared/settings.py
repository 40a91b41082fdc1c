"""Everything a function is told by its environment, read once when its instance starts.

Terraform sets these variables in the cloud, the local stack on one machine. Nothing else in ``shared`` reads the
environment; Google's clients look for ``PUBSUB_EMULATOR_HOST`` and the like by themselves.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from . import push_targets
from .push_targets import PushTargets
from .recipients import NOBODY, RecipientPolicy
from .topology import topology

Region = Literal["us", "eu"]

# https://docs.customer.io/integrations/api/track and /app
_TRACK_HOSTS: dict[Region, str] = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
_APP_HOSTS: dict[Region, str] = {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}
# Where a message reaches a person.
REAL_HOSTS = frozenset(urlsplit(url).hostname for url in (*_TRACK_HOSTS.values(), *_APP_HOSTS.values()))

# Secrets by their name in topology.json, and the variable that holds each one's value on one machine. The variable with
# ``_SECRET`` behind it holds the secret's resource name in the cloud.
_SECRET_VARIABLES = {
    "site-id": "CUSTOMERIO_SITE_ID",
    "track-api-key": "CUSTOMERIO_TRACK_API_KEY",
    "app-api-key": "CUSTOMERIO_APP_API_KEY",
    "webhook-signing-key": "CUSTOMERIO_WEBHOOK_SIGNING_KEY",
}


_DEAD_LETTER_TOPIC = "projects/PROJECT/topics/TOPIC-dead-letter"


class SettingsError(Exception):
    """Variables are missing or wrong. Each line of the text names one and says what to set; never its value."""


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Source of one secret.

    Args:
        value: The secret's values, separated by commas, on one machine; otherwise empty.
        name: ``projects/P/secrets/S`` in Secret Manager; empty where ``value`` is given.
    """

    value: str = field(default="", repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class CustomerIOHosts:
    """Hosts of Customer.io.

    Args:
        region: Region of the account.
        track_url: Base URL of the Track API; follows from the region unless ``CUSTOMERIO_TRACK_URL`` is set.
        app_url: Base URL of the App API; follows from the region unless ``CUSTOMERIO_APP_URL`` is set.
    """

    region: Region
    track_url: str
    app_url: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "CustomerIOHosts":
        """Read the region and the URLs alone, for tools that are no function.

        Raises:
            SettingsError: if the region is missing or wrong.
        """
        read = _Reader(environment)
        hosts = read.customerio()
        read.check()
        return hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one function. A field that the function does not need is empty or None.

    Args:
        function: Name of the function, as in ``topology.json``.
        project: Google Cloud project.
        dead_letter_topic: ``projects/P/topics/T-dead-letter``.
        customerio: Where Customer.io is.
        events_topic: ``projects/P/topics/T``, where the webhook publishes.
        outcomes_topic: ``projects/P/topics/T``, where functions publish what became of their jobs; empty for nowhere.
        outcomes_sample: Share of identify, track and sync jobs, 0 to 1, of which a success is published.
        outcomes_dead_letter_topic: ``projects/P/topics/T-dead-letter`` of the outcomes that archive takes.
        consent_topic: ``projects/P/topics/T``, where the webhook publishes changes of consent.
        requests_per_second: This instance's share of the account's rate; None for no limit.
        secrets: Where the function's secrets are, by their names in ``topology.json``.
        ledger: ``firestore:DATABASE`` or ``sqlite:PATH``.
        dataset: BigQuery dataset of the events.
        bigquery_is_emulated: Whether ``BIGQUERY_EMULATOR_HOST`` is set, which takes no credentials.
        recipients: Who may be written to; nobody where ``RECIPIENTS`` is not set.
        webhook_max_age: Seconds that a signature's timestamp may differ from now; None for no check.
        control_topic: ``projects/P/topics/T``, where a function that calls Customer.io asks for a pause.
        push_targets: Where the subscriptions push to that ``control`` pauses and resumes.
        time_scale: Divides the times of pauses, on one machine.
    """

    function: str
    project: str
    dead_letter_topic: str
    customerio: CustomerIOHosts
    events_topic: str = ""
    outcomes_topic: str = ""
    outcomes_sample: float = 0.0
    outcomes_dead_letter_topic: str = ""
    consent_topic: str = ""
    requests_per_second: float | None = None
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    ledger: str = ""
    dataset: str = ""
    bigquery_is_emulated: bool = False
    recipients: RecipientPolicy = NOBODY
    webhook_max_age: float | None = None
    control_topic: str = ""
    push_targets: PushTargets = field(default_factory=dict)
    time_scale: float = 1.0

    @classmethod
    def from_environment(cls, function: str, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read what ``topology.json`` says ``function`` needs.

        Raises:
            SettingsError: if variables are missing or wrong; it names all of them.
            KeyError: if no such function is in ``topology.json``.
        """
        needs = topology().functions[function]
        read = _Reader(environment)
        has_jobs = any(topic.rate for topic in topology().topics.values() if topic.function == function)
        calls_customerio = has_jobs or function == "control"
        hosts = read.customerio() if calls_customerio else CustomerIOHosts("us", "", "")
        project = read.text("GOOGLE_CLOUD_PROJECT", "the id of the Google Cloud project")
        takes_outcomes = topology().topics["outcomes"].function == function
        settings = cls(
            function=function,
            project=project,
            dead_letter_topic=read.text("DEAD_LETTER_TOPIC", _DEAD_LETTER_TOPIC),
            outcomes_topic=environment.get("OUTCOMES_TOPIC", "").strip() if has_jobs else "",
            outcomes_sample=read.share("OUTCOMES_SAMPLE"),
            outcomes_dead_letter_topic=(
                read.text("OUTCOMES_DEAD_LETTER_TOPIC", _DEAD_LETTER_TOPIC) if takes_outcomes else ""
            ),
            events_topic=read.text("EVENTS_TOPIC", "projects/PROJECT/topics/TOPIC") if function == "webhook" else "",
            consent_topic=read.text("CONSENT_TOPIC", "projects/PROJECT/topics/TOPIC") if function == "webhook" else "",
            customerio=hosts,
            requests_per_second=read.number("CUSTOMERIO_REQUESTS_PER_SECOND"),
            secrets={name: read.secret(_SECRET_VARIABLES[name]) for name in needs.secrets},
            ledger=read.text("LEDGER", "firestore:DATABASE, or sqlite:PATH on one machine") if needs.ledger else "",
            dataset=read.text("BIGQUERY_DATASET", "the dataset of the events table") if needs.warehouse else "",
            bigquery_is_emulated=bool(environment.get("BIGQUERY_EMULATOR_HOST")),
            recipients=read.recipients(),
            webhook_max_age=read.number("CUSTOMERIO_WEBHOOK_MAX_AGE"),
            control_topic=read.text("CONTROL_TOPIC", "projects/PROJECT/topics/TOPIC") if has_jobs else "",
            push_targets=read.push_targets() if function == "control" else {},
            time_scale=read.number("STACK_TIME_SCALE") or 1.0,
        )
        read.check()
        return settings


class _Reader:
    """Reads variables and collects what is wrong, so that all of it is said at once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def check(self) -> None:
        if self.problems:
            raise SettingsError("\n".join(self.problems))

    def text(self, name: str, hint: str) -> str:
        value = self._environment.get(name, "").strip()
        if not value:
            self.problems.append(f"{name} is not set: {hint}")
        return value

    def customerio(self) -> CustomerIOHosts:
        value = self.text("CUSTOMERIO_REGION", "us or eu, as in the workspace's settings").lower()
        if value not in {"us", "eu", ""}:
            self.problems.append("CUSTOMERIO_REGION must be us or eu")
        region: Region = "eu" if value == "eu" else "us"
        return CustomerIOHosts(
            region,
            self._environment.get("CUSTOMERIO_TRACK_URL") or _TRACK_HOSTS[region],
            self._environment.get("CUSTOMERIO_APP_URL") or _APP_HOSTS[region],
        )

    def number(self, name: str) -> float | None:
        text = self._environment.get(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            self.problems.append(f"{name} must be a number above 0")
        return value

    def recipients(self) -> RecipientPolicy:
        try:
            return RecipientPolicy.decode(self._environment.get("RECIPIENTS") or "{}")
        except ValueError as error:
            self.problems.append(f'RECIPIENTS must be JSON such as {{"domains": ["example.com"]}}: {error}')
            return NOBODY

    def share(self, name: str) -> float:
        try:
            value = float(self._environment.get(name) or 0)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            self.problems.append(f"{name} must be a number from 0 to 1")
        return value

    def push_targets(self) -> PushTargets:
        hint = 'JSON: {KIND: {"subscriptions": [...], "endpoint": URL, "service_account": EMAIL, "audience": URL}}'
        if not (text := self.text("PUSH_TARGETS", hint)):
            return {}
        try:
            return push_targets.decode(text)
        except ValueError:
            self.problems.append(f"PUSH_TARGETS must be {hint}")
            return {}

    def secret(self, variable: str) -> SecretSource:
        if value := self._environment.get(variable, "").strip():
            return SecretSource(value=value)
        hint = f"projects/PROJECT/secrets/SECRET, or set {variable} to the value itself on one machine"
        return SecretSource(name=self.text(f"{variable}_SECRET", hint))
