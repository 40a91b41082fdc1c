"""What goes wrong during a run: a fifth of Customer.io's answers, killed functions, lost acknowledgements, freezes."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.request import Request, urlopen

from tests.stack.stack_helpers import RunningStack

# Shares of the requests; together a fifth of them.
_UPSTREAM: list[dict[str, Any]] = [
    {"status": 500, "share": 0.04},
    {"status": 503, "share": 0.03},
    {"status": 429, "share": 0.02},
    {"status": 429, "retry_after": 1, "share": 0.01},
    {"reset": True, "share": 0.03},
    {"reset": True, "after_accept": True, "share": 0.02},
    {"status": 502, "after_accept": True, "share": 0.02},
    {"delay": 0.5, "share": 0.03},
    {"items": {"share": 0.002, "reason": "invalid", "field": "attributes.n", "message": "refused by chance"}},
]
_BROKER: list[dict[str, Any]] = [
    {"kind": "duplicate", "share": 0.02},
    {"kind": "drop_ack", "share": 0.02},
    {"kind": "refuse_publish", "share": 0.2, "topic": "cio-identify-dead-letter"},
]
_KILLED = ("identify", "track", "send", "sync", "webhook", "archive")
_KILL_EVERY = 3.0
_FREEZE_SECONDS = 2.0


@contextmanager
def injected(stack: RunningStack, seed: int) -> Iterator["Killer"]:
    """Everything at once, until the block ends."""
    stack.faults(*({**fault, "seed": seed + n} for n, fault in enumerate(_UPSTREAM)))
    broker_faults(stack, [{**fault, "seed": seed} for fault in _BROKER])
    killer = Killer(stack, seed)
    killer.start()
    try:
        yield killer
    finally:
        killer.stop()
        broker_faults(stack, [])
        stack.faults()


def broker_faults(stack: RunningStack, faults: list[dict[str, Any]]) -> None:
    url = f"{stack.environment['PUBSUB_ADMIN_URL']}/_broker/faults"
    urlopen(Request(url, data=json.dumps({"faults": faults}).encode(), method="PUT"), timeout=10).close()


@contextmanager
def frozen(stack: RunningStack, part: str) -> Iterator[None]:
    """A part that is there and does not answer."""
    pid = stack.pids()[part]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Killer(threading.Thread):
    """Kills a function every few seconds, and freezes BigQuery now and then."""

    def __init__(self, stack: RunningStack, seed: int) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._chance = random.Random(seed)
        self._done = threading.Event()
        self.killed: list[str] = []

    def run(self) -> None:
        turn = 0
        while not self._done.wait(_KILL_EVERY):
            turn += 1
            if turn % 4 == 0:
                with frozen(self._stack, "bigquery"):
                    self._done.wait(_FREEZE_SECONDS)
                continue
            name = self._chance.choice(_KILLED)
            with suppress(ProcessLookupError):
                os.kill(self._stack.pids()[name], signal.SIGKILL)
                self.killed.append(name)

    def stop(self) -> None:
        self._done.set()
        self.join()


def pause(seconds: float) -> None:
    """Let a fault last: the one thing here that has no event to wait for."""
    time.sleep(seconds)
