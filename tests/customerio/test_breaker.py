"""What the circuit breaker lets through: examples, and a model that Hypothesis plays against it."""

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from shared.customerio.breaker import CircuitBreaker
from shared.customerio.errors import (
    AccountRefusedError,
    CredentialsRefusedError,
    CredentialsUnavailableError,
    CustomerIOError,
    DeadlineExceededError,
    NothingSentError,
    QuotaExceededError,
    RateLimitedError,
    RejectedError,
    SuspendedError,
    UnknownOutcomeError,
    UnreachableError,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: CircuitBreaker, error: CustomerIOError) -> None:
    with suppress(CustomerIOError), breaker.request():
        raise error


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.request():
        pass


def pause_of(breaker: CircuitBreaker, clock: Clock) -> float:
    """Seconds until the breaker lets a request through, in steps of a half."""
    started = clock.now
    while True:
        try:
            breaker.check()
        except NothingSentError:
            clock.now += 0.5
        else:
            return clock.now - started


def test_a_pause_ends_when_its_time_is_over_and_then_one_probe_decides() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    fail(breaker, RateLimitedError("slow down", retry_after=7.0))
    with pytest.raises(RateLimitedError):
        breaker.check()
    clock.now += 7.0
    breaker.check()
    assert not breaker.is_closed
    succeed(breaker)
    assert breaker.is_closed


def test_one_probe_at_a_time() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    fail(breaker, RateLimitedError("slow down"))
    clock.now += 1.0
    with breaker.request(), pytest.raises(RateLimitedError), breaker.request():
        pytest.fail("a second probe went out")
    succeed(breaker)


def test_five_failures_in_a_row_open_it_and_a_success_begins_the_count_anew() -> None:
    breaker = CircuitBreaker(now=Clock())
    for _ in range(3):
        for _ in range(4):
            fail(breaker, UnknownOutcomeError("down"))
        assert breaker.is_closed
        succeed(breaker)
    for _ in range(4):
        fail(breaker, UnknownOutcomeError("down"))
    assert breaker.is_closed
    fail(breaker, UnknownOutcomeError("down"))
    with pytest.raises(SuspendedError):
        breaker.check()


def test_one_request_may_be_in_flight_until_a_probe_succeeds() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    assert breaker.max_in_flight(16) == 16
    fail(breaker, RateLimitedError("slow down"))
    assert breaker.max_in_flight(16) == 1
    clock.now += 1.0
    assert breaker.max_in_flight(16) == 1
    succeed(breaker)
    assert breaker.max_in_flight(16) == 16


def test_a_probe_that_was_cancelled_leaves_room_for_the_next() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    fail(breaker, RateLimitedError("slow down"))
    clock.now += 1.0
    with pytest.raises(KeyboardInterrupt), breaker.request():
        raise KeyboardInterrupt
    assert not breaker.is_closed
    succeed(breaker)
    assert breaker.is_closed


def test_pauses_grow_while_probes_fail_and_stay_bounded() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    for _ in range(5):
        fail(breaker, UnknownOutcomeError("down"))
    pauses = []
    for _ in range(8):
        pauses.append(pause_of(breaker, clock))
        fail(breaker, UnknownOutcomeError("still down"))
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_after_a_success_the_next_pause_is_short_again() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    for _ in range(4):
        fail(breaker, RateLimitedError("slow down"))
        pause_of(breaker, clock)
    succeed(breaker)
    fail(breaker, RateLimitedError("slow down"))
    assert pause_of(breaker, clock) == 1.0


def test_a_short_pause_does_not_cut_a_long_one_short() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    with suppress(RateLimitedError), breaker.request():  # two that were in flight together
        fail(breaker, RateLimitedError("slow down", retry_after=60.0))
        raise RateLimitedError("slow down", retry_after=2.0)
    assert pause_of(breaker, clock) == 60.0


def test_a_request_that_was_in_flight_does_not_end_a_pause() -> None:
    breaker = CircuitBreaker(now=Clock())
    with breaker.request():
        fail(breaker, RateLimitedError("slow down"))
    with pytest.raises(RateLimitedError):
        breaker.check()


def test_a_refusal_shows_that_customerio_is_there() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    for _ in range(20):
        fail(breaker, UnknownOutcomeError("down"))
        fail(breaker, RejectedError("the item's fault"))
    breaker.check()
    fail(breaker, RateLimitedError("slow down"))
    clock.now += 1.0
    fail(breaker, RejectedError("the item's fault"))
    assert breaker.is_closed


