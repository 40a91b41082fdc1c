"""The jobs of a run, all from the seed, each with a marker by which it is found again wherever it ends up."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from shared.jobs import job_ulid

_KINDS = ["identify", "track", "send", "sync"]
_INVALID_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Work:
    """One job as it is published.

    Args:
        marker: found in the simulator as a person's id, an event's name or a send's ``message_data``.
        valid: whether it can be applied at all.
    """

    marker: str
    kind: str
    body: dict[str, Any]
    attributes: dict[str, str] = field(default_factory=dict)
    ordering_key: str = ""
    valid: bool = True

    @property
    def data(self) -> bytes:
        return json.dumps(self.body).encode()


def workload(count: int, seed: int) -> list[Work]:
    """``count`` jobs."""
    chance = random.Random(seed)
    return [_work(n, seed, chance) for n in range(count)]


def _work(n: int, seed: int, chance: random.Random) -> Work:
    kind = chance.choice(_KINDS)
    marker = f"{kind}-{seed}-{n}"
    attributes = {"job_id": job_ulid(marker, 1_780_000_000_000 + n)}
    if chance.random() < _INVALID_SHARE:
        return Work(marker, kind, {"marker": marker}, attributes, valid=False)
    match kind:
        case "identify":
            body: dict[str, Any] = {"identifiers": {"id": marker}, "attributes": {"n": n}}
            return Work(marker, kind, body, attributes, ordering_key=f"id:{marker}")
        case "track":
            body = {"identifiers": {"id": f"tracked-{n % 500}"}, "name": marker, "attributes": {"n": n}}
            return Work(marker, kind, body, attributes)
        case "send":
            attributes |= {"delivery_guarantee": chance.choice(["at_least_once", "at_most_once"])}
            body = {
                "to": f"{marker}@example.com",
                "identifiers": {"id": f"sent-{n}"},
                "transactional_message_id": 7,
                "message_data": {"marker": marker},
            }
            return Work(marker, kind, body, attributes)
        case _:
            body = {"id": marker, "email": f"{marker}@example.com", "plan": "pro"}
            return Work(marker, kind, body, attributes, ordering_key=f"id:{marker}")
