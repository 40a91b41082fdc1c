"""A pause and its labels: who may begin and end it, when it is probed, and what a probe that lies can cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pubsub import pause
from shared.pubsub.pause import Pace, PushState
from shared.topology import topology

PACE = Pace()
WEEK = 7 * 86_400
NOW = 1_780_000_000.0

states = st.builds(
    PushState,
    paused_by=st.sampled_from(["", "customerio", "operator"]),
    reason=st.from_regex("[a-z0-9_-]{0,63}", fullmatch=True),
    since=st.integers(0, 2**40),
    until=st.integers(0, 2**40),
    probe_at=st.integers(0, 2**40),
    in_a_row=st.integers(0, 1000),
    resumed_at=st.integers(0, 2**40),
)


@given(states, st.dictionaries(st.sampled_from(["team", "goog-terraform-provisioned"]), st.just("x")))
def test_what_is_written_is_read_again_and_labels_of_others_stay(state: PushState, others: dict[str, str]) -> None:
    written = pause.encode(state, {"cio-pause-reason": "old", **others})
    assert pause.decode(written) == state
    assert others.items() <= written.items()
    assert all(len(name) <= 63 and len(value) <= 63 for name, value in written.items())


@pytest.mark.parametrize(
    ("labels", "paused_by"),
    [
        ({}, ""),
        ({"cio-paused-by": "ada"}, "operator"),
        ({"cio-paused-by": "customerio", "cio-probe-at": "soon"}, "customerio"),
    ],
)
def test_labels_by_hand_are_read_so_that_no_probe_ends_what_a_person_began(
    labels: dict[str, str], paused_by: str
) -> None:
    state = pause.decode(labels)
    assert (state.paused_by, state.probe_at) == (paused_by, 0)


def test_a_reason_by_an_operator_fits_into_a_label() -> None:
    assert pause.label_value("Wrong template! (see #42)") == "wrong-template-see-42"
    assert len(pause.label_value("x" * 100)) == 63


def test_a_pause_that_is_on_stays_as_it_is() -> None:
    for state in (pause.pause_for_operator("x", NOW), pause.pause_for_customerio(PushState(), "x", NOW, PACE)):
        assert pause.pause_for_customerio(state, "server_error", NOW + 5, PACE) is state


def test_a_pause_is_probed_after_a_minute_and_then_at_every_tick() -> None:
    state = pause.pause_for_customerio(PushState(), "server_error", NOW, PACE)
    assert not pause.is_due(state, NOW + 44, PACE)
    assert all(pause.is_due(state, NOW + seconds, PACE) for seconds in (46, 60, 61, 3600))


def test_a_probe_that_succeeds_ends_a_pause_and_one_that_fails_does_not() -> None:
    state = pause.pause_for_customerio(PushState(), "server_error", NOW, PACE)
    assert pause.at_tick(state, NOW + 60, PACE, is_healthy=False) == state
    assert pause.at_tick(state, NOW + 60, PACE, is_healthy=True).paused_by == ""
    # One lane may have been paused later than the other, whose probe this was.
    assert pause.at_tick(state, NOW + 10, PACE, is_healthy=True) == state


def test_no_probe_ends_an_operators_pause_and_its_time_does() -> None:
    state = pause.pause_for_operator("stop", NOW, NOW + 7200)
    assert pause.at_tick(state, NOW + 7199, PACE, is_healthy=True) == state
    assert pause.at_tick(state, NOW + 7200, PACE, is_healthy=False) == PushState()
    without_end = pause.pause_for_operator("stop", NOW)
    assert pause.at_tick(without_end, NOW + WEEK, PACE, is_healthy=True) == without_end
    assert not pause.is_due(without_end, NOW + WEEK, PACE)


def test_a_probe_that_lies_costs_fewer_attempts_in_a_week_than_the_last_lane_has() -> None:
    """Each resumption fails again at once: the worst that a probe can do."""
    state, now, resumptions = PushState(), NOW, 0
    while now < NOW + WEEK:
        state = pause.pause_for_customerio(state, "server_error", now, PACE)
        while state.paused_by:
            now += 60
            state = pause.at_tick(state, now, PACE, is_healthy=pause.is_due(state, now, PACE))
        resumptions += 1
        now += 1
    assert 80 < resumptions < min(topology().lanes["retry"].attempts, topology().lanes["patient"].attempts)


def test_ten_good_minutes_make_the_next_pause_a_short_one() -> None:
    state = pause.pause_for_customerio(PushState(), "x", NOW, PACE)
    resumed = pause.at_tick(state, NOW + 60, PACE, is_healthy=True)
    soon = pause.pause_for_customerio(resumed, "x", NOW + 61, PACE)
    assert (soon.in_a_row, soon.probe_at) == (2, NOW + 61 + 120)
    assert pause.at_tick(resumed, NOW + 659, PACE, is_healthy=False) == resumed
    assert pause.at_tick(resumed, NOW + 660, PACE, is_healthy=False) == PushState()
    later = pause.pause_for_customerio(resumed, "x", NOW + 700, PACE)
    assert (later.in_a_row, later.probe_at) == (1, NOW + 700 + 60)


def test_the_time_scale_divides_every_wait() -> None:
    assert Pace(20).probe_wait(1) == 3
    assert Pace(20).probe_wait(99) == 360
    assert Pace(20).good_after == 30
