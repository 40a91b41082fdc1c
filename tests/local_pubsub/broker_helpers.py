"""Helpers of the broker's tests: a broker or emulator in its own process, official clients, a push endpoint."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherRestTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberRestTransport

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 15.0


class PubSub:
    """The official clients against one Pub/Sub, in a project of their own."""

    def __init__(self, host: str, admin_url: str = "") -> None:
        self.host = host
        self.admin_url = admin_url
        self.project = f"project-{uuid.uuid4().hex[:12]}"
        with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": host}):
            self.publisher = pubsub_v1.PublisherClient(
                batch_settings=pubsub_v1.types.BatchSettings(max_latency=0.001),
                publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True),
            )
            self.subscriber = pubsub_v1.SubscriberClient()

    @property
    def rest_url(self) -> str:
        """The root of the REST surface."""
        return f"http://{self.host}/v1"

    @contextmanager
    def new_subscriber(self) -> Iterator[pubsub_v1.SubscriberClient]:
        """Yield a client for one streaming pull, whose threads end with it."""
        with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": self.host}):
            subscriber = pubsub_v1.SubscriberClient()
        with subscriber:
            yield subscriber

    def topic_path(self) -> str:
        return f"projects/{self.project}/topics/topic-{uuid.uuid4().hex[:8]}"

    def subscription_path(self) -> str:
        return f"projects/{self.project}/subscriptions/subscription-{uuid.uuid4().hex[:8]}"

    def topic(self, **fields: Any) -> str:
        return str(self.publisher.create_topic(request={"name": self.topic_path(), **fields}).name)

    def subscription(self, topic: str, **fields: Any) -> str:
        request = {"name": self.subscription_path(), "topic": topic, **fields}
        return str(self.subscriber.create_subscription(request=request).name)

    def push_subscription(self, topic: str, url: str, **fields: Any) -> str:
        return self.subscription(topic, push_config={"push_endpoint": url}, **fields)

    def publish(self, topic: str, data: bytes = b"data", *, ordering_key: str = "", **attributes: str) -> str:
        future = self.publisher.publish(topic, data, ordering_key=ordering_key, **attributes)
        return str(future.result(TIMEOUT_SECONDS))

    def pull(self, subscription: str, count: int = 1) -> list[types.ReceivedMessage]:
        """Pull until there are exactly ``count`` messages."""
        received: list[types.ReceivedMessage] = []
        give_up = time.monotonic() + TIMEOUT_SECONDS
        while len(received) < count:
            assert time.monotonic() < give_up, f"only {len(received)} of {count} messages came"
            received += self.pull_once(subscription, count - len(received), wait=2)
        return received

    def pull_once(self, subscription: str, count: int = 10, *, wait: float = 0.3) -> list[types.ReceivedMessage]:
        """Pull once; return nothing if there is no message for ``wait`` seconds."""
        try:
            response = self.subscriber.pull(subscription=subscription, max_messages=count, timeout=wait, retry=None)
        except exceptions.DeadlineExceeded:
            return []
        return list(response.received_messages)

    def ack(self, subscription: str, *received: types.ReceivedMessage) -> None:
        self.subscriber.acknowledge(subscription=subscription, ack_ids=[message.ack_id for message in received])

    def nack(self, subscription: str, *received: types.ReceivedMessage) -> None:
        self.modify_deadline(subscription, 0, *received)

    def modify_deadline(self, subscription: str, seconds: int, *received: types.ReceivedMessage) -> None:
        self.subscriber.modify_ack_deadline(
            subscription=subscription,
            ack_ids=[message.ack_id for message in received],
            ack_deadline_seconds=seconds,
        )

    def stats(self, subscription: str) -> dict[str, Any]:
        stats = httpx.get(f"{self.admin_url}/_broker/stats").json()["subscriptions"][subscription]
        assert isinstance(stats, dict)
        return stats

    def wait_for_stats(self, subscription: str, **expected: object) -> dict[str, Any]:
        return self.wait_until(subscription, lambda stats: stats.items() >= expected.items())

    def wait_until(self, subscription: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        give_up = time.monotonic() + TIMEOUT_SECONDS
        while not holds(stats := self.stats(subscription)):
            assert time.monotonic() < give_up, f"timed out; the last stats were {stats}"
            time.sleep(0.01)
        return stats

    @contextmanager
    def faults(self, *faults: dict[str, object]) -> Iterator[None]:
        response = httpx.put(f"{self.admin_url}/_broker/faults", json={"faults": list(faults)})
        assert response.status_code == 200, response.text
        try:
            yield
        finally:
            httpx.delete(f"{self.admin_url}/_broker/faults")

    def close(self) -> None:
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()


class RestPubSub(PubSub):
    """The official clients over REST. The batching publisher works with gRPC only: this publishes without batches."""

    def __init__(self, host: str, admin_url: str = "") -> None:
        self.host = host
        self.admin_url = admin_url
        self.project = f"project-{uuid.uuid4().hex[:12]}"
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        self.publisher = PublisherClient(
            transport=PublisherRestTransport(host=host, credentials=credentials, url_scheme="http")
        )
        self.subscriber = SubscriberClient(
            transport=SubscriberRestTransport(host=host, credentials=credentials, url_scheme="http")
        )

    def publish(self, topic: str, data: bytes = b"data", *, ordering_key: str = "", **attributes: str) -> str:
        message = types.PubsubMessage(data=data, ordering_key=ordering_key, attributes=attributes)
        response = self.publisher.publish(topic=topic, messages=[message], timeout=TIMEOUT_SECONDS)
        return str(response.message_ids[0])

    def pull_once(self, subscription: str, count: int = 10, *, wait: float = 0.3) -> list[types.ReceivedMessage]:
        try:
            return super().pull_once(subscription, count, wait=wait)
        except requests.Timeout:
            return []

    def close(self) -> None:
        self.publisher.transport.close()
        self.subscriber.transport.close()


@dataclass(frozen=True, slots=True)
class Push:
    """One push request as the endpoint saw it."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float

    @property
    def message_id(self) -> str:
        return str(self.body["message"]["messageId"])


