from local.pubsub.backoff import PushSlowDown, RetryPolicy
from local.pubsub.clock import Clock


def test_a_retry_policy_doubles_from_minimum_to_maximum() -> None:
    policy = RetryPolicy(minimum=10, maximum=60)

    assert [policy.delay(failures) for failures in range(1, 6)] == [10, 20, 40, 60, 60]
    assert policy.delay(5000) == 60


def test_a_minimum_of_zero_never_waits() -> None:
    assert RetryPolicy(minimum=0, maximum=600).delay(7) == 0


class TestPushSlowDown:
    def test_a_healthy_endpoint_is_not_slowed(self) -> None:
        slow_down = PushSlowDown(Clock())
        slow_down.started(0)
        slow_down.succeeded(0.1)

        assert slow_down.wait(0.1) == 0

    def test_consecutive_failures_double_the_pause_from_100_ms_to_a_minute(self) -> None:
        slow_down = PushSlowDown(Clock())
        now = 0.0
        pauses = []
        for _ in range(12):
            now += 0.001
            slow_down.failed(started_at=now, now=now + 0.001)
            pauses.append(round(slow_down.wait(now + 0.001), 6))
            now += slow_down.pause

        assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]

    def test_pushes_that_were_in_flight_together_fail_as_one(self) -> None:
        slow_down = PushSlowDown(Clock())
        for _ in range(1000):
            slow_down.failed(started_at=1.0, now=1.5)

        assert slow_down.pause == 0.1

    def test_one_round_of_pushes_between_two_pauses(self) -> None:
        slow_down = PushSlowDown(Clock())
        slow_down.failed(started_at=1, now=1)

        assert slow_down.wait(1.2) == 0
        for _ in range(99):
            slow_down.started(1.2)
        assert slow_down.wait(1.2) == 0
        slow_down.started(1.2)
        assert round(slow_down.wait(1.2), 6) == 0.1

    def test_the_first_failure_of_a_round_begins_the_next_pause(self) -> None:
        slow_down = PushSlowDown(Clock())
        slow_down.failed(started_at=1, now=1)
        slow_down.started(1.2)

        slow_down.failed(started_at=1.2, now=1.3)

        assert round(slow_down.wait(1.3), 6) == 0.2

    def test_any_success_shrinks_the_pause(self) -> None:
        slow_down = PushSlowDown(Clock())
        for second in range(1, 5):
            slow_down.failed(started_at=second, now=second)
        assert slow_down.pause == 0.8

        slow_down.succeeded(4.1)

        assert slow_down.pause == 0.2
        assert round(slow_down.wait(4.1), 6) == 0.2
        slow_down.succeeded(4.2)
        assert slow_down.wait(4.2) == 0

    def test_a_pause_that_has_not_grown_for_two_minutes_is_forgotten(self) -> None:
        slow_down = PushSlowDown(Clock())
        for second in range(1, 20):
            slow_down.failed(started_at=second, now=second)
        for _ in range(100):
            slow_down.started(100)
        assert slow_down.wait(101) > 0

        assert slow_down.wait(140) == 0
        assert slow_down.pause == 0

    def test_the_time_scale_divides_it(self) -> None:
        slow_down = PushSlowDown(Clock(time_scale=20))
        slow_down.failed(started_at=1, now=1)
        assert slow_down.pause == 0.005
        for second in range(2, 40):
            slow_down.failed(started_at=second, now=second)

        assert slow_down.pause == 3
