"""What became of everything, read where it ended up: the functions' logs, the simulator, dead letters, BigQuery."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from google.api_core.exceptions import DeadlineExceeded
from google.cloud.pubsub_v1 import SubscriberClient

from local import bigquery
from shared.topology import topology

_SETTLED = frozenset({"applied", "already_done", "unchanged", "dead_lettered", "expired"})


@dataclass(frozen=True, slots=True)
class Books:
    """The state of a stack at one moment.

    Args:
        outcomes: how each job was settled, by kind; a job that was settled again after a replay counts by its last
            outcome.
        attempts: pushes by kind, those that were to come again included.
        counts: the simulator's ``/_sim/counts``.
        rows: rows in BigQuery by object type and metric, after de-duplication.
    """

    outcomes: Mapping[str, Counter[str]]
    attempts: Counter[str]
    counts: dict[str, Any]
    rows: Counter[str]

    @property
    def settled(self) -> int:
        return sum(sum(outcomes.values()) for kind, outcomes in self.outcomes.items() if kind != "events")

    @property
    def webhooks_sent(self) -> int:
        return sum(self.counts["webhooks"]["sent"].values())


def read_books(environment: Mapping[str, str], logs: Path) -> Books:
    outcomes, attempts = _from_logs(logs)
    return Books(outcomes, attempts, simulator(environment, "counts"), _rows(environment))


def simulator(environment: Mapping[str, str], what: str) -> Any:
    """A page of the simulator's ``/_sim/``."""
    with urlopen(f"{environment['CUSTOMERIO_TRACK_URL']}/_sim/{what}", timeout=10) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def dead_letters(environment: Mapping[str, str], kind_name: str) -> list[Mapping[str, str]]:
    """Attributes of every dead letter of a kind; they stay where they are."""
    project = environment["GOOGLE_CLOUD_PROJECT"]
    path = f"projects/{project}/subscriptions/{topology().topics[kind_name].dead_letter_name}"
    found: dict[str, Mapping[str, str]] = {}
    with SubscriberClient() as client:
        held: list[str] = []
        while True:
            try:
                answer = client.pull(subscription=path, max_messages=1000, timeout=1, retry=None)
            except DeadlineExceeded:
                break
            if not answer.received_messages:
                break
            held += [received.ack_id for received in answer.received_messages]
            found |= {each.message.message_id: dict(each.message.attributes) for each in answer.received_messages}
        if held:
            client.modify_ack_deadline(subscription=path, ack_ids=held, ack_deadline_seconds=0)
    return list(found.values())


def _from_logs(logs: Path) -> tuple[dict[str, Counter[str]], Counter[str]]:
    last: dict[str, dict[str, str]] = defaultdict(dict)
    attempts: Counter[str] = Counter()
    for log in logs.glob("*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if not line.startswith("{") or '"job_id"' not in line:
                continue
            entry = json.loads(line)
            attempts[entry["kind"]] += 1
            if entry["outcome"] in _SETTLED:
                last[entry["kind"]][entry["job_id"]] = entry["outcome"]
    return {kind: Counter(jobs.values()) for kind, jobs in last.items()}, attempts


def _rows(environment: Mapping[str, str]) -> Counter[str]:
    project, dataset = environment["GOOGLE_CLOUD_PROJECT"], environment["BIGQUERY_DATASET"]
    view = f"{project}.{dataset}.events_deduplicated"
    query = f"SELECT object_type, metric, COUNT(*) AS n FROM `{view}` GROUP BY 1, 2"  # noqa: S608 - our own names
    with closing(bigquery.client(environment["BIGQUERY_EMULATOR_HOST"], project)) as client:
        return Counter({f"{row.object_type} {row.metric}": row.n for row in client.query_and_wait(query)})
