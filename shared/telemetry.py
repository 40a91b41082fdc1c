"""One JSON line per job on standard output, as Cloud Logging reads it; never a payload, an email address or a key.

Special fields: https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields. Log-based
metrics and alerts in Terraform count these lines by ``kind``, ``outcome`` and ``reason``.
"""

import asyncio
import atexit
import hashlib
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from . import deadlines
from .attributes import TRACEPARENTS, trace_of
from .outcome import Done, Failed, Outcome, Retry
from .redaction import loggable_key

Severity = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
_AT_ONCE = frozenset({"ERROR", "CRITICAL"})
# https://man7.org/linux/man-pages/man7/pipe.7.html, PIPE_BUF
_PIPE_BYTES = 4096
_encode = msgspec.json.Encoder().encode


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one push when it is answered."""

    outcome: Outcome
    job_id: str
    lane: str
    attempt: int | None
    seconds: float
    trace_id: str = ""


class _Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    severity: Severity
    message: str
    function: str
    kind: str = ""
    outcome: str = ""
    reason: str = ""
    class_: str = msgspec.field(default="", name="class")
    status: int | None = None
    answer: int | None = None
    lane: str = ""
    attempt: int | None = None
    latency_ms: float | None = None
    paused_seconds: int | None = None
    subject: str = ""
    job_id: str = ""
    frames: list[str] = []
    trace: str = msgspec.field(default="", name="logging.googleapis.com/trace")


class _Lines:
    """Gathers the lines of one turn of the event loop and writes them together: a write costs more than a line.

    What waits is written in the loop's next turn, together with a line that may not wait, and when the process exits.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, line: bytes, *, at_once: bool) -> None:
        """Write a line in the loop's next turn; at once if it must not be lost, or if no loop runs in this thread."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _write([line])
            return
        self._waiting.append(line)
        if at_once:
            self.flush()
        elif self._loop is not loop:
            # Asked of each loop anew: a loop that has ended calls nothing any more.
            self._loop = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits."""
        self._loop = None
        lines, self._waiting = self._waiting, []
        _write(lines)