class RecordingEndpoint:
    """An HTTP server that records pushes and answers each with the status that ``answer`` returns."""

    def __init__(self) -> None:
        self.answer: Callable[[Push], int] = lambda _: 204
        self.pushes: queue.Queue[Push] = queue.Queue()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                push = Push(body, dict(self.headers), time.monotonic())
                endpoint.pushes.put(push)
                self.send_response(endpoint.answer(push))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test output clean."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 1024

            def handle_error(self, *_: object) -> None:
                """A broker that is stopped resets its connections."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/push?token=t"

    def answers(self, status: int) -> None:
        self.answer = lambda _: status

    def next(self, timeout: float = TIMEOUT_SECONDS) -> Push:
        return self.pushes.get(timeout=timeout)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def broker_process(*options: str) -> Iterator[PubSub]:
    """``python -m local.pubsub`` with official clients; ends with SIGTERM and checks the exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.pubsub", "--port", "0", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        host = process.stdout.readline().removeprefix("listening on ").strip()
        admin_url = process.stdout.readline().removeprefix("admin on ").removesuffix("/_broker/stats\n")
        pubsub = PubSub(host, admin_url)
        try:
            yield pubsub
        finally:
            pubsub.close()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(TIMEOUT_SECONDS)
        process.stdout.close()
    assert code == 0


def google_emulator() -> Path | None:
    """The start script of Google's emulator, where Cloud SDK installers put it."""
    gcloud = shutil.which("gcloud")
    roots = [
        *([Path(os.environ["CLOUDSDK_ROOT_DIR"])] if "CLOUDSDK_ROOT_DIR" in os.environ else []),
        *([Path(gcloud).resolve().parents[1]] if gcloud else []),
        *(Path(base) / "google-cloud-sdk" for base in ("/usr/lib", "/usr/local", "/usr/share", "/opt", Path.home())),
        Path("/opt/homebrew/share/google-cloud-sdk"),
        Path("/snap/google-cloud-sdk/current"),
    ]
    for root in roots:
        script = root / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
        if script.is_file():
            return script
    return None


@contextmanager
def google_emulator_process(script: Path) -> Iterator[str]:
    """Google's emulator on a free port, as HOST:PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [str(script), "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    ready = threading.Event()
    # Read to the end: an unread pipe would stop the emulator.
    reader = threading.Thread(target=_watch, args=(process.stdout, f"listening on {port}", ready))
    reader.start()
    try:
        assert ready.wait(60), "Google's emulator did not start"
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()


def _watch(stream: Any, text: str, found: threading.Event) -> None:
    with stream:
        for line in stream:
            if text in line:
                found.set()
