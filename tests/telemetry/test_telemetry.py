"""What a log line says, and what it does not."""

import hashlib
import json
from typing import Any

import pytest

from shared.outcome import Done, Failed, Outcome, Retry
from shared.redaction import loggable_key
from shared.telemetry import JobLine, Telemetry, trace_id

PERSON = "email:ada@example.com"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def logged(
    capsys: pytest.CaptureFixture[str], outcome: Outcome, headers: dict[str, str] | None = None, project: str = "p"
) -> dict[str, Any]:
    line = JobLine(
        outcome=outcome,
        job_id="ada@example.com",
        lane="main",
        attempt=2,
        seconds=0.25,
        trace_id=trace_id(headers or {}, {}),
    )
    Telemetry("send", "send", project).job(line)
    read: dict[str, Any] = json.loads(capsys.readouterr().out)
    return read


def test_a_line_says_what_became_of_the_job_and_names_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    line = logged(capsys, Done(subject=PERSON))
    subject = line.pop("subject")
    assert line == {
        "severity": "INFO",
        "message": "applied",
        "function": "send",
        "kind": "send",
        "outcome": "applied",
        "answer": 204,
        "lane": "main",
        "attempt": 2,
        "latency_ms": 250.0,
        "job_id": loggable_key("ada@example.com"),
    }
    assert "ada" not in subject


def test_a_person_is_the_same_hash_in_one_project_and_another_in_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hashes = [logged(capsys, Done(subject=PERSON), project=project)["subject"] for project in ("p", "p", "q")]
    assert hashes[0] == hashes[1] != hashes[2]
    # Without the project as key, anybody could look an address up.
    assert hashes[0] != hashlib.blake2b(PERSON.encode(), digest_size=8).hexdigest()


def test_a_line_belongs_to_the_trace_of_its_publisher_where_the_message_has_one() -> None:
    headers = {"traceparent": f"00-{'1' * 32}-00f067aa0ba902b7-01"}
    published = f"00-{TRACE}-00f067aa0ba902b7-01"
    for name in ("googclient_traceparent", "traceparent"):
        assert trace_id(headers, {name: published}) == TRACE
    assert trace_id(headers, {"traceparent": "00-ada@example.com-00f067aa0ba902b7-01"}) == "1" * 32
    assert trace_id({}, {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-00"}) == ""


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"x-cloud-trace-context": f"{TRACE}/1;o=1"}, TRACE),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-cloud-trace-context": "other/1"}, TRACE),
        ({"traceparent": "nonsense"}, None),
        ({"traceparent": "00-../..-00f067aa0ba902b7-01"}, None),
        ({}, None),
    ],
)
def test_a_line_belongs_to_the_trace_of_its_request(
    capsys: pytest.CaptureFixture[str], headers: dict[str, str], trace: str | None
) -> None:
    name = logged(capsys, Done(), headers).get("logging.googleapis.com/trace")
    assert name == (trace and f"projects/p/traces/{trace}")


@pytest.mark.parametrize(
    ("outcome", "severity", "word", "answer"),
    [
        (Done(how="unchanged"), "INFO", "unchanged", 204),
        (Failed(error_class="expired", reason="expired"), "ERROR", "expired", 204),
        (Failed(error_class="rejected", reason="no"), "ERROR", "dead_lettered", 204),
        (Retry(status=429, reason="rate_limited"), "WARNING", "retry_later", 429),
        (Retry(status=503, reason="server_error", moved=True), "WARNING", "moved", 204),
        (Retry(status=503, reason="wrong_region", needs_operator=True), "CRITICAL", "retry_later", 503),
    ],
)
def test_severity_and_word_of_each_outcome(
    capsys: pytest.CaptureFixture[str], outcome: Outcome, severity: str, word: str, answer: int
) -> None:
    line = logged(capsys, outcome)
    assert (line["severity"], line["outcome"], line["answer"]) == (severity, word, answer)
