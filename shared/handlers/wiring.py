"""Wires a handler to Pub/Sub and the log, from one ``Settings``.

Clients of Customer.io are wired in ``track_wiring`` and ``app_wiring``, so that a function imports only those it uses.
"""

import gc
import importlib
import math
from collections.abc import Mapping

from .. import deadlines
from ..lifetime import Lifetime
from ..pubsub.drain import Drain
from ..pubsub.outcomes import OutcomePublisher
from ..pubsub.pause_requests import PauseRequests
from ..pubsub.pull import SubscriptionPuller
from ..pubsub.push import Handle, PushEndpoint
from ..pubsub.topic import DeadLetterTopic, RetryTopic, TopicPublisher
from ..settings import Settings
from ..telemetry import Telemetry
from ..topology import BELL_SUFFIX, BULK_SUFFIX, DEAD_LETTER_SUFFIX, RETRY_SUFFIX, Topic, topology

# Kinds of jobs whose every outcome is published: people get messages by them. Of the others a share is.
_ALWAYS_PUBLISHED = frozenset({"send", "broadcast"})
# Kinds of messages about one person. A broadcast is about many, and Customer.io leaves the suppressed ones out.
_ABOUT_PEOPLE = frozenset({"identify", "track", "send", "sync", "events"})


def push_endpoint(
    handle: Handle, settings: Settings, lifetime: Lifetime, *, others: Mapping[str, PushEndpoint] | None = None
) -> PushEndpoint:
    """The endpoint of a function that is pushed messages.

    Args:
        handle: Settles messages of the function's first topic.
        settings: The function's settings.
        lifetime: Life of the instance.
        others: Endpoints for the function's further topics, by the topic's name.
    """
    _spare_the_collector()
    kind = next(kind for kind, topic in topology().topics.items() if topic.function == settings.function)
    return topic_endpoint(handle, kind, settings.dead_letter_topic, settings, lifetime, others=others)


def topic_endpoint(
    handle: Handle,
    kind: str,
    dead_letter_topic: str,
    settings: Settings,
    lifetime: Lifetime,
    *,
    others: Mapping[str, PushEndpoint] | None = None,
) -> PushEndpoint:
    """The endpoint for messages of one kind, with the lanes and dead letters of their topic."""
    topic = topology().topics[kind]
    log = Telemetry(settings.function, kind, settings.project)
    if kind in _ABOUT_PEOPLE:
        # The webhook, whose endpoint is none of these, uses neither.
        from ..ledger import open_ledger  # noqa: PLC0415
        from .unless_forgotten import DELIBERATE, UnlessForgotten  # noqa: PLC0415

        deliberate = DELIBERATE if kind == "sync" else frozenset[str]()
        handle = UnlessForgotten(handle, open_ledger(settings.ledger), settings.project, deliberate)
    retry_lane = None
    if "retry" in topic.lanes:
        retry_topic = dead_letter_topic.removesuffix(DEAD_LETTER_SUFFIX) + RETRY_SUFFIX
        retry_lane = RetryTopic(TopicPublisher(retry_topic, timeout=deadlines.PUBLISH_SECONDS))
    return PushEndpoint(
        handle,
        DeadLetterTopic(TopicPublisher(dead_letter_topic, timeout=deadlines.PUBLISH_SECONDS), settings.function),
        log,
        retry_lane=retry_lane,
        drain=_drain(topic, dead_letter_topic, settings, log, lifetime) if "bulk" in topic.lanes else None,
        outcomes=_outcomes(kind, settings, log, lifetime) if settings.outcomes_topic else None,
        pause_requests=_pause_requests(kind, settings, log) if settings.control_topic else None,
        lifetime=lifetime,
        others=others,
    )


def _drain(topic: Topic, dead_letter_topic: str, settings: Settings, log: Telemetry, lifetime: Lifetime) -> Drain:
    main_topic = dead_letter_topic.removesuffix(DEAD_LETTER_SUFFIX)
    main_subscription = main_topic.replace("/topics/", "/subscriptions/")
    subscription, bell_subscription = main_subscription + BULK_SUFFIX, main_subscription + BELL_SUFFIX
    # Half of the function's places stay free for urgent jobs.
    max_in_hand = topology().functions[topic.function].concurrency // 2
    if settings.requests_per_second is not None:
        max_in_hand = min(max_in_hand, math.ceil(settings.requests_per_second * deadlines.BULK_IN_HAND_SECONDS))
    bell = TopicPublisher(main_topic, timeout=deadlines.PUBLISH_SECONDS)
    return Drain(SubscriptionPuller(subscription, bell_subscription), bell, log, lifetime, max_in_hand=max_in_hand)


def _outcomes(kind: str, settings: Settings, log: Telemetry, lifetime: Lifetime) -> OutcomePublisher:
    is_always_published = kind in _ALWAYS_PUBLISHED
    if is_always_published:
        # Most of a second, spent while the instance starts and not before its first answer.
        importlib.import_module("google.cloud.pubsub_v1")
    return OutcomePublisher(
        TopicPublisher(settings.outcomes_topic, timeout=deadlines.PUBLISH_SECONDS),
        log,
        function=settings.function,
        kind=kind,
        sample=1.0 if is_always_published else settings.outcomes_sample,
        lifetime=lifetime,
    )


def _pause_requests(kind: str, settings: Settings, log: Telemetry) -> PauseRequests:
    topic = TopicPublisher(settings.control_topic, timeout=deadlines.PAUSE_REQUEST_SECONDS)
    return PauseRequests(topic, kind, log, time_scale=settings.time_scale)


def telemetry(settings: Settings) -> Telemetry:
    """A log whose lines are about no message of the function's own topic."""
    return Telemetry(settings.function, "", settings.project)


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking what lives as long as the process: a seventh of the CPU of a job."""
    gc.collect()
    gc.freeze()
    # A thousand pushes under way are some ten thousand young objects that reference counting frees by itself.
    gc.set_threshold(20_000, 20, 50)
