"""What each call of the publisher puts on which topic."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest import mock

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from shared.jobs import is_ulid
from shared.publisher import InvalidJob, Publisher
from shared.testing import RecordedJob, RecordingPublisher
from tests.publisher.recording import recording

PERSON = {"identifiers": {"id": "42"}}
ACME = {"object_type_id": "1", "object_id": "acme"}
ACMES = [{"identifiers": ACME}]
OBJECT = {"type": "object", "identifiers": ACME}

Call = Callable[[Publisher], Any]


def published(call: Call) -> RecordedJob:
    publisher, messages = recording()
    call(publisher)
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("call", "topic", "key", "body"),
    [
        (
            lambda p: p.identify("42", email="ada@example.com", plan="pro"),
            "cio-identify",
            "id:42",
            {**PERSON, "action": "identify", "attributes": {"email": "ada@example.com", "plan": "pro"}},
        ),
        (
            lambda p: p.identify("42", {"favourite colour": "red", "options": 1, "plan": "free"}, plan="pro"),
            "cio-identify",
            "id:42",
            {
                **PERSON,
                "action": "identify",
                "attributes": {"favourite colour": "red", "options": 1, "plan": "pro"},
            },
        ),
        (
            lambda p: p.identify("42", self=1, person=2, attributes=3),
            "cio-identify",
            "id:42",
            {**PERSON, "action": "identify", "attributes": {"self": 1, "person": 2, "attributes": 3}},
        ),
        (
            lambda p: p.identify(42, timestamp=1_700_000_000),
            "cio-identify",
            "id:42",
            {"action": "identify", "identifiers": {"id": 42}, "attributes": {}, "timestamp": 1_700_000_000},
        ),
        (
            lambda p: p.identify({"email": "Ada@example.com"}, plan="pro"),
            "cio-identify",
            "email:ada@example.com",
            {"action": "identify", "identifiers": {"email": "Ada@example.com"}, "attributes": {"plan": "pro"}},
        ),
        (lambda p: p.delete("42"), "cio-identify", "id:42", {**PERSON, "action": "delete"}),
        (lambda p: p.suppress("42"), "cio-identify", "id:42", {**PERSON, "action": "suppress"}),
        (lambda p: p.unsuppress("42"), "cio-identify", "id:42", {**PERSON, "action": "unsuppress"}),
        (
            lambda p: p.merge("42", {"email": "old@example.com"}),
            "cio-identify",
            "id:42",
            {"action": "merge", "primary": {"id": "42"}, "secondary": {"email": "old@example.com"}},
        ),
        (
            lambda p: p.add_device("42", "token-1", "ios", last_used=1_700_000_000),
            "cio-identify",
            "id:42",
            {
                **PERSON,
                "action": "add_device",
                "device": {"token": "token-1", "platform": "ios", "last_used": 1_700_000_000},
            },
        ),
        (
            lambda p: p.delete_device("42", "token-1"),
            "cio-identify",
            "id:42",
            {**PERSON, "action": "delete_device", "device": {"token": "token-1"}},
        ),
        (
            lambda p: p.add_relationships("42", ACMES),
            "cio-identify",
            "id:42",
            {**PERSON, "action": "add_relationships", "cio_relationships": ACMES},
        ),
        (
            lambda p: p.delete_relationships("42", ACMES),
            "cio-identify",
            "id:42",
            {**PERSON, "action": "delete_relationships", "cio_relationships": ACMES},
        ),
        (
            lambda p: p.identify_object("1", "acme", {"name": "Acme"}),
            "cio-identify",
            "object:1:acme",
            {**OBJECT, "action": "identify", "attributes": {"name": "Acme"}},
        ),
        (
            lambda p: p.relate_object("1", "acme", [PERSON]),
            "cio-identify",
            "object:1:acme",
            {**OBJECT, "action": "add_relationships", "cio_relationships": [PERSON]},
        ),
        (
            lambda p: p.relate_object_anonymously("1", "acme", ["visitor-1", "visitor-2"]),
            "cio-identify",
            "object:1:acme",
            {
                **OBJECT,
                "action": "identify_anonymous",
                "cio_relationships": [
                    {"identifiers": {"anonymous_id": "visitor-1"}},
                    {"identifiers": {"anonymous_id": "visitor-2"}},
                ],
            },
        ),
        (
            lambda p: p.unrelate_object("1", "acme", [PERSON]),
            "cio-identify",
            "object:1:acme",
            {**OBJECT, "action": "delete_relationships", "cio_relationships": [PERSON]},
        ),
        (lambda p: p.delete_object("1", "acme"), "cio-identify", "object:1:acme", {**OBJECT, "action": "delete"}),
        (
            lambda p: p.track(
                "42", "order_placed", {"total": 3}, timestamp=1_700_000_000, id="01J9ZQ4D3V7M2K8X5C6B1N0PRS"
            ),
            "cio-track",
            "",
            {
                **PERSON,
                "action": "event",
                "name": "order_placed",
                "attributes": {"total": 3},
                "timestamp": 1_700_000_000,
                "id": "01J9ZQ4D3V7M2K8X5C6B1N0PRS",
            },
        ),
        (
            lambda p: p.page("42", "https://example.com/prices"),
            "cio-track",
            "",
            {**PERSON, "action": "page", "name": "https://example.com/prices"},
        ),
        (
            lambda p: p.screen("42", "prices", {"tab": 2}),
            "cio-track",
            "",
            {**PERSON, "action": "screen", "name": "prices", "attributes": {"tab": 2}},
        ),
        (
            lambda p: p.track_anonymous("visitor-1", "signed_up"),
            "cio-track",
            "",
            {"action": "event", "identifiers": {"anonymous_id": "visitor-1"}, "name": "signed_up"},
        ),
        (
            lambda p: p.delivery_metric("delivery-1", "opened", device_token="token-1", timestamp=1_700_000_000),
            "cio-track",
            "",
            {
                "type": "delivery",
                "action": "event",
                "identifiers": {"id": "delivery-1"},
                "name": "opened",
                "attributes": {"device_token": "token-1"},
                "timestamp": 1_700_000_000,
            },
        ),
        (
            lambda p: p.send_email(
                to="ada@example.com", from_="shop@example.com", subject="Hello", body="Hello!", identifiers={"id": "42"}
            ),
            "cio-send",
            "",
            {
                **PERSON,
                "to": "ada@example.com",
                "from": "shop@example.com",
                "subject": "Hello",
                "body": "Hello!",
            },
        ),
        (
            lambda p: p.send_push(identifiers={"id": "42"}, transactional_message_id="order_placed"),
            "cio-send",
            "",
            {**PERSON, "transactional_message_id": "order_placed"},
        ),
        (
            lambda p: p.broadcast(12, ids=["42"], data={"headline": "New"}),
            "cio-broadcast",
            "",
            {"broadcast_id": 12, "ids": ["42"], "data": {"headline": "New"}},
        ),
        (
            lambda p: p.sync_user({"id": 42, "preferences": {"marketing": False}}),
            "cio-sync",
            "id:42",
            {"id": 42, "preferences": {"marketing": False}},
        ),
        (lambda p: p.user_deleted("42"), "cio-sync", "id:42", {"id": "42", "deleted": True}),
        (lambda p: p.forget_user(42), "cio-sync", "id:42", {"id": 42, "forget": True}),
        (
            lambda p: p.forget_user("42", email="ada@example.com"),
            "cio-sync",
            "id:42",
            {"id": "42", "forget": True, "email": "ada@example.com"},
        ),
    ],
)
def test_a_call_is_one_message(call: Call, topic: str, key: str, body: dict[str, Any]) -> None:
    message = published(call)
    assert (message.topic, message.ordering_key, message.body) == (topic, key, body)
    assert is_ulid(message.attributes["job_id"])


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda p: p.identify("x" * 151, plan="pro"), "identifiers.id"),
        (lambda p: p.identify(""), "identifiers.id"),
        (lambda p: p.identify({"id": "42", "email": "ada@example.com"}), "identifiers"),
        (lambda p: p.identify({"name": "Ada"}), "identifiers"),
        (lambda p: p.identify("42", bio="x" * 1001), "attributes.bio"),
        (lambda p: p.identify("42", timestamp=1_700_000_000_000), "timestamp"),
        (lambda p: p.merge("42", 42), "secondary"),
        (lambda p: p.add_device("42", "token-1", "blackberry"), "device.platform"),
        (lambda p: p.add_relationships("42", []), "cio_relationships"),
        (lambda p: p.identify_object("company", "acme"), "identifiers.object_type_id"),
        (lambda p: p.track("42", " "), "name"),
        (lambda p: p.track("42", "x" * 101), "name"),
        (lambda p: p.track("42", "order_placed", {"total": "x" * 33_000}), "body"),
        (lambda p: p.send_email(to="", identifiers={"id": "42"}, transactional_message_id=7), "to"),
        (lambda p: p.send_email(to="ada@example.com", identifiers={"id": "42"}), "body"),
        (lambda p: p.send("pigeon", {"identifiers": {"id": "42"}, "transactional_message_id": 7}), "channel"),
        (lambda p: p.send("", {"identifiers": {"id": "42"}, "transactional_message_id": 7}), "channel"),
        (lambda p: p.send("push", {"identifiers": {"id": "42"}}), "transactional_message_id"),
        (lambda p: p.broadcast(12, ids=["42"], emails=["ada@example.com"]), "ids"),
        (lambda p: p.sync_user({"email": "ada@example.com"}), "id"),
        (lambda p: p.user_deleted(""), "id"),
        (lambda p: p.forget_user(""), "id"),
        (lambda p: p.forget_user("42", email="nobody"), "email"),
    ],
)
def test_a_job_that_can_never_succeed_is_refused_and_not_published(call: Call, field: str) -> None:
    publisher, messages = recording()
    with pytest.raises(InvalidJob) as refused:
        call(publisher)
    assert refused.value.field == field
    assert messages == []


def test_a_refusal_names_no_value() -> None:
    publisher, _ = recording()
    with pytest.raises(InvalidJob) as refused:
        publisher.identify("42", bio="a secret " * 200)
    assert str(refused.value) == "attributes.bio: must be at most 1000 bytes; it has 1800"


def test_each_send_names_its_channel() -> None:
    publisher, messages = recording()
    for channel in ("push", "sms", "whatsapp", "inbox_message", "in_app"):
        publisher.send(channel, {"identifiers": {"id": "42"}, "transactional_message_id": 7})
    publisher.send_email(to="ada@example.com", identifiers={"id": "42"}, transactional_message_id=7)
    told = [message.attributes["channel"] for message in messages]
    assert told == ["push", "sms", "whatsapp", "inbox_message", "in_app", "email"]


def test_only_a_send_has_a_channel() -> None:
    assert published(lambda p: p.track("42", "order_placed")).attributes.keys() == {"job_id"}


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 1, 1, microsecond=999_999, tzinfo=UTC),
        1_767_225_600,
    ],
)
def test_an_instant_is_unix_seconds(instant: datetime | int) -> None:
    message = published(lambda p: p.track("42", "order_placed", {"due": instant}, timestamp=instant))
    assert message.body["timestamp"] == 1_767_225_600
    assert message.body["attributes"] == {"due": 1_767_225_600}


def test_topics_take_the_prefix() -> None:
    publisher = RecordingPublisher("project-1", prefix="dev-")
    publisher.track("42", "order_placed")
    assert [(job.kind, job.topic) for job in publisher.jobs] == [("track", "dev-cio-track")]


def test_the_project_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    client = mock.create_autospec(PublisherClient)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(ValueError, match="GOOGLE_CLOUD_PROJECT"):
        Publisher(client=client)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "project-2")
    Publisher(client=client).track("42", "order_placed")
    assert client.publish.call_args.args[0] == "projects/project-2/topics/cio-track"


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.identify("ada@example.com", plan="pro"),
        lambda p: p.track("ada@example.com", "order_placed"),
        lambda p: p.delete("ada@example.com"),
        lambda p: p.merge("42", "ada@example.com"),
    ],
)
def test_an_id_that_looks_like_an_address_is_refused_with_both_ways_to_write_it(call: Call) -> None:
    publisher, messages = recording()
    with pytest.raises(InvalidJob) as refused:
        call(publisher)
    assert refused.value.field == "person"
    assert '{"email": …}, or {"id": …}' in refused.value.problem
    assert messages == []


def test_an_address_can_be_an_id_and_an_email() -> None:
    for person in ({"id": "ada@example.com"}, {"email": "ada@example.com"}):
        assert published(lambda p, person=person: p.identify(person)).body["identifiers"] == person


def test_the_audience_set_up_in_customerio_is_asked_for_by_an_attribute() -> None:
    message = published(lambda p: p.broadcast(12, audience="as_configured"))
    assert (message.body, message.attributes["audience"]) == ({"broadcast_id": 12}, "as_configured")
    with pytest.raises(InvalidJob, match="audience: is required"):
        recording()[0].broadcast(12)
