from local.pubsub.backoff import PushBackoff, RetryPolicy
from local.pubsub.clock import Clock


def test_a_retry_policy_doubles_from_minimum_to_maximum() -> None:
    policy = RetryPolicy(minimum=10, maximum=60)

    assert [policy.delay(failures) for failures in range(1, 6)] == [10, 20, 40, 60, 60]
    assert policy.delay(5000) == 60


def test_a_minimum_of_zero_never_waits() -> None:
    assert RetryPolicy(minimum=0, maximum=600).delay(7) == 0


class TestPushBackoff:
    def test_a_healthy_endpoint_is_not_slowed(self) -> None:
        backoff = PushBackoff(Clock())
        backoff.started(0)
        backoff.succeeded(0.1)

        assert backoff.wait(0.1) == 0

    def test_consecutive_failures_double_the_delay_from_100_ms_to_a_minute(self) -> None:
        backoff = PushBackoff(Clock())
        now = 0.0
        delays = []
        for _ in range(12):
            now += 0.001
            backoff.failed(started_at=now, now=now + 0.001)
            delays.append(round(backoff.wait(now + 0.001), 6))
            now += backoff.delay

        assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]

    def test_pushes_that_were_in_flight_together_fail_as_one(self) -> None:
        backoff = PushBackoff(Clock())
        for _ in range(1000):
            backoff.failed(started_at=1.0, now=1.5)

        assert backoff.delay == 0.1

    def test_one_round_of_pushes_between_two_delays(self) -> None:
        backoff = PushBackoff(Clock())
        backoff.failed(started_at=1, now=1)

        assert backoff.wait(1.2) == 0
        for _ in range(99):
            backoff.started(1.2)
        assert backoff.wait(1.2) == 0
        backoff.started(1.2)
        assert round(backoff.wait(1.2), 6) == 0.1

    def test_the_first_failure_of_a_round_begins_the_next_delay(self) -> None:
        backoff = PushBackoff(Clock())
        backoff.failed(started_at=1, now=1)
        backoff.started(1.2)

        backoff.failed(started_at=1.2, now=1.3)

        assert round(backoff.wait(1.3), 6) == 0.2

    def test_any_success_shortens_the_delay(self) -> None:
        backoff = PushBackoff(Clock())
        for second in range(1, 5):
            backoff.failed(started_at=second, now=second)
        assert backoff.delay == 0.8

        backoff.succeeded(4.1)

        assert backoff.delay == 0.2
        assert round(backoff.wait(4.1), 6) == 0.2
        backoff.succeeded(4.2)
        assert backoff.wait(4.2) == 0

    def test_a_delay_that_has_not_grown_for_two_minutes_is_forgotten(self) -> None:
        backoff = PushBackoff(Clock())
        for second in range(1, 20):
            backoff.failed(started_at=second, now=second)
        for _ in range(100):
            backoff.started(100)
        assert backoff.wait(101) > 0

        assert backoff.wait(140) == 0
        assert backoff.delay == 0

    def test_the_time_scale_divides_it(self) -> None:
        backoff = PushBackoff(Clock(time_scale=20))
        backoff.failed(started_at=1, now=1)
        assert backoff.delay == 0.005
        for second in range(2, 40):
            backoff.failed(started_at=second, now=second)

        assert backoff.delay == 3
