"""REST details that the official clients do not show: JSON as a person writes it with curl, errors, the shared port."""

import json
import os
import shutil
import socket
import subprocess
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.local_pubsub.broker_helpers import ROOT, TIMEOUT_SECONDS, PubSub, RecordingEndpoint


def call(pubsub: PubSub, verb: str, path: str, **fields: Any) -> Any:
    response = httpx.request(verb, f"{pubsub.rest_url}/{path}", timeout=TIMEOUT_SECONDS, verify=False, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def refused(pubsub: PubSub, verb: str, path: str, **fields: Any) -> tuple[int, str, str]:
    """HTTP status, Google's status and message of an error."""
    response = httpx.request(verb, f"{pubsub.rest_url}/{path}", timeout=TIMEOUT_SECONDS, verify=False, **fields)
    error = response.json()["error"]
    assert response.headers["Content-Type"].startswith("application/json")
    assert error["code"] == response.status_code
    return response.status_code, error["status"], error["message"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_publishes_pulls_and_acks(local: PubSub) -> None:
    topic, subscription = local.topic_path(), local.subscription_path()

    def curl(verb: str, path: str, body: str = "") -> None:
        command = ["curl", "--silent", "--show-error", "--fail", "-X", verb, f"{local.rest_url}/{path}"]
        subprocess.run([*command, *(["-d", body] if body else [])], check=True, capture_output=True)

    curl("PUT", topic)
    curl("PUT", subscription, json.dumps({"topic": topic}))
    curl("POST", f"{topic}:publish", '{"messages": [{"data": "eyJpZCI6IDF9", "attributes": {"job_id": "a"}}]}')

    received = local.pull(subscription)[0]
    assert (received.message.data, dict(received.message.attributes)) == (b'{"id": 1}', {"job_id": "a"})
    curl("POST", f"{subscription}:acknowledge", json.dumps({"ackIds": [received.ack_id]}))
    local.wait_for_stats(subscription, acked=1, backlog=0)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_of_the_documentation_publishes(local: PubSub) -> None:
    page = (ROOT / "docs/local-stack.md").read_text()
    command = page[page.index("curl -X POST") : page.index("\n\n# gcloud")]
    topic = f"projects/{local.project}/topics/cio-track"
    local.publisher.create_topic(name=topic)
    subscription = local.subscription(topic)

    environment = {**os.environ, "PUBSUB_EMULATOR_HOST": local.host, "GOOGLE_CLOUD_PROJECT": local.project}
    subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True)

    message = local.pull(subscription)[0].message
    assert json.loads(message.data) == {"identifiers": {"id": "42"}, "name": "order"}
    assert dict(message.attributes) == {"job_id": "order-1"}


def test_gclouds_requests_to_create_and_publish(local: PubSub, endpoint: RecordingEndpoint) -> None:
    """The requests of `gcloud pubsub`: apitools' JSON, with `alt=json` and nulls left out."""
    topic, subscription = local.topic_path(), local.subscription_path()

    call(local, "PUT", f"{topic}?alt=json", json={"name": topic})
    call(
        local,
        "PUT",
        f"{subscription}?alt=json",
        json={"topic": topic, "ackDeadlineSeconds": 60, "pushConfig": {"pushEndpoint": endpoint.url}},
    )
    body = {"messages": [{"data": b64encode(b"hello").decode(), "attributes": {"kind": "a"}, "orderingKey": ""}]}
    ids = call(local, "POST", f"{topic}:publish?alt=json", json=body)["messageIds"]

    push = endpoint.next()
    assert [push.message_id] == ids
    assert push.body["message"]["attributes"] == {"kind": "a"}


@pytest.mark.parametrize("data", ["+/+/8A==", "-_-_8A==", "-_-_8A"])
def test_data_is_base64_of_either_alphabet(local: PubSub, data: str) -> None:
    topic = local.topic()
    subscription = local.subscription(topic)

    call(local, "POST", f"{topic}:publish", json={"messages": [{"data": data}]})

    assert local.pull(subscription)[0].message.data == b"\xfb\xff\xbf\xf0"


def test_fields_are_taken_in_either_case_and_answered_in_camel_case(local: PubSub) -> None:
    topic = local.topic()
    for fields in (
        {"ack_deadline_seconds": 20, "message_retention_duration": "3600s", "retain_acked_messages": True},
        {"ackDeadlineSeconds": "20", "messageRetentionDuration": "3600.0s", "retainAckedMessages": True},
    ):
        created = call(local, "PUT", local.subscription_path(), json={"topic": topic, **fields})

        assert created["ackDeadlineSeconds"] == 20
        assert created["messageRetentionDuration"] == "3600s"
        assert created["retainAckedMessages"] is True


@pytest.mark.parametrize("mask", ["ackDeadlineSeconds,labels", "ack_deadline_seconds,labels"])
def test_an_update_mask_is_taken_in_either_case(local: PubSub, mask: str) -> None:
    name = local.subscription(local.topic())

    call(
        local,
        "PATCH",
        name,
        json={"subscription": {"ackDeadlineSeconds": 33, "labels": {"a": "b"}}, "updateMask": mask},
    )

    found = local.subscriber.get_subscription(subscription=name)
    assert (found.ack_deadline_seconds, dict(found.labels)) == (33, {"a": "b"})


def test_a_pull_answers_what_a_client_needs_to_ack(local: PubSub) -> None:
    topic = local.topic()
    name = local.subscription(topic, dead_letter_policy={"dead_letter_topic": topic})
    message_id = local.publish(topic, b"data", ordering_key="person", kind="a")

    received = call(local, "POST", f"{name}:pull", json={"maxMessages": 5})["receivedMessages"]

    message = received[0]["message"]
    assert message.pop("publishTime").endswith("Z")
    assert message == {
        "data": "ZGF0YQ==",
        "attributes": {"kind": "a"},
        "messageId": message_id,
        "orderingKey": "person",
    }
    assert received[0]["deliveryAttempt"] == 1
    assert call(local, "POST", f"{name}:acknowledge", json={"ackIds": [received[0]["ackId"]]}) == {}


def test_a_pull_that_returns_immediately_may_be_empty(local: PubSub) -> None:
    name = local.subscription(local.topic())

    assert call(local, "POST", f"{name}:pull", json={"maxMessages": 1, "returnImmediately": True}) == {}


def test_a_pull_whose_client_has_gone_leases_nothing(local: PubSub) -> None:
    topic = local.topic()
    name = local.subscription(topic)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{local.rest_url}/{name}:pull", json={"maxMessages": 1}, timeout=0.2)
    local.publish(topic)

    assert len(local.pull(name)) == 1
    assert local.stats(name)["delivered"] == 1


def test_a_listing_comes_in_pages(local: PubSub) -> None:
    path = f"projects/{local.project}-listing/topics"
    topics = [call(local, "PUT", f"{path}/{name}")["name"] for name in ("first", "second", "third")]
    listed: list[str] = []
    token = ""
    while True:
        page = call(local, "GET", path, params={"pageSize": 2, "pageToken": token, "prettyPrint": "false"})
        listed += [topic["name"] for topic in page["topics"]]
        if not (token := page.get("nextPageToken", "")):
            break

    assert listed == topics


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("not json", "JSON object"),
        ("[]", "JSON object"),
        ("[" * 100_000, "JSON object"),
        (b"\xff{}", "JSON object"),
        ('{"messages": 5}', '"messages"'),
        ('{"messages": [{"dta": "c2VjcmV0"}]}', '"dta"'),
        ('{"messages": [{"data": "secret text"}]}', '"messages[0].data"'),
        ('{"messages": [{"data": "c2Vjc"}]}', '"messages[0].data"'),
        ('{"messages": [{"attributes": "secret"}]}', '"messages.attributes"'),
        ('{"messages": [{"attributes": {"secret": 1}}]}', '"messages.attributes"'),
        ('{"messages": []}', "at least one message"),
    ],
)
def test_a_bad_body_is_an_error_that_names_the_field_and_no_value(local: PubSub, body: str | bytes, names: str) -> None:
    status, google_status, message = refused(local, "POST", f"{local.topic()}:publish", content=body)

    assert (status, google_status) == (400, "INVALID_ARGUMENT")
    assert names in message
    assert "secret" not in message


