"""Topics and subscriptions of ``topology.json``, created as Terraform creates them in the cloud."""

from collections.abc import Mapping
from datetime import timedelta

from google.api_core.exceptions import AlreadyExists
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import DeadLetterPolicy, ExpirationPolicy, PushConfig, RetryPolicy, Subscription

from local import deadlines
from shared.topology import BELL_SUFFIX, BULK_SUFFIX, BellPolicy, Hop, Lane, Topic, topology


def provision(
    project: str, endpoints: Mapping[str, str], *, emulator: bool = False, backoff_scale: float = 1.0
) -> None:
    """Create every topic and subscription that does not exist.

    Args:
        project: Google Cloud project.
        endpoints: Push endpoint of each function.
        emulator: Whether this is Google's emulator, which keeps messages for 7 days at most and ignores filters.
        backoff_scale: Divides the retry policies' backoffs, for an emulator without a time scale of its own.
    """
    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        for topic in topology().consumer_topics.values():
            _create_if_absent(publisher.create_topic, {"name": f"projects/{project}/topics/{topic}"})
        for kind in topology().topics.values():
            for topic in kind.topic_names:
                _create_if_absent(publisher.create_topic, {"name": f"projects/{project}/topics/{topic}"})
            for subscription in _subscriptions(kind, project, endpoints[kind.function], backoff_scale):
                if emulator and subscription.name.endswith((BULK_SUFFIX, BELL_SUFFIX)):
                    continue  # it ignores filters: the main lane has these messages, too
                if emulator:
                    subscription.message_retention_duration = timedelta(days=7)
                _create_if_absent(subscriber.create_subscription, subscription)


def _subscriptions(kind: Topic, project: str, endpoint: str, backoff_scale: float) -> list[Subscription]:
    lanes = [_lane(kind, hop, project, endpoint, backoff_scale) for hop in kind.hops]
    bells = [_bell(kind, name, project, endpoint, backoff_scale)] if (name := kind.bell_name) else []
    kept = Subscription(
        name=f"projects/{project}/subscriptions/{kind.dead_letter_name}",
        topic=f"projects/{project}/topics/{kind.dead_letter_name}",
        ack_deadline_seconds=deadlines.DEAD_LETTER_ACK_SECONDS,
        message_retention_duration=timedelta(days=topology().dead_letter.retention_days),
        expiration_policy=ExpirationPolicy(),  # it never expires, however long nobody pulls
    )
    return [*lanes, *bells, kept]


def _lane(kind: Topic, hop: Hop, project: str, endpoint: str, backoff_scale: float) -> Subscription:
    lane = topology().lanes[hop.lane]
    return Subscription(
        name=f"projects/{project}/subscriptions/{hop.subscription}",
        topic=f"projects/{project}/topics/{hop.topic}",
        push_config=PushConfig(push_endpoint=endpoint) if hop.delivery == "push" else None,
        ack_deadline_seconds=lane.ack_deadline_seconds,
        enable_message_ordering=kind.ordered,
        filter=hop.filter,
        expiration_policy=ExpirationPolicy(),
        retry_policy=_retry_policy(lane, backoff_scale),
        dead_letter_policy=DeadLetterPolicy(
            dead_letter_topic=f"projects/{project}/topics/{hop.next_topic}",
            max_delivery_attempts=lane.max_delivery_attempts,
        ),
    )


def _bell(kind: Topic, name: str, project: str, endpoint: str, backoff_scale: float) -> Subscription:
    bell = topology().bell
    return Subscription(
        name=f"projects/{project}/subscriptions/{name}",
        topic=f"projects/{project}/topics/{kind.name}",
        push_config=PushConfig(push_endpoint=endpoint),
        ack_deadline_seconds=bell.ack_deadline_seconds,
        message_retention_duration=timedelta(seconds=bell.retention_seconds),
        filter=kind.bell_filter,
        expiration_policy=ExpirationPolicy(),
        retry_policy=_retry_policy(bell, backoff_scale),
    )


def _retry_policy(backoffs: Lane | BellPolicy, scale: float) -> RetryPolicy:
    return RetryPolicy(
        minimum_backoff=timedelta(seconds=backoffs.minimum_backoff_seconds / scale),
        maximum_backoff=timedelta(seconds=backoffs.maximum_backoff_seconds / scale),
    )


def _create_if_absent(create: object, request: object) -> None:
    try:
        create(request=request, timeout=deadlines.PUBSUB_CALL_SECONDS)  # type: ignore[operator]
    except AlreadyExists:
        return
