"""``expires_at``: a job that comes too late is not done, but dead-lettered as expired."""

from datetime import UTC, datetime

from ..outcome import Failed
from .message import PushMessage


def expired(delivery: PushMessage, now: datetime) -> Failed | None:
    """A failure when the job's ``expires_at`` has passed or cannot be read, otherwise None.

    ``expires_at`` is unix seconds, or ISO 8601 with an offset.
    """
    text = delivery.attributes.get("expires_at")
    if text is None:
        return None
    instant = _instant(text)
    if instant is None:
        return Failed(
            error_class="invalid_job",
            reason="invalid",
            field="expires_at",
            message="the attribute must be unix seconds, or ISO 8601 with an offset",
        )
    if instant > now:
        return None
    late = round((now - instant).total_seconds())
    return Failed(error_class="expired", reason="expired", field="expires_at", message=f"{late} s too late")


def _instant(text: str) -> datetime | None:
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return instant if instant.tzinfo else None