def _write(lines: Sequence[bytes]) -> None:
    """Write lines, as many at a time as a pipe keeps together: those of concurrent processes do not mix below 4 KB."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > _PIPE_BYTES:
            sys.stdout.write(b"".join(chunk).decode())
            sys.stdout.flush()
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        sys.stdout.write(b"".join(chunk).decode())
        sys.stdout.flush()


_lines = _Lines()
atexit.register(_lines.flush)


class Telemetry:
    """Writes the lines of one function.

    Args:
        function: Name of the function.
        kind: Kind of job that it takes; empty for the webhook.
        project: Google Cloud project, for the trace's full name and as the key of the person's hash.
    """

    def __init__(self, function: str, kind: str, project: str) -> None:
        self._function = function
        self._kind = kind
        self._project = project
        self._said: set[str] = set()
        self._last_refusal = 0.0

    def job(self, line: JobLine) -> None:
        """Write the line of one settled push; what needs an operator is CRITICAL, once per instance and reason."""
        outcome = line.outcome
        severity, word, reason, error_class, status, message = _described(outcome)
        if isinstance(outcome, Retry) and outcome.needs_operator and self._first(outcome.reason):
            severity = "CRITICAL"
        elif isinstance(outcome, Done) and outcome.how == "applied":
            self._said.clear()  # Customer.io takes requests again
        self._write(
            _Line(
                severity=severity,
                message=message,
                function=self._function,
                kind=self._kind,
                outcome=word,
                reason=reason,
                class_=error_class,
                status=status,
                answer=line.outcome.answer_status,
                lane=line.lane,
                attempt=line.attempt,
                latency_ms=round(line.seconds * 1000, 1),
                subject=self.hashed(outcome.subject) if outcome.subject else "",
                job_id=loggable_key(line.job_id),
                trace=f"projects/{self._project}/traces/{line.trace_id}" if line.trace_id else "",
            )
        )

    def event(
        self,
        severity: Severity,
        outcome: str,
        message: str,
        *,
        status: int | None = None,
        reason: str = "",
        kind: str = "",
        paused_seconds: int | None = None,
    ) -> None:
        """Write a line that is about no job: what a webhook was answered, a start, a refresh, a pause.

        Args:
            severity: Severity, as Cloud Logging names it.
            outcome: A word by which lines are counted.
            message: A sentence for the operator.
            status: HTTP status of the answer, if there was one.
            reason: A word that says why.
            kind: Kind of job that the line is about; the function's own if empty.
            paused_seconds: Age of the pause that the line is about.
        """
        self._write(
            _Line(
                severity=severity,
                message=message,
                function=self._function,
                kind=kind or self._kind,
                outcome=outcome,
                reason=reason,
                status=status,
                paused_seconds=paused_seconds,
            )
        )

    def refused(self, status: int, message: str) -> None:
        """Write that a caller was turned away: one line a second at the most, whatever it sends."""
        now = time.monotonic()
        if now - self._last_refusal >= deadlines.REFUSAL_LOG_SECONDS or self._last_refusal == 0.0:
            self._last_refusal = now
            self.event("WARNING", "refused", message, status=status)

    def fault(self, error: BaseException) -> None:
        """Write a fault of ours: its type and where it was raised, not its text, which may quote a payload."""
        frames = [
            f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-8:]
        ]
        self._write(
            _Line(
                severity="ERROR",
                message=f"fault in {self._function}: {type(error).__name__}",
                function=self._function,
                kind=self._kind,
                outcome="fault",
                reason=type(error).__name__,
                frames=frames,
            )
        )

    def hashed(self, subject: str) -> str:
        """Short keyed hash of a person's key: it can be followed through one project's logs, and no further."""
        return subject_hash(self._project, subject)

    def _first(self, reason: str) -> bool:
        fresh = reason not in self._said
        self._said.add(reason)
        return fresh

    def _write(self, line: _Line) -> None:
        _lines.put(_encode(line) + b"\n", at_once=line.severity in _AT_ONCE)


def subject_hash(project: str, subject: str) -> str:
    """Hash of a person's key as the logs and outcomes of one project have it."""
    return hashlib.blake2b(subject.encode(), digest_size=8, key=project.encode()[:64]).hexdigest()


def trace_id(headers: Mapping[str, str], attributes: Mapping[str, str]) -> str:
    """Trace of a push: the publisher's, where its message carries one, otherwise the request's; empty if there is none.

    Args:
        headers: Headers of the push, to which Cloud Run adds its own trace.
        attributes: Attributes of the message.
    """
    for name in TRACEPARENTS:
        if name in attributes and (trace := trace_of(attributes[name])):
            return trace
    if traceparent := headers.get("traceparent"):
        return trace_of(traceparent)
    trace = headers.get("x-cloud-trace-context", "").partition("/")[0]
    return trace if trace.isalnum() else ""


def _described(outcome: Outcome) -> tuple[Severity, str, str, str, int | None, str]:
    match outcome:
        case Done():
            severity: Severity = "ERROR" if outcome.how == "sent_not_recorded" else "INFO"
            return severity, outcome.how, "", "", None, outcome.how
        case Failed():
            word = "expired" if outcome.error_class == "expired" else "dead_lettered"
            field = f"{outcome.field}: " if outcome.field else ""
            return "ERROR", word, outcome.reason, outcome.error_class, outcome.status, f"{field}{outcome.message}"
        case Retry():
            return (
                "WARNING",
                "moved" if outcome.moved else "retry_later",
                outcome.reason,
                "",
                outcome.upstream_status,
                outcome.message or outcome.reason,
            )
        case _:
            msg = f"not an outcome: {type(outcome).__name__}"
            raise TypeError(msg)
