"""The one description of topics, lanes, limits and functions, read by the code, the local stack and Terraform.

``topology.json`` holds the values. A subscription is named like the topic that it reads, with two exceptions:
``T-bulk`` and ``T-bulk-bell`` read ``T``.

A kind of unordered jobs has three topics: ``T`` (lane ``main``), ``T-retry`` (lane ``retry``) and ``T-dead-letter``. A
job moves to the next one when its attempts are spent. Ordered jobs have ``T`` (lane ``patient``) and ``T-dead-letter``
only: a job that moved to another topic would be overtaken by the later ones of its ordering key. Lanes push to the
function, except ``bulk``. Dead letters are pulled by the operator.

Lane ``bulk`` takes the jobs of ``T`` whose attribute ``priority`` is ``bulk`` out of lane ``main``, by filters on both
subscriptions. The function pulls it, because push has no flow control: of thousands of pushed jobs most would be
refused, again and again. ``T-bulk-bell`` pushes the same messages once more, as a sign that something can be pulled,
and messages of the attribute ``bulk_bell`` alone, which are no jobs. Lane ``bulk`` forwards to ``T-retry``, not to the
dead letters: its jobs come again while urgent ones use the rate, which is no failure.
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
BELL_SUFFIX = f"{BULK_SUFFIX}-bell"
DEAD_LETTER_SUFFIX = "-dead-letter"

# Filters of Pub/Sub: https://cloud.google.com/pubsub/docs/subscription-message-filter. They cannot be changed later.
_ONLY_BULK = 'attributes.priority = "bulk"'
_ALL_BUT_BULK = f"NOT {_ONLY_BULK}"
_BULK_JOBS = f"{_ONLY_BULK} AND NOT attributes:bulk_bell"

# Attributes of a message that only rings.
BELL_ATTRIBUTES = {"priority": "bulk", "bulk_bell": "ring"}


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests that Customer.io accepts from one workspace in so many seconds."""

    requests: int
    per_seconds: int

    @property
    def per_second(self) -> float:
        return self.requests / self.per_seconds


class Lane(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Retry behaviour of one lane's subscription.

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
    """One lane's subscription: its name, the topics that it reads and forwards to, its filter or "", its delivery."""

    lane: LaneName
    subscription: str
    topic: str
    next_topic: str
    filter: str
    delivery: Literal["push", "pull"]


class BellPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Retry behaviour of the push subscription that says when a lane can be pulled.

    It keeps messages for Pub/Sub's minimum, 10 minutes, and has no dead letters: the jobs wait in the lane.
    """

    minimum_backoff_seconds: int
    maximum_backoff_seconds: int
    ack_deadline_seconds: int
    retention_seconds: int


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
        """The lanes' subscriptions, in the order in which a job passes them."""
        return [self._hop(lane) for lane in self.lanes]

    def _hop(self, lane: LaneName) -> Hop:
        after = self.retry_name if "retry" in self.lanes and lane != "retry" else self.dead_letter_name
        match lane:
            case "retry":
                return Hop(lane, self.retry_name, self.retry_name, after, "", "push")
            case "bulk":
                return Hop(lane, f"{self.name}{BULK_SUFFIX}", self.name, after, _BULK_JOBS, "pull")
            case _:
                return Hop(lane, self.name, self.name, after, _ALL_BUT_BULK if "bulk" in self.lanes else "", "push")

    @property
    def bell_name(self) -> str | None:
        """Name of the subscription that rings for lane ``bulk``; None without that lane."""
        return f"{self.name}{BELL_SUFFIX}" if "bulk" in self.lanes else None

    @property
    def bell_filter(self) -> str:
        """Filter of the subscription that rings: bulk jobs, and messages that only ring."""
        return _ONLY_BULK

    @property
    def push_subscriptions(self) -> list[str]:
        """Names of the subscriptions that push to the function: what a pause stops."""
        pushed = [hop.subscription for hop in self.hops if hop.delivery == "push"]
        return [*pushed, self.bell_name] if self.bell_name else pushed

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
    bell: BellPolicy
    topics: dict[str, Topic]
    consumer_topics: dict[str, str]
    dead_letter: DeadLetter
    functions: dict[str, Function]


@cache
def topology() -> Topology:
    """Read ``topology.json`` once."""
    return msgspec.json.decode(Path(__file__).with_name("topology.json").read_bytes(), type=Topology)
