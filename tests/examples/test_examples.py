"""Every example, run as its page says, reaches the local Customer.io."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stack.stack_helpers import ROOT, RunningStack, get, until

EXAMPLES = ROOT / "examples"
PATIENCE_SECONDS = 60


def event(stack: RunningStack, person: str, name: str) -> dict[str, Any] | None:
    return next((e for e in stack.simulator("events") if e.get("name") == name and person in json.dumps(e)), None)


def test_the_fastapi_service(
    stack: RunningStack, application_python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [application_python, "-m", "uvicorn", "fastapi_service:app", "--port", str(port), "--app-dir", EXAMPLES]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as service:
        try:
            until(lambda: answers(port) or service.poll() is not None, "the service", patience=120)
            assert service.poll() is None, service.stderr and service.stderr.read()
            body = json.dumps({"person": "fastapi-1", "email": "fastapi@example.com"}).encode()
            request = Request(
                f"http://127.0.0.1:{port}/signups", data=body, headers={"Content-Type": "application/json"}
            )
            with urlopen(request, timeout=20) as answer:
                assert (answer.status, json.load(answer).keys()) == (202, {"job_id"})
        finally:
            service.send_signal(signal.SIGTERM)
            service.communicate(timeout=PATIENCE_SECONDS)
    person = until(lambda: stack.person("fastapi-1"), "the person")
    assert person["email"] == "fastapi@example.com"
    until(lambda: event(stack, "fastapi-1", "signed_up"), "the event")


def answers(port: int) -> bool:
    try:
        get(f"http://127.0.0.1:{port}/openapi.json")
    except URLError:
        return False
    return True


def test_the_worker(stack: RunningStack, application_python: Path, environment: dict[str, str], tmp_path: Path) -> None:
    orders = [{"id": n, "person": f"worker-{n}", "email": f"worker-{n}@example.com", "total": n} for n in range(3)]
    lines = "\n".join(json.dumps(order) for order in [*orders, {**orders[0], "id": 9, "person": ""}])
    done = subprocess.run(
        [application_python, EXAMPLES / "worker.py"],
        input=lines,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0 jobs failed\n", "order 9: identifiers.id: must not be empty\n")
    for order in orders:
        until(lambda order=order: event(stack, order["person"], "order_placed"), "the event")
        until(lambda order=order: order["email"] in json.dumps(stack.simulator("deliveries")), "the receipt")


def test_the_consent_consumer(
    stack: RunningStack, application_python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    database = tmp_path / "consent.sqlite"
    command = [application_python, EXAMPLES / "consent_consumer.py", database]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as consumer:
        try:
            assert consumer.stdout is not None
            assert consumer.stdout.readline() == "waiting for changes\n"
            for person, address in (("consent-1", "unsubscribe+1@example.com"), ("consent-2", "two@example.com")):
                body = {"to": address, "identifiers": {"id": person}, "transactional_message_id": 1}
                stack.publish("cio-send", body)
            assert consumer.stdout.readline() == "unsubscribed: consent-1 wants it: False\n"
        finally:
            consumer.send_signal(signal.SIGTERM)
            try:
                consumer.communicate(timeout=PATIENCE_SECONDS)
            finally:
                consumer.kill()
    with closing(sqlite3.connect(database)) as read:
        rows = read.execute("SELECT person, channel, topic, wanted FROM consent").fetchall()
    assert rows == [("consent-1", "", "", 0)]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8), st.randoms())
def test_the_consumer_keeps_the_newest_in_whatever_order_it_comes(
    changes: list[tuple[int, bool]], random: Random
) -> None:
    consumer = module("consent_consumer")
    newest = max(instant for instant, _ in changes)
    # Customer.io reports a change of one value into the other, or of one instant in either order.
    expected = all(wanted for instant, wanted in changes if instant == newest)
    said = {"id": "42", "cio_id": None, "email": None, "channel": None, "topic": None, "source": "unsubscribed"}
    delivered = changes * 2
    random.shuffle(delivered)
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(consumer.TABLE)
        for instant, wanted in delivered:
            consumer.keep(database, {**said, "wanted": wanted, "at": f"2026-05-01T00:00:0{instant}+00:00"})
        assert database.execute("SELECT wanted FROM consent").fetchall() == [(int(expected),)]


def module(name: str) -> ModuleType:
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_node(stack: RunningStack, environment: dict[str, str]) -> None:
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    if not (EXAMPLES / "node/node_modules/@google-cloud/pubsub").is_dir():
        pytest.skip("Google's client for Node is not installed: npm install in examples/node")
    subprocess.run(["node", EXAMPLES / "node/publish.mjs"], env=environment, check=True, timeout=PATIENCE_SECONDS)
    until(lambda: stack.person("node-1"), "the person")
    until(lambda: event(stack, "node-1", "order_placed"), "the event")


def test_curl(stack: RunningStack, environment: dict[str, str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    subprocess.run([EXAMPLES / "curl.sh"], env=environment, check=True, timeout=PATIENCE_SECONDS)
    person = until(lambda: stack.person("curl-1"), "the person")
    assert person["email"] == "curl@example.com"
