"""The fate of every job, read from the functions' logs, the simulator, the dead letters and BigQuery."""

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

from local import bigquery, deadlines
from shared.topology import topology

type Event = tuple[str, str, str]
"""Object type, metric, and why it failed (empty if it did not)."""

_SETTLED = frozenset({"applied", "already_done", "unchanged", "superseded", "forgotten", "dead_lettered", "expired"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fate of all jobs at one moment.

    Args:
        outcomes: Number of jobs by kind and last outcome.
        attempts: Number of pushes by kind, with those that had to come again.
        counts: The simulator's ``/_sim/counts``.
        events: Rows in BigQuery by object type, metric and reason of failure, after de-duplication.
    """

    outcomes: Mapping[str, Counter[str]]
    attempts: Counter[str]
    counts: dict[str, Any]
    events: Counter[Event]

    @property
    def settled(self) -> int:
        return sum(sum(outcomes.values()) for kind, outcomes in self.outcomes.items() if topology().topics[kind].rate)

    @property
    def rows(self) -> int:
        return sum(self.events.values())

    @property
    def webhooks_sent(self) -> int:
        return sum(self.counts["webhooks"]["sent"].values())


def take_snapshot(environment: Mapping[str, str], logs: Path) -> Snapshot:
    outcomes, attempts = _from_logs(logs)
    return Snapshot(outcomes, attempts, simulator(environment, "counts"), _events(environment))


def simulator(environment: Mapping[str, str], what: str) -> Any:
    """One answer of the simulator's ``/_sim/``."""
    with urlopen(f"{environment['CUSTOMERIO_TRACK_URL']}/_sim/{what}", timeout=deadlines.HTTP_CALL_SECONDS) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def dead_letters(environment: Mapping[str, str], kind_name: str) -> list[Mapping[str, str]]:
    """Attributes of every dead letter of a kind. The dead letters stay where they are."""
    project = environment["GOOGLE_CLOUD_PROJECT"]
    path = f"projects/{project}/subscriptions/{topology().topics[kind_name].dead_letter_name}"
    found: dict[str, Mapping[str, str]] = {}
    with SubscriberClient() as client:
        held: list[str] = []
        while True:
            try:
                answer = client.pull(subscription=path, max_messages=1000, timeout=deadlines.PULL_SECONDS, retry=None)
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


def _events(environment: Mapping[str, str]) -> Counter[Event]:
    project, dataset = environment["GOOGLE_CLOUD_PROJECT"], environment["BIGQUERY_DATASET"]
    view = f"{project}.{dataset}.events_deduplicated"
    query = f"""
        SELECT object_type, metric, IFNULL(failure_message, '') AS reason, COUNT(*) AS n
        FROM `{view}` GROUP BY 1, 2, 3
    """  # noqa: S608 - the stack's own names
    with closing(bigquery.client(environment["BIGQUERY_EMULATOR_HOST"], project)) as client:
        return Counter({(row.object_type, row.metric, row.reason): row.n for row in client.query_and_wait(query)})
