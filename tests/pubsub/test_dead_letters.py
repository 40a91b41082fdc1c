from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.attributes import MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, DeadLetterAttributes, sanitize
from shared.outcome import Failed
from shared.pubsub.message import PushMessage
from shared.pubsub.topic import dead_letter_attributes
from shared.redaction import loggable_key

FAILURE = Failed(error_class="rejected", reason="invalid", status=207, field="attributes.plan", message="m" * 3000)


def delivery(attributes: dict[str, str]) -> PushMessage:
    return PushMessage(
        key="the-key",
        is_named=True,
        data=b"{}",
        attributes=attributes,
        first_published_at=datetime(2026, 5, 1, tzinfo=UTC),
        lane="retry",
        attempt=4,
        ordering_key="id:1",
    )


def test_a_dead_letter_says_what_where_and_when() -> None:
    attributes = dead_letter_attributes("identify", delivery({"channel": "sms"}), FAILURE)
    assert attributes == {
        "job_id": "the-key",
        "reason": "invalid",
        "class": "rejected",
        "status": "207",
        "field": "attributes.plan",
        "message": "m" * 1024,
        "function": "identify",
        "attempt": "4",
        "lane": "retry",
        "first_publish_time": "2026-05-01T00:00:00+00:00",
        "ordering_key": loggable_key("id:1"),
        "channel": "sms",
    }


def test_the_publishers_own_attributes_of_the_same_names_are_kept_beside_ours() -> None:
    attributes = dead_letter_attributes("identify", delivery({"reason": "churn", "job_id": "the-key"}), FAILURE)
    assert (attributes["reason"], attributes["original-reason"]) == ("invalid", "churn")
    assert "original-job_id" not in attributes


def test_where_pubsub_forwarded_it_from_is_left_out() -> None:
    attributes = dead_letter_attributes("identify", delivery({"CloudPubSubDeadLetterSourceSubscription": "s"}), FAILURE)
    assert not [name for name in attributes if name.startswith("CloudPubSub")]


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=1200), min_size=1, max_size=120))
def test_whatever_the_publisher_set_pubsub_accepts_the_dead_letter(theirs: dict[str, str]) -> None:
    attributes = sanitize(dead_letter_attributes("identify", delivery(theirs), FAILURE))
    assert len(attributes) <= MAX_ATTRIBUTES
    assert all(0 < len(key.encode()) <= MAX_KEY_BYTES for key in attributes)
    assert all(len(value.encode()) <= MAX_VALUE_BYTES for value in attributes.values())
    assert attributes["reason"] == "invalid"
    assert attributes["job_id"] == "the-key"
    assert not {"topic", "data", "ordering_key", "retry", "timeout"} & attributes.keys()


def test_ours_survive_where_the_publishers_are_too_many() -> None:
    theirs = {f"name-{number}": "value" for number in range(MAX_ATTRIBUTES)}
    attributes = sanitize(dead_letter_attributes("identify", delivery(theirs), FAILURE))
    assert len(attributes) == MAX_ATTRIBUTES
    told, own = DeadLetterAttributes.decode(attributes)
    assert (told.reason, told.error_class, told.function, told.ordering_key) == (
        "invalid",
        "rejected",
        "identify",
        loggable_key("id:1"),
    )
    assert own.keys() - {"job_id", "first_publish_time"} < theirs.keys()
