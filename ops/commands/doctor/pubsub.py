"""Whether topics and subscriptions match ``topology.json``, and whether the functions answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from ops import clients, deadlines, pauses
from ops.commands.doctor.finding import Finding, failed, ok, skipped
from ops.target import Target
from shared.pubsub import pause
from shared.topology import BellPolicy, Lane, Topic, topology

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.types import Subscription

_ADVICE = "run `terraform apply`, or check --project and --environment"


def check_pubsub(target: Target) -> Iterator[Finding]:
    """Check topics and subscriptions, one line per kind of job or per problem; then the functions.

    Raises:
        OperatorError: if Pub/Sub does not answer.
        GoogleAPIError: if Pub/Sub refuses to answer.
    """
    publisher, subscriber = clients.publisher(target), clients.subscriber(target)
    endpoints: dict[str, str] = {}
    for name, kind in topology().topics.items():
        problems = [*_missing_topics(publisher, target, kind)]
        for expected in _expected(target, kind):
            subscription = _subscription(subscriber, expected.path)
            if isinstance(subscription, Finding):
                problems.append(subscription)
            else:
                problems += [
                    failed(expected.path.rpartition("/")[2], problem) for problem in expected.problems(subscription)
                ]
                if subscription.push_config.push_endpoint:
                    endpoints[kind.function] = subscription.push_config.push_endpoint
        yield from problems or [ok(f"topics and subscriptions of {name}", "match shared/topology.json")]
    yield from _functions(endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """One subscription as it should be.

    Args:
        path: ``projects/P/subscriptions/S``.
        topic: ``projects/P/topics/T`` that it reads.
        kind: Kind of job.
        retries: Its ack deadline and backoffs; None if an operator pulls it.
        pushes: Whether it pushes.
        filter: Its filter, or "".
        next_topic: Topic that it forwards to; "" for none.
        attempts: Deliveries before it forwards; 0 for none.
        retention: How long it keeps messages; None if that is not checked.
    """

    path: str
    topic: str
    kind: Topic
    retries: Lane | BellPolicy | None = None
    pushes: bool = False
    filter: str = ""
    next_topic: str = ""
    attempts: int = 0
    retention: timedelta | None = None

    def problems(self, found: "Subscription") -> Iterator[str]:
        if "expiration_policy" not in found or found.expiration_policy.ttl:
            yield "expires when idle, and loses its messages then: it must never expire; run `terraform apply`"
        yield from _unlike("topic", found.topic, self.topic)
        if self.retention is not None:
            yield from _unlike("retention", found.message_retention_duration, self.retention)
        yield from self._problems_of_push(found)
        if self.retries is not None:
            yield from self._problems_of_retries(found, self.retries)

    def _problems_of_push(self, found: "Subscription") -> Iterator[str]:
        if not self.pushes:
            yield from _unlike("push endpoint", found.push_config.push_endpoint or "none", "none")
        elif not found.push_config.push_endpoint:
            state = pause.decode(found.labels)
            resume = f"`python -m ops resume {self.kind.function}`"
            yield (
                f"{pauses.sentence(state)}: {resume} ends it"
                if state.paused_by
                else "pushes to no function: run `terraform apply`"
            )

    def _problems_of_retries(self, found: "Subscription", retries: Lane | BellPolicy) -> Iterator[str]:
        if found.state == found.State.RESOURCE_ERROR:
            yield "Pub/Sub cannot push: open the subscription in the Google Cloud console"
        if found.filter != self.filter:
            wanted = self.filter or "none"
            yield f"filter is {found.filter or 'none'}, should be {wanted}: docs/deploy.md says how to upgrade"
        yield from _unlike("ordering", found.enable_message_ordering, self.kind.ordered)
        yield from _unlike("ack deadline", found.ack_deadline_seconds, retries.ack_deadline_seconds)
        backoffs, dead = found.retry_policy, found.dead_letter_policy
        yield from _unlike("minimum backoff", backoffs.minimum_backoff, _seconds(retries.minimum_backoff_seconds))
        yield from _unlike("maximum backoff", backoffs.maximum_backoff, _seconds(retries.maximum_backoff_seconds))
        yield from _unlike("dead-letter topic", dead.dead_letter_topic or "none", self.next_topic or "none")
        yield from _unlike("delivery attempts", dead.max_delivery_attempts, self.attempts)


def _expected(target: Target, kind: Topic) -> Iterator[_Expected]:
    for hop in kind.hops:
        lane = topology().lanes[hop.lane]
        yield _Expected(
            path=target.subscription(hop.subscription),
            topic=target.topic(hop.topic),
            kind=kind,
            retries=lane,
            pushes=hop.delivery == "push",
            filter=hop.filter,
            next_topic=target.topic(hop.next_topic),
            attempts=lane.max_delivery_attempts,
        )
    if kind.bell_name:
        yield _Expected(
            path=target.subscription(kind.bell_name),
            topic=target.topic(kind.name),
            kind=kind,
            retries=topology().bell,
            pushes=True,
            filter=kind.bell_filter,
            retention=_seconds(topology().bell.retention_seconds),
        )
    yield _Expected(
        path=target.subscription(kind.dead_letter_name),
        topic=target.topic(kind.dead_letter_name),
        kind=kind,
        retention=timedelta(days=topology().dead_letter.retention_days),
    )


def _seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


def _unlike(what: str, found: Any, wanted: Any) -> Iterator[str]:
    if found != wanted:
        yield f"{what} is {found}, should be {wanted}: run `terraform apply`"


def _missing_topics(publisher: "PublisherClient", target: Target, kind: Topic) -> Iterator[Finding]:
    from google.api_core.exceptions import NotFound, PermissionDenied  # noqa: PLC0415

    for name in kind.topic_names:
        path = target.topic(name)
        try:
            publisher.get_topic(request={"topic": path}, timeout=deadlines.QUERY_SECONDS, retry=None)
        except (NotFound, PermissionDenied) as error:
            yield failed(f"topic {path.rpartition('/')[2]}", f"{type(error).__name__}: {_ADVICE}")


def _subscription(subscriber: "SubscriberClient", path: str) -> "Subscription | Finding":
    from google.api_core.exceptions import NotFound, PermissionDenied  # noqa: PLC0415

    try:
        return subscriber.get_subscription(request={"subscription": path}, timeout=deadlines.QUERY_SECONDS, retry=None)
    except (NotFound, PermissionDenied) as error:
        return failed(f"subscription {path.rpartition('/')[2]}", f"{type(error).__name__}: {_ADVICE}")


def _functions(endpoints: dict[str, str]) -> Iterator[Finding]:
    for function, url in endpoints.items():
        check = f"function {function}"
        if url.startswith("https:"):
            yield skipped(check, "only Pub/Sub may call it; `python -m ops status` shows whether it keeps up")
            continue
        try:
            # functions-framework answers this path itself, so the function logs no refused push.
            status = httpx.get(
                f"{url.rstrip('/')}/favicon.ico", timeout=deadlines.QUERY_SECONDS, trust_env=False
            ).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            yield failed(
                check, f"does not answer at {url} ({type(error).__name__}): run `python -m ops logs {function}`"
            )
            continue
        yield (
            ok(check, "answers")
            if status < 500
            else failed(check, f"answers {status} at {url}: run `python -m ops logs {function}`")
        )
