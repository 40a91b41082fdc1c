"""What is measured: the seven functions and their peers, each with its load and environment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.jobs import SIGNING_KEY

ROOT = Path(__file__).resolve().parents[1]
_TOPICS = "projects/bench/topics"


@dataclass(frozen=True, slots=True)
class Subject:
    """A function to measure.

    Args:
        name: Heading of its row.
        target: Name of the function.
        source: Path of its file below ``root``.
        kind: Kind of jobs that it is pushed.
        concurrent: Pushes at once, one load after the other.
        jobs: Jobs of one load.
        peer: Name of the peer that does the same in the usual way; empty for the peers.
        environment: Further variables.
        root: Checkout that it runs from.
    """

    name: str
    target: str
    source: str
    kind: str
    concurrent: tuple[int, ...]
    jobs: int
    peer: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    root: Path = ROOT

    @property
    def is_peer(self) -> bool:
        return self.source.startswith("bench/")

    def in_revision(self, revision: str, root: Path) -> "Subject":
        """The same function of another revision, checked out at ``root``."""
        return replace(self, name=f"{self.name} @ {revision}", root=root)


_BATCHED = (256, 64, 1_000)
LIMIT = Subject("limit: an empty function", "empty", "bench/peers/empty/main.py", "identify", _BATCHED, 40_000)
_USUAL = "usual"
_USUAL_80 = (("THREADS", "80"),)
_OUTCOMES = (("OUTCOMES_TOPIC", f"{_TOPICS}/outcomes"),)
PEERS = [
    Subject("usual", "usual", "bench/peers/usual/main.py", "identify", (256,), 1_000),
    Subject("usual, THREADS=80", "usual", "bench/peers/usual/main.py", "identify", (256,), 4_000, "", _USUAL_80),
    Subject("async, a call a job", "asynchronous", "bench/peers/asynchronous/main.py", "identify", (256, 64), 10_000),
    Subject("usual send", "usual_send", "bench/peers/usual_send/main.py", "send", (256,), 1_000),
    Subject("usual webhook", "usual_webhook", "bench/peers/usual_webhook/main.py", "webhook", (256,), 4_000),
]
FUNCTIONS = [
    Subject("identify", "identify", "functions/identify/main.py", "identify", _BATCHED, 40_000, _USUAL),
    Subject("track", "track", "functions/track/main.py", "track", _BATCHED, 40_000, _USUAL),
    Subject("sync", "sync", "functions/sync/main.py", "sync", (256, 64), 6_000, _USUAL),
    Subject("send", "send", "functions/send/main.py", "send", (256, 64), 6_000, "usual send"),
    Subject("send with outcomes", "send", "functions/send/main.py", "send", (256,), 6_000, "usual send", _OUTCOMES),
    Subject("broadcast", "broadcast", "functions/broadcast/main.py", "broadcast", (1,), 20),
    Subject("webhook", "webhook", "functions/webhook/main.py", "webhook", (250, 64), 10_000, "usual webhook"),
    Subject("archive", "archive", "functions/archive/main.py", "archive", (256, 1_000), 20_000),
]


def environment(subject: Subject, ports: Mapping[str, int], folder: Path) -> dict[str, str]:
    """Variables of a function.

    Args:
        subject: The function.
        ports: Ports on this machine: ``upstream``, ``pubsub``, and ``function`` for its own.
        folder: Folder of its files.
    """
    upstream = f"http://127.0.0.1:{ports['upstream']}"
    return {
        "PYTHONPATH": str(subject.root),
        "PORT": str(ports["function"]),
        "GOOGLE_CLOUD_PROJECT": "bench",
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{ports['pubsub']}",
        "BIGQUERY_EMULATOR_HOST": upstream,
        "BIGQUERY_DATASET": "bench",
        "CUSTOMERIO_REGION": "us",
        "CUSTOMERIO_TRACK_URL": upstream,
        "CUSTOMERIO_APP_URL": upstream,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_TRACK_API_KEY": "key",
        "CUSTOMERIO_APP_API_KEY": "key",
        "CUSTOMERIO_WEBHOOK_SIGNING_KEY": SIGNING_KEY,
        "RECIPIENTS": '{"everybody": true}',
        "LEDGER": f"sqlite:{folder / 'ledger.sqlite'}",
        "DEAD_LETTER_TOPIC": f"{_TOPICS}/{subject.target}-dead-letter",
        "OUTCOMES_DEAD_LETTER_TOPIC": f"{_TOPICS}/outcomes-dead-letter",
        "CONTROL_TOPIC": f"{_TOPICS}/control",
        "EVENTS_TOPIC": f"{_TOPICS}/events",
        "CONSENT_TOPIC": f"{_TOPICS}/consent",
        **dict(subject.environment),
    }


TOPICS = [f"{_TOPICS}/{name}" for name in ("events", "consent", "control", "outcomes")]
