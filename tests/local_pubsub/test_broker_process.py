"""Starting and stopping: as a process, and inside a program."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress

import grpc.aio
import httpx
import pytest
from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport

from local.pubsub import Broker
from tests.local_pubsub.broker_helpers import ROOT, TIMEOUT_SECONDS, RecordingEndpoint, broker_process


def test_it_says_where_it_listens_and_stops_on_sigterm_with_requests_in_flight(endpoint: RecordingEndpoint) -> None:
    waiting = threading.Event()
    stop = threading.Event()

    def answer_late(_: object) -> int:
        waiting.set()
        stop.wait(TIMEOUT_SECONDS)
        return 204

    endpoint.answer = answer_late
    with broker_process("--admin-port", "0", "--time-scale", "2") as pubsub:
        assert pubsub.host.startswith("127.0.0.1:")
        assert pubsub.admin_url.startswith("http://127.0.0.1:")
        topic = pubsub.topic()
        pubsub.push_subscription(topic, endpoint.url)
        pulled = pubsub.subscription(topic)
        with pubsub.new_subscriber() as subscriber:
            stream = subscriber.subscribe(pulled, callback=lambda message: message.ack())
            pubsub.publish(topic)
            waiting.wait(TIMEOUT_SECONDS)
            silent = socket.create_connection(("127.0.0.1", int(pubsub.host.rpartition(":")[2])))
            rest_pull = threading.Thread(target=_pull_until_it_stops, args=(pubsub.rest_url, pulled))
            rest_pull.start()
            stream.cancel()
            stream.result(TIMEOUT_SECONDS)
    assert silent.recv(1) == b""
    silent.close()
    rest_pull.join(TIMEOUT_SECONDS)
    stop.set()


def _pull_until_it_stops(rest_url: str, subscription: str) -> None:
    with suppress(httpx.TransportError):
        while httpx.post(f"{rest_url}/{subscription}:pull", json={"maxMessages": 1}, timeout=15).is_success:
            pass


def test_a_taken_port_is_an_error_in_one_line() -> None:
    with broker_process() as running:
        port = running.host.rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "local.pubsub", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    assert second.returncode == 1
    assert "the broker did not start" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("scale", ["0", "-1"])
def test_a_time_scale_is_above_zero(scale: str) -> None:
    with pytest.raises(ValueError, match="time_scale"):
        Broker(time_scale=float(scale))


async def test_it_runs_inside_a_program() -> None:
    async with Broker(time_scale=10) as broker:
        async with grpc.aio.insecure_channel(broker.host) as channel:
            publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
            await publisher.create_topic(name="projects/p/topics/orders")
            await publisher.publish(topic="projects/p/topics/orders", messages=[PubsubMessage(data=b"x")])
        async with httpx.AsyncClient() as client:
            stats = (await client.get(f"{broker.admin_url}/_broker/stats")).json()

    assert stats["topics"] == {"projects/p/topics/orders": {"published": 1}}
    assert stats["memory"]["held_bytes"] == 0
