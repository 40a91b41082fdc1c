"""Processes of a benchmark: started, waited for, measured, ended."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.subjects import ROOT, TOPICS
from local.stack.ports import free_ports


@contextmanager
def process(command: Sequence[str], port: int, environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """Run a process, from the moment in which it answers on ``port`` until the block ends."""
    with log.open("ab") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as child:
        try:
            for _ in range(1200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5).close()
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    if child.poll() is not None:
                        sys.exit(f"{command[0]} ended: {log.read_text()[-2000:]}")
                    time.sleep(0.05)
            yield psutil.Process(child.pid)
        finally:
            child.terminate()


@contextmanager
def surroundings(folder: Path) -> Iterator[dict[str, int]]:
    """Start the upstream and a Pub/Sub with its topics; yields their ports."""
    upstream, pubsub, admin = free_ports(3)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    upstream_command = [sys.executable, "-m", "bench.upstream", str(upstream)]
    ports = ["--port", str(pubsub), "--admin-port", str(admin)]
    pubsub_command = [sys.executable, "-m", "local.pubsub", "--host", "127.0.0.1", *ports, "--time-scale", "1"]
    with (
        process(upstream_command, upstream, environment, folder / "upstream.log"),
        process(pubsub_command, admin, environment, folder / "pubsub.log"),
    ):
        create_topics(f"127.0.0.1:{pubsub}", TOPICS)
        yield {"upstream": upstream, "pubsub": pubsub}


def create_topics(host: str, topics: Sequence[str]) -> None:
    os.environ["PUBSUB_EMULATOR_HOST"] = host
    from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415 - it reads the environment

    with PublisherClient() as publisher:
        for topic in topics:
            publisher.create_topic(name=topic)


def tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def cpu_seconds(root: psutil.Process) -> float:
    return float(sum(sum(each.cpu_times()[:2]) for each in tree(root)))


def memory_mb(root: psutil.Process) -> float:
    """Resident memory of the largest process of the tree: the one that serves. The others only watch it."""
    return float(max(each.memory_info().rss for each in tree(root))) / 2**20


def counted(port: int) -> int:
    """Requests that the upstream has taken."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5) as answer:
        return int(answer.read())
