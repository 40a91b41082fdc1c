"""What a function is told, and what is said where that is missing or wrong."""

import pytest

from shared.settings import CustomerIOHosts, SecretSource, Settings, SettingsError
from shared.topology import topology

COMPLETE = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "DEAD_LETTER_TOPIC": "projects/p/topics/t-dead-letter",
    "CONSENT_TOPIC": "projects/p/topics/consent",
    "EVENTS_TOPIC": "projects/p/topics/events",
    "CONTROL_TOPIC": "projects/p/topics/control",
    "PUSH_TARGETS": '{"send":{"subscriptions":["projects/p/subscriptions/s"],"endpoint":"https://send"}}',
    "CUSTOMERIO_REGION": "eu",
    "CUSTOMERIO_REQUESTS_PER_SECOND": "12.5",
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_TRACK_API_KEY_SECRET": "projects/p/secrets/track",
    "CUSTOMERIO_APP_API_KEY": "app",
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "key",
    "OUTCOMES_TOPIC": "projects/p/topics/outcomes",
    "OUTCOMES_DEAD_LETTER_TOPIC": "projects/p/topics/outcomes-dead-letter",
    "OUTCOMES_SAMPLE": "0.01",
    "LEDGER": "firestore:ledger",
    "BIGQUERY_DATASET": "customerio",
}


@pytest.mark.parametrize("function", topology().functions)
def test_each_function_is_told_what_it_needs_and_no_more(function: str) -> None:
    settings, needs = Settings.from_environment(function, COMPLETE), topology().functions[function]
    assert tuple(settings.secrets) == needs.secrets
    assert bool(settings.ledger) == needs.ledger
    assert bool(settings.dataset) == needs.warehouse
    assert bool(settings.events_topic) == (function == "webhook")
    takes_jobs = any(topic.rate for topic in topology().topics.values() if topic.function == function)
    assert (settings.outcomes_topic, settings.outcomes_sample) == (
        COMPLETE["OUTCOMES_TOPIC"] if takes_jobs else "",
        0.01,
    )
    assert bool(settings.outcomes_dead_letter_topic) == (function == "archive")
    assert bool(settings.consent_topic) == (function == "webhook")
    assert bool(settings.push_targets) == (function == "control")
    assert bool(settings.control_topic) == takes_jobs


def test_a_secret_is_a_value_or_a_name_in_secret_manager() -> None:
    settings = Settings.from_environment("identify", COMPLETE)
    assert settings.secrets == {
        "site-id": SecretSource(value="site"),
        "track-api-key": SecretSource(name="projects/p/secrets/track"),
    }


def test_everything_that_is_wrong_is_said_at_once_and_no_value_with_it() -> None:
    wrong = {"CUSTOMERIO_REGION": "mars", "CUSTOMERIO_REQUESTS_PER_SECOND": "fast", "LEDGER": " "}
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment("send", wrong)
    lines = str(raised.value).splitlines()
    assert {line.split()[0] for line in lines} == {
        "CUSTOMERIO_REGION",
        "CUSTOMERIO_REQUESTS_PER_SECOND",
        "GOOGLE_CLOUD_PROJECT",
        "DEAD_LETTER_TOPIC",
        "CONTROL_TOPIC",
        "CUSTOMERIO_APP_API_KEY_SECRET",
        "LEDGER",
    }
    assert "mars" not in str(raised.value)


@pytest.mark.parametrize("number", ["0", "-1", "inf", "nan", "ten"])
def test_a_rate_is_a_number_above_zero(number: str) -> None:
    with pytest.raises(SettingsError, match="CUSTOMERIO_REQUESTS_PER_SECOND must be a number above 0"):
        Settings.from_environment("send", {**COMPLETE, "CUSTOMERIO_REQUESTS_PER_SECOND": number})


@pytest.mark.parametrize("number", ["-0.1", "1.1", "nan", "half"])
def test_a_sample_is_a_share(number: str) -> None:
    with pytest.raises(SettingsError, match="OUTCOMES_SAMPLE must be a number from 0 to 1"):
        Settings.from_environment("track", {**COMPLETE, "OUTCOMES_SAMPLE": number})
    assert Settings.from_environment("track", {**COMPLETE, "OUTCOMES_SAMPLE": ""}).outcomes_sample == 0


@pytest.mark.parametrize("text", ["[]", '{"send":"secret"}', '{"send":{"endpoint":"https://secret"}}', "secret"])
def test_push_targets_that_cannot_be_read_are_named_and_not_quoted(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^PUSH_TARGETS must be JSON") as raised:
        Settings.from_environment("control", {**COMPLETE, "PUSH_TARGETS": text})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("region", "suffix"), [("us", ""), ("EU", "-eu")])
def test_the_hosts_follow_from_the_region(region: str, suffix: str) -> None:
    hosts = CustomerIOHosts.from_environment({"CUSTOMERIO_REGION": region})
    assert hosts.track_url == f"https://track{suffix}.customer.io"
    assert hosts.app_url == f"https://api{suffix}.customer.io"
    given = CustomerIOHosts.from_environment({"CUSTOMERIO_REGION": region, "CUSTOMERIO_APP_URL": "http://localhost:1"})
    assert (given.track_url, given.app_url) == (hosts.track_url, "http://localhost:1")
