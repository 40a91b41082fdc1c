"""The inequalities between the numbers of seconds, without which a job could be done twice, or a push be cut off."""

from shared import deadlines
from shared.topology import topology


def test_a_push_ends_before_cloud_run_and_pubsub_give_it_up() -> None:
    for function in topology().functions.values():
        if function.trigger == "push":
            assert function.timeout_seconds > deadlines.PUSH_SECONDS
    for lane in topology().lanes.values():
        assert lane.ack_deadline_seconds > deadlines.PUSH_SECONDS
        assert all(function.timeout_seconds < lane.ack_deadline_seconds for function in topology().functions.values())


def test_a_call_that_begins_in_its_window_has_time_for_the_claim_the_request_and_the_record() -> None:
    left = deadlines.PUSH_SECONDS - deadlines.CALL_WINDOW_SECONDS
    assert left >= deadlines.LEDGER_CALL_SECONDS + deadlines.APP_REQUEST_SECONDS + deadlines.RECORD_SECONDS
    assert deadlines.LEDGER_CALL_SECONDS + deadlines.RECORD_RETRY_SECONDS <= deadlines.RECORD_SECONDS


def test_a_request_for_a_pause_ends_before_cloud_run_ends_the_push() -> None:
    longest = deadlines.PUSH_SECONDS + deadlines.PAUSE_REQUEST_SECONDS
    assert all(f.timeout_seconds > longest for f in topology().functions.values() if f.trigger == "push")


def test_a_resumption_that_helped_nothing_is_undone_before_it_costs_a_second_attempt() -> None:
    earliest_probe = deadlines.PROBE_MIN_WAIT_SECONDS - deadlines.PROBE_SLACK_SECONDS
    assert earliest_probe > deadlines.PAUSE_REQUEST_INTERVAL_SECONDS
    assert deadlines.PROBE_SLACK_SECONDS < deadlines.TICK_SECONDS / 2
    assert deadlines.CONNECT_SECONDS <= deadlines.PROBE_SECONDS < deadlines.PUSH_SECONDS
    assert deadlines.CONTROL_MESSAGE_MAX_AGE_SECONDS >= 2 * deadlines.TICK_SECONDS


def test_the_lease_outlives_the_call_and_ends_before_the_message_comes_again() -> None:
    assert deadlines.PUSH_SECONDS - deadlines.RECORD_SECONDS < deadlines.LEASE_SECONDS
    assert all(lane.ack_deadline_seconds > deadlines.LEASE_SECONDS for lane in topology().lanes.values())


def test_a_drain_leaves_the_jobs_it_pulls_last_time_for_their_calls_and_answers_before_they_come_again() -> None:
    last_pull = deadlines.DRAIN_PULL_SECONDS + deadlines.EMPTY_PULL_SECONDS
    assert last_pull + 2 * deadlines.BULK_IN_HAND_SECONDS < deadlines.CALL_WINDOW_SECONDS
    answers = deadlines.ACK_LINGER_SECONDS + deadlines.ACK_SECONDS
    assert deadlines.PUSH_SECONDS + answers < topology().lanes["bulk"].ack_deadline_seconds
    assert deadlines.EMPTY_PULL_SECONDS + answers < deadlines.SHUTDOWN_SECONDS


def test_a_ring_lasts_until_the_push_that_it_causes_is_answered() -> None:
    bell = topology().bell
    assert bell.ack_deadline_seconds > max(
        deadlines.PUSH_SECONDS, *(function.timeout_seconds for function in topology().functions.values())
    )
    assert bell.retention_seconds >= 600  # Pub/Sub's minimum
    assert bell.maximum_backoff_seconds <= deadlines.TICK_SECONDS


def test_the_webhook_is_answered_in_time_and_its_publish_ends_before() -> None:
    assert deadlines.WEBHOOK_PUBLISH_SECONDS < deadlines.WEBHOOK_ANSWER_SECONDS < deadlines.WEBHOOK_TIMEOUT_SECONDS
    assert topology().functions["webhook"].timeout_seconds > deadlines.WEBHOOK_TIMEOUT_SECONDS


def test_what_is_on_the_wire_at_sigterm_is_recorded_before_the_instance_is_killed() -> None:
    assert deadlines.SHUTDOWN_SECONDS < 10  # Cloud Run's


def test_a_broadcast_waits_for_its_turn_longer_than_the_pause_between_two() -> None:
    assert 1 / topology().rates["broadcast"].per_second < deadlines.CALL_WINDOW_SECONDS


def test_the_ledger_answers_or_fails_well_within_a_lease() -> None:
    assert deadlines.LEDGER_RETRY_SECONDS < deadlines.LEDGER_CALL_SECONDS
    assert deadlines.LEDGER_CALL_SECONDS < deadlines.RECORD_SECONDS < deadlines.LEASE_SECONDS


def test_a_record_outlives_every_attempt_at_its_job() -> None:
    retry = topology().lanes["retry"]
    lanes_days = 2 * retry.maximum_backoff_seconds * retry.max_delivery_attempts / 86_400
    assert 2 * topology().dead_letter.retention_days + lanes_days < deadlines.LEDGER_RETENTION_DAYS


def test_an_insert_ends_before_its_row_is_given_back_and_that_before_the_push() -> None:
    assert deadlines.ROW_RETRY_SECONDS + 2 * deadlines.ROW_ATTEMPT_SECONDS < deadlines.ROW_WAIT_SECONDS
    assert deadlines.ROW_WAIT_SECONDS < deadlines.PUSH_SECONDS


def test_a_request_has_time_for_its_connection() -> None:
    for seconds in (deadlines.APP_REQUEST_SECONDS, deadlines.TRACK_REQUEST_SECONDS):
        assert seconds > deadlines.MIN_REQUEST_SECONDS
        assert seconds > deadlines.CONNECT_SECONDS


def test_another_job_of_a_user_waits_until_no_call_of_a_delivery_that_is_gone_can_arrive() -> None:
    writing, twice = deadlines.LEDGER_CALL_SECONDS, 2 * deadlines.TRACK_REQUEST_SECONDS
    assert writing + deadlines.PROFILE_CALLS_SECONDS + twice < deadlines.PROFILE_LEASE_SECONDS
    assert deadlines.PROFILE_WAIT_SECONDS < deadlines.PUSH_SECONDS
