"""webhook: Customer.io's reporting webhooks, verified and published to the events topic.

A change of consent is published to the consent topic as well, in one form whatever webhook brought it.

Customer.io waits 4 s for an answer, then holds back *all* later webhooks and tries this one for 7 days; most error
statuses, 401 and 500 among them, add an hour, 503 does not. Source:
https://docs.customer.io/integrations/api/webhooks/, "Timeouts and failures". So the answers are:

=================================================================  ======
published; or no event, or too large, and on the dead-letter topic   200
no signature of ours                                                 401
not POST                                                             405
longer than 32 MB, or than 1 MiB without the form of a signature     413
not published in time, no key readable, no room, a fault of ours     503
=================================================================  ======
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

# Imported while the instance starts, not within the 4 s of its first webhook.
import google.cloud.pubsub_v1
import google.cloud.secretmanager  # noqa: F401
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .. import deadlines
from ..attributes import encode_received_at
from ..consent import consent_attributes, consents
from ..customerio.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify, well_formed
from ..events import Event, NotAnEventError, event_attributes, read_event
from ..outcome import Failed
from ..pubsub.message import PushMessage
from ..pubsub.topic import DeadLetters, DeadLetterTopic, PublishError, TopicPublisher
from ..request_body import BodyBudget, BodyTooLargeError, TooLarge, TooManyBytesError
from ..secrets import SecretUnavailableError, open_secret
from ..settings import Settings
from ..telemetry import Telemetry
from .signing_keys import SigningKeys
from .wiring import telemetry

# Cloud Run takes requests of 32 MiB. https://cloud.google.com/run/quotas
MAX_BODY_BYTES = 32 * 1024 * 1024
# A body that cannot be signed is read no further than this.
MAX_UNSIGNED_BYTES = 1024 * 1024
# All bodies under way: two of the largest.
_MAX_BYTES = 2 * MAX_BODY_BYTES
# Pub/Sub takes messages of 10 MB, attributes included. https://cloud.google.com/pubsub/quotas#resource_limits
MAX_EVENT_BYTES = 9_000_000
_UNAVAILABLE: dict[type[Exception], str] = {
    TimeoutError: "not done in time",
    SecretUnavailableError: "the signing key cannot be read, or no version of it is enabled",
    TooManyBytesError: "too many bytes of webhooks are under way",
}
_LOGGABLE = re.compile(r"[a-z_]{1,40}")


class WebhookEndpoint:
    """Takes webhooks. What a caller without a key can cause is bounded: 64 MiB, 3.5 s, one log line a second.

    Args:
        keys: The signing keys.
        events: Topic of the verified events.
        consent: Topic of the changes of consent.
        quarantine: Where a verified body goes that is not an event.
        telemetry: Gets one line per verified webhook, and one a second for all others.
        max_age: Seconds that the signature's timestamp may differ from now; None for no check.
    """

    def __init__(
        self,
        keys: SigningKeys,
        events: TopicPublisher,
        consent: TopicPublisher,
        quarantine: DeadLetters,
        telemetry: Telemetry,
        *,
        max_age: float | None,
    ) -> None:
        self._keys = keys
        self._events = events
        self._consent = consent
        self._quarantine = quarantine
        self._telemetry = telemetry
        self._max_age = max_age
        self._signed_bodies = BodyBudget(max_body=MAX_BODY_BYTES, max_total=_MAX_BYTES)
        self._other_bodies = BodyBudget(max_body=MAX_UNSIGNED_BYTES, max_total=_MAX_BYTES)

    async def __call__(self, request: Request) -> Response:
        """Answer one request, within 3.5 s."""
        try:
            async with asyncio.timeout(deadlines.WEBHOOK_ANSWER_SECONDS):
                return await self._receive(request)
        except tuple(_UNAVAILABLE) as error:
            return self._refuse(503, next(why for kind, why in _UNAVAILABLE.items() if isinstance(error, kind)))
        except BodyTooLargeError:
            self._telemetry.refused(413, "the body is too long")
            return TooLarge()
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - a 500 would cost an hour, and the text may quote the body
            self._telemetry.fault(error)
            return Response(status_code=503)

    async def _receive(self, request: Request) -> Response:
        can_be_signed = request.method == "POST" and _has_signature(request.headers)
        bodies = self._signed_bodies if can_be_signed else self._other_bodies
        with bodies.holding(request) as held:
            # Read in any case: a caller that is cut off in the middle of its body sees a reset and no answer.
            body = await held.read()
            if request.method != "POST":
                return self._refuse(405, "not POST", {"Allow": "POST"})
            if not (can_be_signed and await self._is_signed(request.headers, body)):
                return self._refuse(401, "the signature does not verify")
            return await self._accept(body, datetime.now(UTC))

    async def _accept(self, body: bytes, received_at: datetime) -> Response:
        if len(body) > MAX_EVENT_BYTES:
            problem = f"the webhook has {len(body)} bytes, more than a message may have: its beginning is kept"
            return await self._set_aside(body[:MAX_EVENT_BYTES], received_at, problem, reason="too_large")
        try:
            event = read_event(body)
        except NotAnEventError as error:
            return await self._set_aside(body, received_at, str(error))
        return await self._publish(event, body, received_at)

    async def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        timestamp, signature = headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER)
        known = await self._keys.kept()
        if verify(known, timestamp, signature, body, max_age=self._max_age):
            return True
        # Perhaps by a key that is newer than ours.
        newest = await self._keys.newest()
        return newest != known and verify(newest, timestamp, signature, body, max_age=self._max_age)

    async def _publish(self, event: Event, body: bytes, received_at: datetime) -> Response:
        attributes = event_attributes(event) | encode_received_at(received_at)
        changes = [
            self._consent.publish(msgspec.json.encode(change), consent_attributes(change))
            for change in consents(event, received_at)
        ]
        try:
            if changes:
                await asyncio.gather(self._events.publish(body, attributes), *changes)
            else:  # as for most webhooks, which saves them a task
                await self._events.publish(body, attributes)
        except PublishError as error:
            self._telemetry.event("ERROR", "retry_later", str(error), status=503, reason="publish_failed")
            return Response(status_code=503)
        # Named in the log only where it is a plain word: metrics count bounces and complaints by it.
        metric = event.metric if _LOGGABLE.fullmatch(event.metric) else "other"
        self._telemetry.event("INFO", "published", "published", status=200, reason=metric)
        return Response(status_code=200)

    async def _set_aside(
        self, body: bytes, received_at: datetime, problem: str, *, reason: str = "not_an_event"
    ) -> Response:
        message = PushMessage(
            key=hashlib.sha256(body).hexdigest(),
            is_named=False,
            data=body,
            attributes=encode_received_at(received_at),
            first_published_at=received_at,
        )
        failure = Failed(error_class="not_an_event", reason=reason, message=problem)
        try:
            await self._quarantine.put(message, failure)
        except PublishError as error:
            self._telemetry.event("ERROR", "retry_later", str(error), status=503, reason="dead_letter_topic")
            return Response(status_code=503)
        self._telemetry.event("ERROR", "dead_lettered", problem, status=200, reason=reason)
        return Response(status_code=200)

    def _refuse(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
        self._telemetry.refused(status, why)
        return Response(status_code=status, headers=headers)


def _has_signature(headers: Mapping[str, str]) -> bool:
    return well_formed(headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER))


def endpoint(settings: Settings) -> WebhookEndpoint:
    """The function as its settings describe it."""
    quarantine = TopicPublisher(settings.dead_letter_topic, timeout=deadlines.WEBHOOK_PUBLISH_SECONDS)
    return WebhookEndpoint(
        SigningKeys(open_secret(settings.secrets["webhook-signing-key"])),
        TopicPublisher(settings.events_topic, timeout=deadlines.WEBHOOK_PUBLISH_SECONDS),
        TopicPublisher(settings.consent_topic, timeout=deadlines.WEBHOOK_PUBLISH_SECONDS),
        DeadLetterTopic(quarantine, settings.function),
        telemetry(settings),
        max_age=settings.webhook_max_age,
    )
