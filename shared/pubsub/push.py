"""What a function does with a push: read the envelope, let the handler settle the job, answer by its outcome."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from ..outcome import Failed, Outcome, Retry
from ..telemetry import JobLine, Telemetry
from ..topology import topology
from .answer import AGAIN, answer
from .dead_letters import DeadLetters
from .expiry import expired
from .message import NotAnEnvelopeError, PushMessage, read_push
from .topic import PublishError

# Bodies under way at once. A job takes about five times its body, and a function has 512 MiB.
_MAXIMUM_BYTES = 64_000_000

Handle = Callable[[PushMessage], Awaitable[Outcome]]


class PushEndpoint:
    """Takes pushes of one kind of job. Holds no state between them but what ``handle`` keeps.

    Args:
        handle: settles one job; what it raises is a fault of ours and answered with 500.
        dead_letters: where a failed job goes before its push is acknowledged.
        telemetry: gets one line per push.
        expiry: whether ``expires_at`` is judged here; not where the handler first has to see what was done before.
    """

    def __init__(self, handle: Handle, dead_letters: DeadLetters, telemetry: Telemetry, *, expiry: bool = True) -> None:
        self._expiry = expiry
        self._bytes = 0
        self._handle = handle
        self._dead_letters = dead_letters
        self._telemetry = telemetry

    async def __call__(self, request: Request) -> Response:
        """Answer one push: 204, 429, 503, 400 for what is no push, 500 for a fault of ours."""
        size = _content_length(request)
        if self._bytes + size > _MAXIMUM_BYTES:
            return AGAIN[429]
        self._bytes += size
        try:
            return await self._answer(request)
        finally:
            self._bytes -= size

    async def _answer(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            delivery = read_push(await request.body())
        except NotAnEnvelopeError as error:
            self._telemetry.refused(400, str(error))
            return PlainTextResponse(str(error), status_code=400)
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            outcome = await self._settle(delivery)
        except Exception as error:  # noqa: BLE001 - the job stays with Pub/Sub, and the error's text out of the log
            self._telemetry.fault(error)
            return Response(status_code=500)
        response = answer(outcome)
        self._telemetry.job(
            JobLine(
                outcome=outcome,
                job_id=delivery.key,
                lane=delivery.lane,
                attempt=delivery.attempt,
                answer=response.status_code,
                seconds=time.perf_counter() - started,
            ),
            request.headers,
        )
        return response

    async def _settle(self, delivery: PushMessage) -> Outcome:
        late = expired(delivery, datetime.now(UTC)) if self._expiry else None
        outcome = late or await self._handle(delivery)
        if isinstance(outcome, Retry) and self._is_last_attempt(delivery):
            # Pub/Sub would forward it now, without saying why it failed.
            outcome = _attempts_spent(outcome)
        if isinstance(outcome, Failed):
            try:
                await self._dead_letters.put(delivery, outcome)
            except PublishError as error:
                return Retry(status=503, reason="dead_letter_topic", message=str(error), subject=outcome.subject)
        return outcome

    def _is_last_attempt(self, delivery: PushMessage) -> bool:
        spent = topology().lanes["retry"].max_delivery_attempts
        return delivery.lane == "retry" and delivery.attempt is not None and delivery.attempt >= spent


def _content_length(request: Request) -> int:
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        return 0


def _attempts_spent(outcome: Retry) -> Failed:
    return Failed(
        error_class="attempts_spent",
        reason=outcome.reason,
        status=outcome.upstream_status,
        message=outcome.message,
        subject=outcome.subject,
    )
