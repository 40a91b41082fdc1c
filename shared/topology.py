"""The one description of topics, lanes, limits and functions, read by the code, the local stack and Terraform.

``topology.json`` holds the values. A subscription is named like the topic that it reads, with one exception: ``T-bulk``
reads ``T``.

A kind of unordered jobs has three topics: ``T`` (lane ``main``), ``T-retry`` (lane ``retry``) and ``T-dead-letter``. A
job moves to the next one when its attempts are spent. Ordered jobs have ``T`` (lane ``patient``) and ``T-dead-letter``
only: a job that moved to another topic would be overtaken by the later ones of its ordering key. Lanes push to the
function. Dead letters are pulled by the operator.

Lane ``bulk`` takes the jobs of ``T`` whose attribute ``priority`` is ``bulk`` out of lane ``main``, by filters on both
subscriptions. Push backoff works on a whole subscription, so refusing bulk jobs must not slow the others. It forwards
to ``T-retry``, not to the dead letters: its jobs are refused while urgent ones use the rate, which is no failure.
"""

from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

LaneName = Literal["main", "bulk", "retry", "patient"]
# Lanes that a topic without order can have, and those of an ordered one, in the order in which a job passes them.
UNORDERED_LANES: tuple[LaneName, ...] = ("main", "bulk", "retry")
ORDERED_LANES: tuple[LaneName, ...] = ("patient",)
RETRY_SUFFIX = "-retry"
BULK_SUFFIX = "-bulk"
DEAD_LETTER_SUFFIX = "-dead-letter"

# Filters of Pub/Sub: https://cloud.google.com/pubsub/docs/subscription-message-filter. They cannot be changed later.
_ONLY_BULK = 'attributes.priority = "bulk"'
_ALL_BUT_BULK = f"NOT {_ONLY_BULK}"


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests that Customer.io accepts from one workspace in so many seconds."""

    requests: int
    per_seconds: int

    @property
    def per_second(self) -> float:
        return self.requests / self.per_seconds


class Lane(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Retry behaviour of one push subscription.

    After ``attempts`` deliveries the function moves the job on itself, with its key and the reason. Pub/Sub's own limit
    lies well above: its forwarding loses the message id, and is left for a function that never ran.

    Pub/Sub takes backoffs of 0 to 600 s, 5 to 100 attempts and ack deadlines of 10 to 600 s.
    """

    minimum_backoff_seconds: int
    maximum_backoff_seconds: int
    attempts: int
    max_delivery_attempts: int
    ack_deadline_seconds: int


class Hop(NamedTuple):
    """One push subscription: its lane and name, the topics that it reads and forwards to, and its filter or ""."""

    lane: LaneName
    subscription: str
    topic: str
    next_topic: str
    filter: str


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One topic, the function that its messages are pushed to, and the account's rate that the function uses."""

    name: str
    function: str
    rate: str | None
    ordered: bool
    lanes: tuple[LaneName, ...]

    @property
    def retry_name(self) -> str:
        return f"{self.name}{RETRY_SUFFIX}"

    @property
    def dead_letter_name(self) -> str:
        return f"{self.name}{DEAD_LETTER_SUFFIX}"

    @property
    def hops(self) -> list[Hop]:
        """The push subscriptions, in the order in which a job passes them."""
        return [self._hop(lane) for lane in self.lanes]

    def _hop(self, lane: LaneName) -> Hop:
        after = self.retry_name if "retry" in self.lanes and lane != "retry" else self.dead_letter_name
        match lane:
            case "retry":
                return Hop(lane, self.retry_name, self.retry_name, after, "")
            case "bulk":
                return Hop(lane, f"{self.name}{BULK_SUFFIX}", self.name, after, _ONLY_BULK)
            case _:
                return Hop(lane, self.name, self.name, after, _ALL_BUT_BULK if "bulk" in self.lanes else "")

    @property
    def push_subscriptions(self) -> list[str]:
        """Names of the subscriptions that push to the function: what a pause stops."""
        return [hop.subscription for hop in self.hops]

    @property
    def topic_names(self) -> list[str]:
        """Every topic of this kind: those of its lanes, then the one of its dead letters."""
        return [*dict.fromkeys(hop.topic for hop in self.hops), self.dead_letter_name]


class DeadLetter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a dead letter waits for an operator: Pub/Sub's maximum is 31 days."""

    retention_days: int


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size of one Cloud Function, and what it needs. ``timeout_seconds`` stays below the ack deadline of its pushes."""

    trigger: Literal["push", "https"]
    concurrency: int
    max_instances: int
    memory: str
    timeout_seconds: int
    secrets: tuple[str, ...]
    ledger: bool
    warehouse: bool


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``topology.json``. A topic names those of the lanes that it has.

    ``consumer_topics`` are published to by functions and read by applications alone.
    """

    rates: dict[str, Rate]
    lanes: dict[LaneName, Lane]
    topics: dict[str, Topic]
    consumer_topics: dict[str, str]
    dead_letter: DeadLetter
    functions: dict[str, Function]


@cache
def topology() -> Topology:
    """Read ``topology.json`` once."""
    return msgspec.json.decode(Path(__file__).with_name("topology.json").read_bytes(), type=Topology)
