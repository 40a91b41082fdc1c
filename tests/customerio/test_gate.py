import pytest

from shared.customerio.breaker import CircuitBreaker, TokenBucket
from shared.customerio.errors import (
    CredentialsRefusedError,
    RateLimitedError,
    RejectedError,
    SuspendedError,
    UnknownOutcomeError,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_pause_ends_when_its_time_is_over_and_then_one_probe_decides() -> None:
    clock = Clock()
    gate = CircuitBreaker(now=clock)
    gate.failed(RateLimitedError("slow down", retry_after=7.0))
    with pytest.raises(RateLimitedError):
        gate.check()
    clock.now += 7.0
    gate.check()
    assert gate.is_probing
    gate.succeeded()
    assert not gate.is_probing


def test_pauses_grow_while_probes_fail_and_stay_bounded() -> None:
    clock = Clock()
    gate = CircuitBreaker(now=clock)
    for _ in range(5):
        gate.failed(UnknownOutcomeError("down"))
    pauses = []
    for _ in range(8):
        started = clock.now
        while True:
            try:
                gate.check()
                break
            except SuspendedError:
                clock.now += 0.5
        pauses.append(clock.now - started)
        gate.failed(UnknownOutcomeError("still down"))
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_refusal_shows_that_customerio_is_there() -> None:
    gate = CircuitBreaker(now=Clock())
    for _ in range(20):
        gate.failed(UnknownOutcomeError("down"))
        gate.failed(RejectedError("your fault"))
    gate.check()


def test_refused_credentials_hold_back_what_follows() -> None:
    clock = Clock()
    gate = CircuitBreaker(now=clock)
    gate.failed(CredentialsRefusedError("refused", status=401))
    with pytest.raises(CredentialsRefusedError):
        gate.check()
    clock.now += 1.0
    gate.check()


def test_failures_of_requests_that_were_under_way_together_count_as_one_pause() -> None:
    clock = Clock()
    gate = CircuitBreaker(now=clock)
    for _ in range(6):
        gate.failed(CredentialsRefusedError("refused", status=401))
    clock.now += 1.0
    gate.check()


@pytest.mark.parametrize("per_second", [0.1, 1.0, 25.0, 1000.0])
def test_a_bucket_never_lets_more_through_than_its_rate_and_one_burst(per_second: float) -> None:
    clock = Clock()
    bucket = TokenBucket(per_second, now=clock)
    due = [bucket.reserve(1e9) + clock.now for _ in range(200)]
    seconds = due[-1] - due[0]
    assert len(due) - 1 <= per_second * (seconds + max(0.0, 1.0 - 1 / per_second)) + 1e-6


def test_a_bucket_that_is_empty_refuses_instead_of_waiting_longer_than_asked() -> None:
    bucket = TokenBucket(0.1, now=Clock())
    assert bucket.reserve(5.0) == 0.0
    with pytest.raises(RateLimitedError):
        bucket.reserve(5.0)
    assert bucket.reserve(10.0) == pytest.approx(10.0)


def test_no_rate_is_no_wait() -> None:
    bucket = TokenBucket(None)
    assert [bucket.reserve(0.0) for _ in range(1000)] == [0.0] * 1000
