"""What became of a broadcast after its trigger was accepted: read from Customer.io, which reports it nowhere else.

Customer.io answers a trigger at once and reads the audience later. One missing person can fail all that follow, and
only the trigger's errors say so. There is no status: a trigger is processed when its ``processed_at`` is set.

A broadcast that was triggered stays done, whatever is found here. Nothing here can make it be triggered again.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from .. import deadlines
from ..customerio.app import AppAPI
from ..customerio.errors import CustomerIOError, DeadlineExceededError
from ..lifetime import Lifetime
from ..outcome import Done, Failed, Outcome, Retry
from ..pubsub.message import PushMessage
from ..redaction import redacted
from ..telemetry import Telemetry

_LINE = re.compile(r"line (\d+):\s*(.*)", re.DOTALL | re.IGNORECASE)
# Line numbers that are named of each reason. The dead letter holds the audience; these are to find the others by.
_MAX_LINES = 10
# Reasons that are told. Freeing each of the job's values takes a millisecond or more.
_MAX_REASONS = 5


class TriggerReport:
    """Looks at broadcasts that were triggered.

    Args:
        app: The API that they were triggered by.
        telemetry: Gets a line for a broadcast of which nothing can be said.
        lifetime: Life of the instance, whose end ends the look.
    """

    def __init__(self, app: AppAPI, telemetry: Telemetry, lifetime: Lifetime) -> None:
        self._app = app
        self._telemetry = telemetry
        self._lifetime = lifetime

    async def outcome(self, done: Done, broadcast_id: int, message: PushMessage) -> Outcome:
        """Return ``done``, or the failure if Customer.io refused people.

        A broadcast that is not processed in time is left with a line in the log. A later delivery of the same job, such
        as a replay, looks again.

        Args:
            done: Outcome of the trigger, with its id.
            broadcast_id: The broadcast.
            message: The job.
        """
        # Without a record a dead letter could be replayed into a second broadcast, so nothing is looked for then.
        if done.how == "sent_not_recorded" or not done.trigger_id:
            return done
        latest = min(time.monotonic() + deadlines.TRIGGER_WATCH_SECONDS, message.deadline - deadlines.PUBLISH_SECONDS)
        try:
            async with self._lifetime.limit(latest):
                errors = await self._errors(broadcast_id, done.trigger_id, latest)
        except (TimeoutError, DeadlineExceededError):
            if self._lifetime.is_ending:
                return _ENDING
            self._say("not processed yet", "trigger_unprocessed")
        except CustomerIOError as error:
            self._say(error.message, "trigger_unread")
        else:
            return _refused(errors, message.data) if errors else done
        return done

    async def _errors(self, broadcast_id: int, trigger_id: str, latest: float) -> list[str]:
        pause = deadlines.TRIGGER_MIN_PAUSE_SECONDS
        while not await self._app.is_processed(broadcast_id, trigger_id, deadline=latest):
            if self._lifetime.is_ending:
                raise TimeoutError
            await asyncio.sleep(pause)
            pause = min(2 * pause, deadlines.TRIGGER_MAX_PAUSE_SECONDS)
        return await self._app.trigger_errors(broadcast_id, trigger_id, deadline=latest)

    def _say(self, why: str, reason: str) -> None:
        message = f"the broadcast was triggered; whether people were refused is not known: {why}"
        self._telemetry.event("WARNING", "trigger_not_known", message, reason=reason)


# It comes again, the ledger says that it is done, and the next instance looks.
_ENDING = Retry(status=503, reason="shutting_down", message="the instance is shutting down")


def _refused(errors: list[str], data: bytes) -> Failed:
    told = "; ".join(_by_reason(errors, data))
    return Failed(
        error_class="audience_refused",
        reason="audience_refused",
        message=f"triggered, and {len(errors)} lines of the audience were refused: {told}",
    )


def _by_reason(errors: Iterable[str], data: bytes) -> Iterator[str]:
    """Sum up ``line 3: no such person``, which comes once per person. Only the reasons can quote a value."""
    lines: dict[str, list[str]] = {}
    for error in errors:
        match = _LINE.fullmatch(error.strip())
        lines.setdefault(match[2] if match else error, []).append(match[1] if match else "?")
    for reason, numbers in islice(lines.items(), _MAX_REASONS):
        more = f" and {len(numbers) - _MAX_LINES} more" if len(numbers) > _MAX_LINES else ""
        listed = ", ".join(numbers[:_MAX_LINES])
        yield f"{'lines' if len(numbers) > 1 else 'line'} {listed}{more}: {redacted(reason, data)}"
    if len(lines) > _MAX_REASONS:
        yield f"and {len(lines) - _MAX_REASONS} other reasons"
