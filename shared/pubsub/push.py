"""The endpoint of a push: read the message, let the handler settle the job, answer by its outcome."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from .. import deadlines
from ..errors import InvalidJob
from ..lifetime import Lifetime
from ..outcome import Failed, Outcome, Retry
from ..redaction import without_addresses
from ..request_body import BodyBudget, BodyTooLargeError, TooLarge, TooManyBytesError
from ..telemetry import JobLine, Telemetry, trace_id
from ..topology import BELL_SUFFIX, ORDERED_LANES, RETRY_SUFFIX, UNORDERED_LANES, topology
from .drain import Drain, Settled
from .message import NotAPushError, PushMessage, read_push
from .outcomes import OutcomePublisher
from .pause_requests import PauseRequests
from .topic import DeadLetters, PublishError, RetryLane

# Pub/Sub takes messages of 10 MB, which base64 makes 13.4 MB; a push holds little else.
# https://cloud.google.com/pubsub/quotas#resource_limits
_MAX_BODY_BYTES = 16_000_000
# Bodies under way at once. A push holds its body, the decoded data and the request that is made of it, about three
# times its body in all, and a function has 512 MiB.
_MAX_BYTES = 64_000_000

# A body above this takes more than a millisecond to parse. Forty at once would hold up a small push for half a second.
_LARGE_BODY_BYTES = 64_000

Handle = Callable[[PushMessage], Awaitable[Outcome]]


class PushEndpoint:
    """Takes pushes of one kind of message. Holds no state between them but what ``handle`` keeps.

    Args:
        handle: Settles one job, or raises InvalidJob. Whatever else it raises is a fault of ours, answered with 500.
        dead_letters: Where a failed job goes before its push is acknowledged.
        telemetry: Gets one line per push.
        retry_lane: Where a job goes that was tried a few times in vain. None for an ordered topic, whose only lane is
            ``patient``: its jobs stay until they succeed or their attempts are spent.
        drain: Pulls the jobs of lane ``bulk`` at a push of its bell; None for a topic without that lane.
        outcomes: Where the outcome of each push is published; None for messages that are no jobs.
        pause_requests: Asks for a pause when nothing gets through; None for a kind that is never paused.
        lifetime: Life of the instance; after its end nothing new begins.
        others: Endpoints for the function's further topics, by the topic's name without the environment's prefix.
    """

    def __init__(
        self,
        handle: Handle,
        dead_letters: DeadLetters,
        telemetry: Telemetry,
        *,
        retry_lane: RetryLane | None = None,
        drain: Drain | None = None,
        outcomes: OutcomePublisher | None = None,
        pause_requests: PauseRequests | None = None,
        lifetime: Lifetime | None = None,
        others: "Mapping[str, PushEndpoint] | None" = None,
    ) -> None:
        self._handle = handle
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._retry_lane = retry_lane
        self._pause_requests = pause_requests
        self._lanes = ORDERED_LANES if retry_lane is None else UNORDERED_LANES
        self._drain = drain
        self._outcomes = outcomes
        self._lifetime = lifetime or Lifetime()
        self._others = others or {}
        self._turns = asyncio.Lock()
        self._bodies = BodyBudget(max_body=_MAX_BODY_BYTES, max_total=_MAX_BYTES)

    async def __call__(self, request: Request) -> Response:
        """Answer one push: 204, 429, 503, 400 for what is no push, 500 for a fault of ours."""
        self._lifetime.watch()
        started = time.monotonic()
        if self._lifetime.is_ending:
            return self._refuse(503, "the instance is shutting down")
        try:
            return await self._taken(request, started)
        except NotAPushError as error:
            return self._refuse(400, str(error))
        except BodyTooLargeError:
            self._refuse(413, f"a push of more than {_MAX_BODY_BYTES} bytes is not Pub/Sub's")
            return TooLarge()
        except TooManyBytesError:
            return self._refuse(429, "too many bytes of pushes are under way")
        except ClientDisconnect:
            return Response(status_code=400)

    async def _taken(self, request: Request, started: float) -> Response:
        with self._bodies.holding(request) as held:
            body = await held.read()
            if len(body) > _LARGE_BODY_BYTES:
                await self._turn()
            message = read_push(body, self._lanes, deadline=started + deadlines.PUSH_SECONDS)
            if self._drain is None or not message.subscription.endswith(BELL_SUFFIX):
                return await self._endpoint_of(message).answer(message, started, request.headers)
        del body, message  # a drain takes seconds, and needs nothing of them
        return await self._drained(self._drain)

    def _endpoint_of(self, message: PushMessage) -> "PushEndpoint":
        """The endpoint for the topic of a message, which its subscription is named like."""
        topic = message.subscription.removesuffix(RETRY_SUFFIX)
        return next((endpoint for name, endpoint in self._others.items() if topic.endswith(name)), self)

    async def _turn(self) -> None:
        """Wait for the next round of the event loop that parses no other large body: small pushes get in between."""
        async with self._turns:
            await asyncio.sleep(0)

    def _refuse(self, status: int, why: str) -> Response:
        self._telemetry.refused(status, why)
        return PlainTextResponse(why, status_code=status)

    async def answer(self, message: PushMessage, started: float, headers: Mapping[str, str]) -> Response:
        """Settle a message of this endpoint's topic, and answer its push by the outcome.

        Args:
            message: The message that was read from the push.
            started: ``time.monotonic()`` at the push's arrival.
            headers: Headers of the push.
        """
        settled = await self._settle(message, started, headers)
        if settled.unconfirmed is None and settled.answer_status == 204:
            return _ACKNOWLEDGED
        # The server waits for background work when it shuts down, and answers the push before it.
        background = BackgroundTask(asyncio.wait, {settled.unconfirmed}) if settled.unconfirmed else None
        return Response(status_code=settled.answer_status, background=background)

    async def _drained(self, drain: Drain) -> Response:
        """Answer a push of the bell of lane ``bulk``."""
        rung = await drain.ring(self._settle_pulled)
        background = BackgroundTask(asyncio.wait, rung.unconfirmed) if rung.unconfirmed else None
        return Response(status_code=rung.status, background=background)

    async def _settle_pulled(self, message: PushMessage) -> Settled:
        started = time.monotonic()
        if len(message.data) > _LARGE_BODY_BYTES:
            await self._turn()
        return await self._settle(message, started, {})

    async def _settle(self, message: PushMessage, started: float, headers: Mapping[str, str]) -> Settled:
        """Settle a message, write its line and publish its outcome."""
        try:
            outcome = await self._outcome(message)
            if self._pause_requests is not None:
                await self._pause_requests.observe(outcome)
        except Exception as error:  # noqa: BLE001 - the job stays with Pub/Sub, and the error's text out of the log
            self._telemetry.fault(error)
            return Settled(None)
        line = JobLine(
            outcome=outcome,
            job_id=message.key,
            lane=message.lane,
            attempt=message.attempt,
            seconds=time.monotonic() - started,
            trace_id=trace_id(headers, message.attributes),
        )
        self._telemetry.job(line)
        unconfirmed = None
        if self._outcomes is not None and self._outcomes.wants(message, outcome):
            unconfirmed = await self._outcomes.publish(message, outcome, line.trace_id)
        return Settled(outcome, unconfirmed)

    async def _outcome(self, message: PushMessage) -> Outcome:
        outcome = await self._judged(message)
        if isinstance(outcome, Retry) and _is_last_attempt(message):
            outcome = await self._move_on(message, outcome)
        if isinstance(outcome, Failed):
            try:
                await self._dead_letters.put(message, outcome)
            except PublishError as error:
                return Retry(status=503, reason="dead_letter_topic", message=str(error), subject=outcome.subject)
        return outcome

    async def _judged(self, message: PushMessage) -> Outcome:
        try:
            return await self._handle(message)
        except InvalidJob as error:
            field = without_addresses(error.field)  # an attribute's name can be one
            return Failed(error_class="invalid_job", reason="invalid", field=field, message=error.problem)

    async def _move_on(self, message: PushMessage, outcome: Retry) -> Outcome:
        """From lane main or bulk to the retry lane; from a last lane to the dead letters, with the last reason.

        A job that a limit of ours refused goes round in the retry lane instead: it has not failed.
        """
        is_spent = message.lane == self._lanes[-1] and not outcome.is_our_limit
        if self._retry_lane is None or is_spent:
            return _attempts_spent(outcome)
        try:
            await self._retry_lane.put(message)
        except PublishError:
            return outcome  # it comes again, and is moved then
        return msgspec.structs.replace(outcome, moved=True)


# One object for all: a response without a body and without background work keeps no state.
_ACKNOWLEDGED = Response(status_code=204)


def _is_last_attempt(message: PushMessage) -> bool:
    return message.attempt is not None and message.attempt >= topology().lanes[message.lane].attempts


def _attempts_spent(outcome: Retry) -> Failed:
    return Failed(
        error_class="attempts_spent",
        reason=outcome.reason,
        status=outcome.upstream_status,
        message=outcome.message,
        requested=outcome.requested,
        subject=outcome.subject,
    )