def test_a_deadline_of_ours_says_nothing_about_customerio() -> None:
    breaker = CircuitBreaker(now=Clock())
    for _ in range(20):
        fail(breaker, DeadlineExceededError("no time"))
    assert breaker.is_closed


@pytest.mark.parametrize(
    "error", [CredentialsRefusedError, CredentialsUnavailableError, AccountRefusedError, QuotaExceededError]
)
def test_what_a_person_has_to_mend_holds_back_what_follows_and_keeps_its_name(error: type[CustomerIOError]) -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    for _ in range(7):
        fail(breaker, error("turned away"))
        with pytest.raises(error):
            breaker.check()
        pause_of(breaker, clock)


def test_failures_of_requests_that_were_in_flight_together_count_as_one_pause() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    opened = [breaker.request() for _ in range(6)]
    for request in opened:
        request.__enter__()
    for request in opened:
        error = CredentialsRefusedError("refused", status=401)
        with suppress(CredentialsRefusedError):
            request.__exit__(CredentialsRefusedError, error, None)
    assert pause_of(breaker, clock) == 1.0
    fail(breaker, CredentialsRefusedError("refused", status=401))
    assert pause_of(breaker, clock) == 2.0


class BreakerModel(RuleBasedStateMachine):
    """What may be sent when, said without looking at the breaker's own arithmetic."""

    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = CircuitBreaker(now=self.clock)
        self.failures = 0
        self.is_closed = True
        self.opens_again_at = 0.0
        self.doubled = 0
        self.probes: set[int] = set()
        self.made = 0

    def may_send(self) -> bool:
        return self.clock.now >= self.opens_again_at and (self.is_closed or not self.probes)

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 8.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(target=requests)
    def a_request_begins(self) -> object:
        request = self.breaker.request()
        try:
            request.__enter__()
        except NothingSentError:
            assert not self.may_send()
            return None
        assert self.may_send()
        self.made += 1
        if not self.is_closed:
            self.probes.add(self.made)
        return self.made, request

    def ends(self, request: object, error: CustomerIOError | None) -> bool:
        if request is None:
            return False
        number, context = request  # type: ignore[misc]
        self.probes.discard(number)
        with suppress(CustomerIOError):
            context.__exit__(type(error) if error else None, error, None)
        return True

    @rule(request=consumes(requests), refused=st.booleans())
    def it_is_answered(self, request: object, *, refused: bool) -> None:
        if self.ends(request, RejectedError("the item's fault") if refused else None):
            self.failures = 0
            if self.clock.now >= self.opens_again_at:
                self.is_closed, self.doubled = True, 0

    @rule(request=consumes(requests), unreachable=st.booleans())
    def it_fails(self, request: object, *, unreachable: bool) -> None:
        if self.ends(request, UnreachableError("down") if unreachable else UnknownOutcomeError("down")):
            self.failures += 1
            if self.failures >= 5 or not self.is_closed:
                self.opens(None)

    @rule(request=consumes(requests), seconds=st.none() | st.sampled_from([0.5, 3.0, 40.0]))
    def it_is_too_much(self, request: object, seconds: float | None) -> None:
        if self.ends(request, RateLimitedError("slow down", status=429, retry_after=seconds)):
            self.opens(seconds)

    @rule(request=consumes(requests))
    def it_is_turned_away(self, request: object) -> None:
        if self.ends(request, AccountRefusedError("turned away", status=403)):
            self.opens(None)

    def opens(self, seconds: float | None) -> None:
        was_open = self.clock.now < self.opens_again_at
        self.is_closed = False
        if not was_open:
            self.opens_again_at = self.clock.now + (min(30.0, 2.0**self.doubled) if seconds is None else seconds)
            self.doubled += 1
        elif seconds is not None:
            self.opens_again_at = max(self.opens_again_at, self.clock.now + seconds)

    @invariant()
    def both_agree(self) -> None:
        assert self.breaker.is_closed is self.is_closed
        if self.clock.now >= self.opens_again_at:
            self.breaker.check()
        else:
            with pytest.raises((RateLimitedError, SuspendedError, AccountRefusedError)):
                self.breaker.check()


TestBreakerModel = BreakerModel.TestCase
TestBreakerModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
