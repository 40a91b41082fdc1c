"""Log-based metrics count the lines that the code writes.

A filter that matches nothing is an alert that never fires.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from shared.customerio.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER
from shared.handlers.signing_keys import SigningKeys
from shared.handlers.webhook import WebhookEndpoint
from shared.outcome import Done, Failed, Outcome, Retry
from shared.pubsub.topic import DeadLetterTopic, TopicPublisher
from shared.secrets import EnvironmentSecret
from shared.telemetry import JobLine, Telemetry
from tests.payloads import BODY, KEY, SIGNATURE, TIMESTAMP
from tests.terraform.applied import Applied
from tests.terraform.terraform_tool import ROOT

type Line = Mapping[str, Any]

_HELD = Retry(status=503, reason="credentials_refused", needs_operator=True)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("track", "track", "demo-project")


def _job(outcome: Outcome) -> JobLine:
    return JobLine(outcome=outcome, job_id="01J", lane="main", attempt=1, seconds=0.1)


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Done(), {"jobs"}),
        (Failed(error_class="rejected", reason="rejected", status=400), {"jobs"}),
        (Retry(status=429, reason="rate_limited"), {"jobs"}),
        (_HELD, {"jobs", "holds"}),
    ],
    ids=["applied", "dead-lettered", "later", "held"],
)
def test_a_job(
    prod: Applied, telemetry: Telemetry, capsys: pytest.CaptureFixture[str], outcome: Outcome, counted: set[str]
) -> None:
    telemetry.job(_job(outcome))

    assert _counting(prod, _line(capsys), service="prod-cio-track") == counted


def test_a_fault(prod: Applied, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.fault(ValueError("no"))

    assert _counting(prod, _line(capsys), service="prod-cio-track") >= {"faults"}


class _Taking(TopicPublisher):
    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        del data, attributes
        return "1"


async def test_an_event_is_counted_by_what_happened(prod: Applied, capsys: pytest.CaptureFixture[str]) -> None:
    topic = _Taking("projects/demo-project/topics/cio-events", timeout=1.0)
    webhook = WebhookEndpoint(
        SigningKeys(EnvironmentSecret(KEY)),
        topic,
        topic,
        DeadLetterTopic(topic, "webhook"),
        Telemetry("webhook", "", "demo-project"),
        max_age=None,
    )
    app = Starlette(routes=[Route("/", webhook.__call__, methods=["POST"])])

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook") as client:
        headers = {TIMESTAMP_HEADER: TIMESTAMP, SIGNATURE_HEADER: SIGNATURE}
        assert (await client.post("/", content=BODY, headers=headers)).status_code == 200
    await asyncio.sleep(0)  # log lines of one turn of the loop are written in the next

    line = _line(capsys)
    (events,) = (metric for metric in prod.of("google_logging_metric") if metric["name"] == "prod-cio-events")
    assert _counting(prod, line, service="prod-cio-webhook") == {"events"}
    assert events["label_extractors"] == {"metric": "EXTRACT(jsonPayload.reason)"}
    assert line["reason"] == json.loads(BODY)["metric"]


@pytest.mark.parametrize(
    ("text", "severity", "counted"),
    [
        ("Traceback (most recent call last):", "DEFAULT", {"starts"}),
        (
            'STARTUP TCP probe failed 1 time consecutively for container "worker". The instance was not started.',
            "ERROR",
            {"starts"},
        ),
        (
            "The request was aborted because there was no available instance.",
            "WARNING",
            {"turned-away"},
        ),
        (
            "Memory limit of 512 MiB exceeded with 520 MiB used. Consider increasing the memory limit.",
            "ERROR",
            {"memory"},
        ),
        ("Container called exit(0).", "WARNING", set()),
    ],
)
def test_what_cloud_run_says(prod: Applied, text: str, severity: str, counted: set[str]) -> None:
    """The words are Cloud Run's and Python's own: https://cloud.google.com/run/docs/troubleshooting."""
    entry = {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": "prod-cio-track",
        "severity": severity,
        "textPayload": text,
    }

    assert _counted(prod, entry) == counted


