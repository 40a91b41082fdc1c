"""The one description of topics, lanes, limits and functions, read by the code, the local stack and Terraform.

``topology.json`` holds the values. A topic ``T`` has the topics ``T``, ``T-retry`` and ``T-dead-letter``, and
one subscription per topic, named like the topic it reads. ``T`` forwards to ``T-retry`` when its attempts are spent,
``T-retry`` to ``T-dead-letter``; the first two push to the function, the last is pulled by the operator.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

LaneName = Literal["main", "retry"]
RETRY_SUFFIX = "-retry"
DEAD_LETTER_SUFFIX = "-dead-letter"


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Customer.io accepts from one workspace: requests per seconds."""

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


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One topic, the function that its messages are pushed to, and the account's rate that the function uses."""

    name: str
    function: str
    rate: str | None
    ordered: bool

    @property
    def retry_name(self) -> str:
        return f"{self.name}{RETRY_SUFFIX}"

    @property
    def dead_letter_name(self) -> str:
        return f"{self.name}{DEAD_LETTER_SUFFIX}"


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
    """All of ``topology.json``. Every topic has the same lanes."""

    rates: dict[str, Rate]
    lanes: dict[LaneName, Lane]
    topics: dict[str, Topic]
    dead_letter: DeadLetter
    functions: dict[str, Function]


@cache
def topology() -> Topology:
    """Read ``topology.json`` once."""
    return msgspec.json.decode(Path(__file__).with_name("topology.json").read_bytes(), type=Topology)
