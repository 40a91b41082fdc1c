"""What a log line says, and what it does not."""

import asyncio
import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest

from shared.outcome import Done, Failed, Outcome, Retry
from shared.redaction import loggable_key
from shared.telemetry import JobLine, Severity, Telemetry, trace_id

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


def _words(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]


async def test_lines_of_one_turn_of_the_loop_are_written_together_in_the_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = Telemetry("send", "send", "p")
    log.event("INFO", "first", "")
    log.event("WARNING", "second", "")
    assert _words(capsys) == []
    await asyncio.sleep(0)
    assert _words(capsys) == ["first", "second"]
    log.event("INFO", "third", "")
    await asyncio.sleep(0)
    assert _words(capsys) == ["third"]


@pytest.mark.parametrize("severity", ["ERROR", "CRITICAL"])
async def test_an_error_is_written_at_once_after_the_lines_before_it(
    severity: Severity, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Telemetry("send", "send", "p")
    log.event("INFO", "before", "")
    log.event(severity, "error", "")
    assert _words(capsys) == ["before", "error"]
    log.event("INFO", "after", "")
    await asyncio.sleep(0)
    assert _words(capsys) == ["after"]


def test_a_line_that_a_loop_left_behind_comes_with_the_next_loops(capsys: pytest.CaptureFixture[str]) -> None:
    log = Telemetry("send", "send", "p")

    async def say(word: str) -> None:
        log.event("INFO", word, "")

    loop = asyncio.new_event_loop()
    loop.call_soon(loop.stop)
    left = loop.create_task(say("left"))
    loop.run_forever()
    loop.close()
    assert left.done()
    assert _words(capsys) == []
    asyncio.run(say("next"))
    assert _words(capsys) == ["left", "next"]


def test_a_line_from_a_thread_is_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> list[str]:
        await asyncio.to_thread(Telemetry("control", "", "p").event, "INFO", "from a thread", "")
        return _words(capsys)

    assert asyncio.run(main()) == ["from a thread"]


def test_writes_are_no_longer_than_a_pipe_keeps_together(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Pipe:
        def write(self, text: str) -> None:
            written.append(text)

        def flush(self) -> None: ...

    async def main() -> None:
        log = Telemetry("send", "send", "p")
        for number in range(100):
            log.event("INFO", f"line {number}", "\u00fc" * 100)
        log.event("INFO", "long", "x" * 5_000)
        await asyncio.sleep(0)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Pipe())
        asyncio.run(main())
    assert all(len(text.encode()) <= 4096 or text.count("\n") == 1 for text in written)
    assert len(written) < 20
    words = [json.loads(line)["outcome"] for line in "".join(written).splitlines()]
    assert words == [*(f"line {number}" for number in range(100)), "long"]


_ENDS = """
import asyncio, os, signal, sys
from shared.telemetry import Telemetry

async def main():
    log = Telemetry("send", "send", "p")
    for number in range(50):
        log.event("INFO", str(number), "")
    {end}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("end", "count"),
    [
        ("return", 50),
        ("sys.exit(3)", 50),
        ("raise ZeroDivisionError", 50),
        ("log.event('ERROR', 'last', ''); os.kill(os.getpid(), signal.SIGKILL)", 51),
    ],
)
def test_no_line_is_lost_when_the_process_ends(end: str, count: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _ENDS.format(end=end)], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert len([json.loads(line) for line in run.stdout.splitlines()]) == count
