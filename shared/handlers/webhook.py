"""webhook: Customer.io's reporting webhooks, verified and published to the events topic.

Customer.io waits 4 s for an answer, then holds back *all* later webhooks and tries this one for 7 days; most error
statuses, 401 and 500 among them, add an hour, 503 does not. Source:
https://docs.customer.io/integrations/api/webhooks/, "Timeouts and failures". So the answers are:

========================================================  ======
published; or no event, and kept on the dead-letter topic  200
no signature of ours                                       401
not POST                                                   405
longer than 1 MiB                                          413
not published in time, no key readable, a fault of ours    503
========================================================  ======
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

# Imported while the instance starts, not within the 4 s of its first webhook.
import google.cloud.pubsub_v1
import google.cloud.secretmanager  # noqa: F401
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..customerio.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify, well_formed
from ..events import Event, NotAnEventError, event_attributes, read_event
from ..outcome import Failed
from ..pubsub.dead_letters import DeadLetters, DeadLetterTopic
from ..pubsub.message import PushMessage
from ..pubsub.topic import PublishError, Topic
from ..secrets import SecretUnavailableError, secret
from ..settings import SettingsError, job_settings, required
from ..telemetry import Telemetry
from .request_body import TooLarge, read_body
from .signing_keys import SigningKeys

MAXIMUM_BODY_BYTES = 1024 * 1024
_PUBLISH_SECONDS = 3.0
# Of Customer.io's 4 s; the rest is for the network.
_ANSWER_SECONDS = 3.5
_LOGGABLE = re.compile(r"[a-z_]{1,40}")


class WebhookEndpoint:
    """Takes webhooks. What a caller without a key can cause is bounded: 1 MiB, 3.5 s, one log line a second.

    Args:
        keys: the signing keys.
        events: the topic that verified events go to.
        quarantine: where a verified body goes that is no event.
        telemetry: gets one line per verified webhook, and one a second for all others.
        max_age: seconds that the signature's timestamp may be off; None, not checked.
    """

    def __init__(
        self, keys: SigningKeys, events: Topic, quarantine: DeadLetters, telemetry: Telemetry, *, max_age: float | None
    ) -> None:
        self._keys = keys
        self._events = events
        self._quarantine = quarantine
        self._telemetry = telemetry
        self._max_age = max_age

    async def __call__(self, request: Request) -> Response:
        """Answer one request, within 3.5 s."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._receive(request)
        except TimeoutError:
            return self._refuse(503, "not done in time")
        except SecretUnavailableError:
            return self._refuse(503, "the signing key cannot be read")
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - a 500 would cost an hour, and the text may quote the body
            self._telemetry.fault(error)
            return Response(status_code=503)

    async def _receive(self, request: Request) -> Response:
        body = await read_body(request, MAXIMUM_BODY_BYTES)
        if request.method != "POST":
            return self._refuse(405, "not POST", {"Allow": "POST"})
        if body is None:
            self._telemetry.refused(413, f"the body is longer than {MAXIMUM_BODY_BYTES} bytes")
            return TooLarge()
        if not await self._is_signed(request.headers, body):
            return self._refuse(401, "the signature does not verify")
        received_at = datetime.now(UTC)
        try:
            event = read_event(body)
        except NotAnEventError as error:
            return await self._set_aside(body, received_at, str(error))
        return await self._publish(event, body, received_at)

    async def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        timestamp, signature = headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER)
        if not well_formed(timestamp, signature):
            return False
        known = await self._keys.kept()
        if verify(known, timestamp, signature, body, max_age=self._max_age):
            return True
        # Perhaps by a key that is newer than ours.
        newest = await self._keys.newest()
        return newest != known and verify(newest, timestamp, signature, body, max_age=self._max_age)

    async def _publish(self, event: Event, body: bytes, received_at: datetime) -> Response:
        attributes = event_attributes(event) | {"received_at": received_at.isoformat()}
        try:
            await self._events.publish(body, attributes)
        except PublishError as error:
            self._telemetry.event("ERROR", "retry_later", str(error), status=503, reason="publish_failed")
            return Response(status_code=503)
        # Named in the log only where it is a plain word: metrics count bounces and complaints by it.
        metric = event.metric if _LOGGABLE.fullmatch(event.metric) else "other"
        self._telemetry.event("INFO", "published", "published", status=200, reason=metric)
        return Response(status_code=200)

    async def _set_aside(self, body: bytes, received_at: datetime, problem: str) -> Response:
        delivery = PushMessage(
            key=hashlib.sha256(body).hexdigest(),
            data=body,
            attributes={"received_at": received_at.isoformat()},
            first_published_at=received_at,
            lane="main",
            attempt=None,
            ordering_key="",
        )
        failure = Failed(error_class="not_an_event", reason="not_an_event", message=problem)
        try:
            await self._quarantine.put(delivery, failure)
        except PublishError as error:
            self._telemetry.event("ERROR", "retry_later", str(error), status=503, reason="dead_letter_topic")
            return Response(status_code=503)
        self._telemetry.event("ERROR", "dead_lettered", problem, status=200, reason="not_an_event")
        return Response(status_code=200)

    def _refuse(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
        self._telemetry.refused(status, why)
        return Response(status_code=status, headers=headers)


def endpoint(environment: Mapping[str, str]) -> WebhookEndpoint:
    """The function as its environment describes it.

    Reads ``GOOGLE_CLOUD_PROJECT``, ``EVENTS_TOPIC``, ``DEAD_LETTER_TOPIC``, ``CUSTOMERIO_WEBHOOK_SIGNING_KEY`` (or
    ``…_SECRET``) and ``CUSTOMERIO_WEBHOOK_MAX_AGE``, seconds, optional.

    Raises:
        SettingsError: a variable is missing or wrong.
    """
    settings = job_settings(environment)
    return WebhookEndpoint(
        SigningKeys(secret(environment, "CUSTOMERIO_WEBHOOK_SIGNING_KEY")),
        Topic(required(environment, "EVENTS_TOPIC", "projects/PROJECT/topics/TOPIC"), timeout=_PUBLISH_SECONDS),
        DeadLetterTopic(Topic(settings.dead_letter_topic, timeout=_PUBLISH_SECONDS), "webhook"),
        Telemetry("webhook", "", settings.project),
        max_age=_max_age(environment),
    )


def _max_age(environment: Mapping[str, str]) -> float | None:
    text = environment.get("CUSTOMERIO_WEBHOOK_MAX_AGE", "")
    if text and not re.fullmatch(r"[1-9][0-9]{0,9}", text):
        msg = "CUSTOMERIO_WEBHOOK_MAX_AGE must be a whole number of seconds above 0"
        raise SettingsError(msg)
    return float(text) if text else None