def test_runbooks_quote_the_logs(prod: Applied) -> None:
    """Who looks for the words of a log line finds them in the runbook of its alert."""
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()

    words = {
        text
        for metric in prod.of("google_logging_metric")
        for text in re.findall(r'textPayload:"(.*?)"', metric["filter"])
    }

    assert words
    assert {text for text in words if text not in runbooks} == set()
    assert "the signature does not verify" in runbooks


def test_excluded_lines(prod: Applied, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> None:
    """Cloud Run's line of a request that succeeded is left out; one that failed, and every line of ours, is kept."""
    request = {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": "prod-cio-track",
        "logName": "projects/acme-customerio-prod/logs/run.googleapis.com%2Frequests",
    }
    telemetry.job(_job(Done()))
    line = _entry(_line(capsys), service="prod-cio-track")

    assert _excluded(prod, request | {"severity": "INFO"})
    assert not _excluded(prod, request | {"severity": "WARNING"})
    assert not _excluded(prod, request | {"severity": "ERROR"})
    assert not _excluded(prod, line)


def _excluded(applied: Applied, entry: Mapping[str, str]) -> bool:
    return any(_holds(exclusion["filter"], entry) for exclusion in applied.of("google_logging_project_exclusion"))


def test_another_environment_counts_apart(
    prod: Applied, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.job(_job(Done()))

    assert _counting(prod, _line(capsys), service="staging-cio-track") == set()


def _line(capsys: pytest.CaptureFixture[str]) -> Line:
    line: Line = json.loads(capsys.readouterr().out)
    return line


def _counting(applied: Applied, line: Line, *, service: str) -> set[str]:
    return _counted(applied, _entry(line, service=service))


def _entry(line: Line, *, service: str) -> dict[str, str]:
    return {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": service,
        "severity": line["severity"],
        **{f"jsonPayload.{name}": str(value) for name, value in line.items()},
    }


def _counted(applied: Applied, entry: Mapping[str, str]) -> set[str]:
    return {
        metric["name"].removeprefix("prod-cio-")
        for metric in applied.of("google_logging_metric")
        if _holds(metric["filter"], entry)
    }


def _holds(clause: str, entry: Mapping[str, str]) -> bool:
    """Whether a filter in Logging's query language holds, as far as ours use it. There OR binds closer than AND.

    https://cloud.google.com/logging/docs/view/logging-query-language#operator-precedence
    """
    for word, combine in ((" AND ", all), (" OR ", any)):
        parts = _split(clause, word)
        if len(parts) > 1:
            return combine(_holds(part, entry) for part in parts)
    if clause.startswith("("):
        return _holds(clause[1:-1], entry)
    match = re.fullmatch(r'([\w.]+)(=~|!=|>=|<|=|:)"?(.*?)"?', clause)
    assert match, clause
    name, operator, expected = match.groups()
    return _COMPARISONS[operator](entry.get(name, ""), expected)


def _split(text: str, word: str) -> list[str]:
    """Split at the word, outside of brackets and quotes."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(rf'"[^"]*"|[()]|{word}', text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if match[0] == word and depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


_SEVERITIES = ("DEFAULT", "INFO", "WARNING", "ERROR", "CRITICAL")
_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda actual, expected: actual == expected,
    "!=": lambda actual, expected: actual != expected,
    "=~": lambda actual, pattern: re.search(pattern, actual) is not None,
    ":": lambda actual, part: bool(actual) if part == "*" else part in actual,
    "<": lambda actual, bound: _SEVERITIES.index(actual) < _SEVERITIES.index(bound),
    ">=": lambda actual, least: (
        int(actual or -1) >= int(least) if least.isdigit() else _SEVERITIES.index(actual) >= _SEVERITIES.index(least)
    ),
}
