import base64
import json
from datetime import UTC, datetime

from google.pubsub_v1.types import PubsubMessage
from hypothesis import given
from hypothesis import strategies as st

from ops.commands.dead_letters.dead_letter import read_dead_letter
from shared.attributes import republished, sanitize
from shared.outcome import Failed
from shared.pubsub.message import PushMessage, read_push
from shared.pubsub.topic import dead_letter_attributes
from shared.redaction import loggable_key

PUBLISHED = datetime(2026, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)
FAILED = datetime(2026, 5, 1, 14, tzinfo=UTC)
FAILURE = Failed(error_class="rejected", reason="invalid", status=207, field="name", message="is not allowed")
# What a function says in attributes of these names takes their place.
SAID = {"reason", "class", "status", "field", "message", "function", "attempt", "lane", "first_publish_time"}


def message(data: bytes, attributes: dict[str, str], ordering_key: str = "") -> PubsubMessage:
    return PubsubMessage(
        data=data, attributes=attributes, message_id="7", publish_time=FAILED, ordering_key=ordering_key
    )


def push(data: bytes, attributes: dict[str, str]) -> PushMessage:
    body = {
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": attributes,
            "messageId": "1",
            "publishTime": PUBLISHED.isoformat(),
            "orderingKey": "id:1",
        }
    }
    return read_push(json.dumps(body).encode())


# Names that Pub/Sub takes and that nobody reserves.
_NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="_-."), min_size=1, max_size=20)
_OWN = st.dictionaries(
    _NAMES.filter(lambda name: name not in SAID and not name.startswith(("goog", "original-", "CloudPubSub")))
    | st.sampled_from(["topic", "data", "retry", "timeout", "channel", "expires_at"]),
    st.text(max_size=50),
    max_size=10,
)


@given(_OWN, st.binary(max_size=50))
def test_what_a_function_gave_up_is_the_job_as_it_was_published(own: dict[str, str], data: bytes) -> None:
    own.pop("ordering_key", None)
    delivery = push(data, own)
    letter = read_dead_letter("track", message(data, sanitize(dead_letter_attributes("track", delivery, FAILURE))))
    assert letter.attributes == republished(own, delivery.origin)
    assert (letter.job_id, letter.data, letter.ordering_key) == (delivery.key, data, loggable_key("id:1"))
    assert (letter.reason, letter.error_class) == ("invalid", "rejected")
    assert letter.details == {
        "status": "207",
        "field": "name",
        "message": "is not allowed",
        "function": "track",
        "lane": "main",
    }
    assert (letter.first_published_at, letter.arrived_at) == (PUBLISHED, FAILED)


def test_a_failure_without_a_reason_is_still_a_functions() -> None:
    failure = Failed(error_class="rejected", reason="", message="Customer.io answered 400")
    attributes = dead_letter_attributes("track", push(b"{}", {}), failure)
    letter = read_dead_letter("track", message(b"{}", sanitize(attributes)))
    assert (letter.reason, letter.error_class, letter.attributes["job_id"]) == ("", "rejected", "1")


def test_what_pubsub_forwarded_keeps_its_own_attributes_and_the_key_that_functions_gave_it() -> None:
    own = {"reason": "my own", "class": "mine", "channel": "sms"}
    forwarded = own | {
        "CloudPubSubDeadLetterSourceDeliveryCount": "100",
        "CloudPubSubDeadLetterSourceSubscription": "cio-track-retry",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": PUBLISHED.isoformat(),
        "googclient_schemaencoding": "JSON",
    }
    letter = read_dead_letter("track", message(b"data", forwarded, "id:9"))
    body = {"message": {"data": base64.b64encode(b"data").decode(), "attributes": forwarded, "messageId": "2"}}
    key = read_push(json.dumps(body).encode()).key
    assert letter.attributes == own | {
        "job_id": key,
        "job_id_from": "message",
        "first_publish_time": PUBLISHED.isoformat(),
    }
    assert (letter.job_id, letter.ordering_key) == (key, "id:9")
    assert (letter.reason, letter.error_class, letter.details["attempt"]) == ("forwarded", "attempts_spent", "100")
    assert letter.first_published_at == PUBLISHED


def test_what_somebody_else_put_there_is_taken_as_it_is() -> None:
    letter = read_dead_letter("send", message(b"{}", {"job_id": "J", "reason": "curious", "original-data": "x"}, "k"))
    first = {"first_publish_time": FAILED.isoformat()}
    assert letter.attributes == {"job_id": "J", "reason": "curious", "original-data": "x"} | first
    assert (letter.reason, letter.error_class, letter.ordering_key, letter.details) == ("", "", "k", {})


def test_a_dead_letter_in_a_log_shows_nothing_of_the_job() -> None:
    letter = read_dead_letter("send", message(b"canary", {"note": "canary"}, "email:canary"))
    assert "canary" not in repr(letter)


def test_a_job_of_an_ordered_topic_has_the_ordering_key_that_newer_jobs_of_the_person_have() -> None:
    data = b'{"identifiers":{"id":"1"}}'
    failed = sanitize(dead_letter_attributes("identify", push(data, {}), FAILURE))
    assert read_dead_letter("identify", message(data, failed)).ordering_key == "id:1"
    assert read_dead_letter("identify", message(b"no json", failed)).ordering_key == loggable_key("id:1")