def test_a_body_beyond_every_limit_is_refused(local: PubSub) -> None:
    topic = local.topic()
    for size in (10_000_001, 33_000_000):
        body = b'{"messages": [{"data": "%b"}]}' % b64encode(b"x" * size)
        status, google_status, message = refused(local, "POST", f"{topic}:publish", content=body)

        assert (status, google_status) == (400, "INVALID_ARGUMENT")
        assert "limit" in message


@pytest.mark.parametrize(
    ("verb", "path", "expected"),
    [
        ("GET", "projects/p/topics/missing", (404, "NOT_FOUND")),
        ("GET", "projects/p/subscriptions/missing", (404, "NOT_FOUND")),
        ("GET", "projects/p/nonsense", (404, "NOT_FOUND")),
        ("POST", "projects/p/topics/missing:explode", (404, "NOT_FOUND")),
        ("PUT", "projects/p/topics/a", (400, "INVALID_ARGUMENT")),
        ("GET", "projects/p/topics?pageSize=many", (400, "INVALID_ARGUMENT")),
        ("GET", "projects/p/topics?unknown=1", (400, "INVALID_ARGUMENT")),
        ("GET", "projects/p/schemas", (501, "UNIMPLEMENTED")),
        ("POST", "projects/p/schemas:validate", (501, "UNIMPLEMENTED")),
        ("PUT", "projects/p/snapshots/s", (501, "UNIMPLEMENTED")),
        ("GET", "projects/p/topics/t/snapshots", (501, "UNIMPLEMENTED")),
        ("POST", "projects/p/subscriptions/s:detach", (501, "UNIMPLEMENTED")),
        ("GET", "projects/p/topics/t:getIamPolicy", (501, "UNIMPLEMENTED")),
    ],
)
def test_errors_have_googles_codes(local: PubSub, verb: str, path: str, expected: tuple[int, str]) -> None:
    assert refused(local, verb, path)[:2] == expected


