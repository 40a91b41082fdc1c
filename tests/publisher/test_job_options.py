import uuid
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import TracerProvider

from shared.jobs import is_ulid
from shared.publisher import InvalidJob, JobOptions
from tests.publisher.recording import recording


def attributes_of(options: JobOptions | None) -> dict[str, str]:
    publisher, messages = recording()
    publisher.track("42", "order_placed", options=options)
    return messages[0].attributes


def test_every_job_gets_an_id_of_its_own() -> None:
    publisher, messages = recording()
    for _ in range(100):
        publisher.track("42", "order_placed")
    ids = {message.attributes["job_id"] for message in messages}
    assert len(ids) == 100
    assert all(is_ulid(each) for each in ids)


def test_options_are_attributes_of_the_message() -> None:
    options = JobOptions(
        job_id="order-7",
        expires_at=datetime(2026, 1, 1, tzinfo=UTC),
        delivery_guarantee="at_most_once",
        priority="bulk",
        attributes={"tenant": "acme"},
    )
    assert attributes_of(options) == {
        "job_id": "order-7",
        "expires_at": "1767225600",
        "delivery_guarantee": "at_most_once",
        "priority": "bulk",
        "tenant": "acme",
    }


def test_a_job_continues_the_trace_of_the_current_span() -> None:
    assert "traceparent" not in attributes_of(None)
    with TracerProvider().get_tracer("test").start_as_current_span("order") as span:
        attributes = attributes_of(None)
    context = span.get_span_context()
    traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert {attributes["traceparent"], attributes["googclient_traceparent"]} == {traceparent}


def test_a_trace_that_is_given_goes_before_the_current_span_and_an_attribute_of_the_applications_before_both() -> None:
    given, own = (f"00-{digit * 32}-{'c' * 16}-01" for digit in "ab")
    with TracerProvider().get_tracer("test").start_as_current_span("order"):
        assert attributes_of(JobOptions(traceparent=given))["traceparent"] == given
        options = JobOptions(traceparent=given, attributes={"traceparent": own})
        assert attributes_of(options)["traceparent"] == own


def test_a_trace_takes_no_room_that_an_attribute_needs() -> None:
    options = JobOptions(traceparent=f"00-{'a' * 32}-{'c' * 16}-01", attributes={f"a{n}": "x" for n in range(98)})
    assert len(attributes_of(options)) == 100


def test_a_job_can_expire_at_unix_seconds() -> None:
    assert attributes_of(JobOptions(expires_at=1_767_225_600))["expires_at"] == "1767225600"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"traceparent": "00-ada@example.com-1-01"}, "traceparent"),
        ({"job_id": ""}, "job_id"),
        ({"job_id": uuid.UUID(int=1)}, "job_id"),
        ({"job_id": 7}, "job_id"),
        ({"job_id": "x" * 1025}, "job_id"),
        ({"expires_at": datetime(2026, 1, 1)}, "expires_at"),  # noqa: DTZ001 - naive on purpose
        ({"expires_at": 1_767_225_600_000}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"delivery_guarantee": "exactly_once"}, "delivery_guarantee"),
        ({"priority": "urgent"}, "priority"),
        ({"attributes": {"job_id": "order-7"}}, "attributes.job_id"),
        ({"attributes": {"expires_at": "1767225600"}}, "attributes.expires_at"),
        ({"attributes": {"ordering_key": "id:42"}}, "attributes.ordering_key"),
        ({"attributes": {"google-tenant": "acme"}}, "attributes.google-tenant"),
        ({"attributes": {"": "acme"}}, "attributes"),
        ({"attributes": {"x" * 257: "acme"}}, "attributes"),
        ({"attributes": {"tenant": "x" * 1025}}, "attributes.tenant"),
        ({"attributes": {"tenant": "é" * 513}}, "attributes.tenant"),
        ({"attributes": {"tenant": 7}}, "attributes.tenant"),
        ({"attributes": {"tenant": "\ud800"}}, "attributes.tenant"),
        ({"attributes": {f"tenant-{number}": "acme" for number in range(100)}}, "attributes"),
    ],
)
def test_what_no_function_or_no_pubsub_takes_is_refused(options: dict[str, Any], field: str) -> None:
    publisher, messages = recording()
    with pytest.raises(InvalidJob) as refused:
        publisher.track("42", "order_placed", options=JobOptions(**options))
    assert refused.value.field == field
    assert messages == []


def test_an_attribute_called_options_does_not_pass_for_options() -> None:
    publisher, messages = recording()
    with pytest.raises(TypeError, match="mapping of attributes"):
        publisher.identify("42", options=cast("JobOptions", {"colour": "red"}))
    assert messages == []
