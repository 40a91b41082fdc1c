"""What can be said of a job beside its body, as attributes of its message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .attributes import GOOGLE_PREFIX, JOB_ATTRIBUTES, MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, RESERVED
from .jobs import InvalidJob, new_ulid
from .jobs.to_json import plain, unix_seconds

When = datetime | int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What can be said of a job beside its body.

    Args:
        job_id: the same id is the same job, however often it is published; a new ULID if absent.
        expires_at: an aware datetime or unix seconds after which it is dead-lettered instead of done.
        delivery_guarantee: of a send or broadcast whose outcome is not known: try again, or ask a person.
        attributes: further Pub/Sub attributes, for subscriptions of your own.
    """

    job_id: str | None = None
    expires_at: When | None = None
    delivery_guarantee: Literal["at_least_once", "at_most_once"] | None = None
    attributes: Mapping[str, str] | None = None


def message_attributes(options: JobOptions, channel: str = "") -> dict[str, str]:
    """Attributes of the job's message: within Pub/Sub's limits, because one bad message fails all that travel with it.

    Raises:
        InvalidJob: an option that no function or no Pub/Sub would take.
    """
    if options.job_id == "":
        raise InvalidJob("job_id", "must not be empty; without one the job gets a new ULID")
    if options.delivery_guarantee not in {None, "at_least_once", "at_most_once"}:
        raise InvalidJob("delivery_guarantee", "must be at_least_once or at_most_once")
    ours = {
        "job_id": new_ulid() if options.job_id is None else options.job_id,
        "channel": channel,
        "expires_at": "" if options.expires_at is None else str(unix_seconds(options.expires_at, "expires_at")),
        "delivery_guarantee": options.delivery_guarantee or "",
    }
    attributes = {name: value for name, value in ours.items() if value}
    for name, value in plain(attributes).items():
        _check_value(name, value)
    for name, value in plain(options.attributes or {}, "attributes").items():
        _check_name(name)
        _check_value(f"attributes.{name}", value)
        attributes[name] = value
    if len(attributes) > MAX_ATTRIBUTES:
        problem = f"must be at most {MAX_ATTRIBUTES} with those of the job; they are {len(attributes)}"
        raise InvalidJob("attributes", problem)
    return attributes


def _check_name(name: str) -> None:
    if name in JOB_ATTRIBUTES:
        raise InvalidJob(f"attributes.{name}", "is of the job itself and cannot be set here")
    if name in RESERVED or name.startswith(GOOGLE_PREFIX):
        raise InvalidJob(f"attributes.{name}", "has a name that Pub/Sub or its client keeps for itself")
    if not name:
        raise InvalidJob("attributes", "has a name that is empty")
    if (size := len(name.encode())) > MAX_KEY_BYTES:
        raise InvalidJob("attributes", f"has a name of {size} bytes; a name has at most {MAX_KEY_BYTES}")


def _check_value(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidJob(field, f"must be text, not {type(value).__name__}")
    if (size := len(value.encode())) > MAX_VALUE_BYTES:
        raise InvalidJob(field, f"must be at most {MAX_VALUE_BYTES} bytes; it has {size}")