def test_a_refused_publish_is_unavailable(local: PubSub) -> None:
    topic = local.topic()
    with local.faults({"kind": "refuse_publish", "topic": topic}):
        error = refused(local, "POST", f"{topic}:publish", json={"messages": [{"data": "eA=="}]})

    assert error[:2] == (503, "UNAVAILABLE")


def test_names_with_escaped_characters(local: PubSub) -> None:
    name = f"projects/{local.project}/topics/a+b%c~d"

    created = call(local, "PUT", f"projects/{local.project}/topics/a%2Bb%25c~d")

    assert created["name"] == name
    assert local.publisher.get_topic(topic=name).name == name


def test_a_connection_that_sends_its_first_bytes_slowly_is_served(local: PubSub) -> None:
    """`P` may begin PUT or the preface of HTTP/2."""
    host, port = local.host.split(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"P", b"UT /v1/", local.topic_path().encode(), b" HTTP/1.1\r\nHost: p\r\n\r\n"):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_grpc_and_rest_share_the_port_at_the_same_time(local: PubSub) -> None:
    topic = local.topic()
    name = local.subscription(topic)
    body = {"messages": [{"data": "cmVzdA=="}] * 10}

    with ThreadPoolExecutor(8) as threads:
        by_grpc = [threads.submit(local.publish, topic, b"grpc") for _ in range(100)]
        by_rest = [threads.submit(call, local, "POST", f"{topic}:publish", json=body) for _ in range(20)]
    published = {future.result() for future in by_grpc}
    for future in by_rest:
        published.update(future.result()["messageIds"])

    assert len(published) == 300
    assert local.stats(name)["backlog"] == 300
