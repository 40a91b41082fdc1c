"""Options of a job, which travel as attributes of its message."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..attributes import (
    GOOGLE_PREFIX,
    JOB_ATTRIBUTES,
    MAX_ATTRIBUTES,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    RESERVED,
    TRACEPARENTS,
    trace_of,
)
from ..jobs import InvalidJob, new_ulid
from ..jobs.to_json import to_json, unix_seconds

When = datetime | int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Options that any job takes beside its body.

    Args:
        job_id: Name of the job, at most 1024 bytes. Published twice under one id it is one job. Default: a new ULID.
        expires_at: Aware datetime or unix seconds after which the job is dead-lettered instead of done.
        delivery_guarantee: For a send or broadcast whose outcome is unknown: ``at_least_once`` (default) tries again,
            ``at_most_once`` leaves the decision to a person.
        priority: ``bulk`` for a send that yields to every other one for the account's rate; no other kind heeds it.
        traceparent: W3C trace context that the job's log lines and outcomes continue. Default: that of the current
            OpenTelemetry span, if there is one.
        attributes: Further Pub/Sub attributes, for subscriptions of your own.
    """

    job_id: str | None = None
    expires_at: When | None = None
    delivery_guarantee: Literal["at_least_once", "at_most_once"] | None = None
    priority: Literal["bulk"] | None = None
    traceparent: str | None = None
    attributes: Mapping[str, str] | None = None


def message_attributes(options: JobOptions, own: Mapping[str, str]) -> dict[str, str]:
    """Build the attributes of a job's message, within Pub/Sub's limits: one bad message fails all in its request.

    Args:
        options: The job's options.
        own: Attributes that the publishing method sets itself, such as ``channel``; empty ones are left out.

    Raises:
        InvalidJob: if the function or Pub/Sub would refuse an option.
    """
    if options.job_id == "":
        raise InvalidJob("job_id", "must not be empty; without one the job gets a new ULID")
    if options.delivery_guarantee not in {None, "at_least_once", "at_most_once"}:
        raise InvalidJob("delivery_guarantee", "must be at_least_once or at_most_once")
    if options.priority not in {None, "bulk"}:
        raise InvalidJob("priority", "must be bulk, or be left out")
    traceparent = _current_traceparent() if options.traceparent is None else options.traceparent
    if options.traceparent is not None and not trace_of(options.traceparent):
        raise InvalidJob("traceparent", "must be a W3C trace context: 00-TRACE-SPAN-FLAGS in lower-case hex digits")
    ours = {
        "job_id": new_ulid() if options.job_id is None else options.job_id,
        **own,
        "expires_at": "" if options.expires_at is None else str(unix_seconds(options.expires_at, "expires_at")),
        "delivery_guarantee": options.delivery_guarantee or "",
        "priority": options.priority or "",
    }
    attributes = {name: value for name, value in ours.items() if value}
    for name, value in to_json(attributes).items():
        _check_value(name, value)
    for name, value in to_json(options.attributes or {}, "attributes").items():
        _check_name(name)
        _check_value(f"attributes.{name}", value)
        attributes[name] = value
    if len(attributes) > MAX_ATTRIBUTES:
        problem = f"must be at most {MAX_ATTRIBUTES} with the job's own; there are {len(attributes)}"
        raise InvalidJob("attributes", problem)
    for name in TRACEPARENTS:
        if traceparent and len(attributes) < MAX_ATTRIBUTES:
            attributes.setdefault(name, traceparent)
    return attributes


def _current_traceparent() -> str:
    """The current OpenTelemetry span as W3C writes it; empty without one, and where nothing imported OpenTelemetry."""
    if (trace := sys.modules.get("opentelemetry.trace")) is None:
        return ""
    span = trace.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else ""


def _check_name(name: str) -> None:
    if name in JOB_ATTRIBUTES:
        raise InvalidJob(f"attributes.{name}", "is set by the publisher and cannot be set here")
    if name in RESERVED or name.startswith(GOOGLE_PREFIX):
        raise InvalidJob(f"attributes.{name}", "is reserved by Pub/Sub or its client; take another name")
    if not name:
        raise InvalidJob("attributes", "must not have an empty name")
    if (size := len(name.encode())) > MAX_KEY_BYTES:
        raise InvalidJob("attributes", f"has a name of {size} bytes; a name has at most {MAX_KEY_BYTES}")


def _check_value(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidJob(field, f"must be text, not {type(value).__name__}")
    if (size := len(value.encode())) > MAX_VALUE_BYTES:
        raise InvalidJob(field, f"must be at most {MAX_VALUE_BYTES} bytes; it has {size}")
