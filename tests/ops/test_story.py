"""The life of a job, put together from rows, events and dead letters that are given."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ops.commands.dead_letters.dead_letter import DeadLetter
from ops.story import Story, build_story
from shared.outcome_message import OutcomeMessage

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = [name for name in OutcomeMessage.__struct_fields__ if name != "at"]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def row(second: float, outcome: str, attempt: int | None, message: str = "m1", **more: Any) -> dict[str, Any]:
    given = {"kind": "send", "job_id": "j", "lane": "main", "published_at": START, "latency_seconds": second}
    given |= {"settled_at": at(second), "outcome": outcome, "attempt": attempt, "message_id": message, **more}
    return dict.fromkeys(COLUMNS) | given


def event(second: float, metric: str, **more: Any) -> dict[str, Any]:
    given = {"event_id": metric, "metric": metric, "object_type": "email", "delivery_id": "d", "failure_message": None}
    return {**given, "event_time": at(second), "received_at": at(second), **more}


def letter(second: float) -> DeadLetter:
    return DeadLetter(
        "send", "dead", "j", b"{}", {}, "", START, at(second), "bad_request", "rejected", {"status": "400"}
    )


def told(story: Story) -> list[str]:
    return [step.what for step in story.steps]


def test_a_send_from_publishing_to_its_last_webhook() -> None:
    rows = [
        row(9, "done", 2, "m2", how="applied", delivery_id="d", lane="retry", requested=True),
        row(1, "retried", 1, reason="server_error", status=503, requested=True),
        row(3, "moved", 2, reason="server_error", status=503),
        row(5, "retried", 1, "m2", lane="retry", reason="rate_limited", status=429),
    ]
    story = build_story("j", rows, [event(20, "opened"), event(10, "sent")])
    assert told(story) == ["published", "retried", "moved", "retried", "applied", "sent", "opened"]
    assert [step.at for step in story.steps] == [at(second) for second in (0, 1, 3, 5, 9, 10, 20)]
    assert (story.kind, story.delivery_id, story.waits_in) == ("send", "d", "")
    assert story.steps[1].detail == "attempt 1 in lane main; server_error; Customer.io answered 503"
    assert story.document()["steps"][4] == {
        "at": at(9),
        "what": "applied",
        "detail": "attempt 2 in lane retry; delivery d",
        "outcome": "done",
        "lane": "retry",
        "attempt": 2,
        "message_id": "m2",
        "delivery_id": "d",
        "latency_seconds": 9,
        "requested": True,
    }


def test_an_attempt_without_a_record_is_said_so() -> None:
    story = build_story("j", [row(1, "retried", 2), row(5, "done", 5, how="already_done", delivery_id="d")])
    assert told(story) == ["published", "unrecorded", "retried", "unrecorded", "unrecorded", "already_done"]
    assert [step.facts["attempt"] for step in story.steps if step.what == "unrecorded"] == [1, 3, 4]


def test_an_outcome_that_arrived_twice_is_one_attempt() -> None:
    rows = [row(1, "done", 1, how="applied"), row(1, "done", 1, how="applied")]
    assert told(build_story("j", rows)) == ["published", "applied"]


def test_where_pubsub_counts_no_attempts_none_is_missing() -> None:
    assert told(build_story("j", [row(1, "retried", None), row(2, "done", None, how="applied")])) == [
        "published",
        "retried",
        "applied",
    ]


def test_a_replayed_dead_letter_has_both_lives() -> None:
    story = build_story(
        "j", [row(1, "failed", 1, reason="r"), row(60, "done", 1, "m9", how="applied", delivery_id="d")]
    )
    assert told(story) == ["published", "failed", "replayed", "applied"]


def test_the_same_job_published_again_is_no_replay() -> None:
    rows = [row(1, "done", 1, how="applied"), row(2, "done", 1, "m2", how="already_done")]
    assert told(build_story("j", rows)) == ["published", "applied", "published_again", "already_done"]


def test_a_dead_letter_alone_says_why_and_where() -> None:
    story = build_story("j", [], dead_letters=[letter(5)])
    assert (told(story), story.kind) == (["published", "dead_letter"], "send")
    assert story.steps[-1].detail == "waits in cio-send-dead-letter: rejected: bad_request"


def test_a_job_waits_in_the_lane_of_its_next_attempt() -> None:
    assert build_story("j", [row(1, "retried", 1)]).waits_in == "main"
    assert build_story("j", [row(1, "moved", 5)]).waits_in == "retry"
    for outcome, how in (("failed", None), ("done", "applied"), ("done", "already_done")):
        assert build_story("j", [row(1, "retried", 1), row(2, outcome, 2, how=how)]).waits_in == ""


def test_an_address_in_a_bounce_is_not_shown() -> None:
    bounced = event(3, "bounced", failure_message="550 5.1.1 <ada@example.com>: unknown user")
    story = build_story("j", [row(1, "done", 1, how="applied", delivery_id="d")], [bounced])
    assert "ada@example.com" not in story.steps[-1].detail
    assert story.steps[-1].detail.startswith("550 5.1.1")


def test_events_of_the_same_second_come_after_the_attempt_and_in_the_order_of_a_message() -> None:
    events = [event(1, "opened"), event(1, "delivered"), event(1, "sent"), event(0, "drafted")]
    story = build_story("j", [row(1.5, "done", 1, how="applied", delivery_id="d")], events)
    assert told(story) == ["published", "drafted", "applied", "sent", "delivered", "opened"]


def test_a_dead_letter_comes_after_the_attempt_that_made_it() -> None:
    story = build_story("j", [row(1, "failed", 1, reason="bad_request")], dead_letters=[letter(0.9)])
    assert told(story) == ["published", "failed", "dead_letter"]
