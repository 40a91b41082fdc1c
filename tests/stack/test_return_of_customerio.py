"""How soon jobs go out once Customer.io takes them again, at a scale at which that can be measured."""

from pathlib import Path

import pytest

from tests.stack.stack_helpers import running_stack, until
from tests.stack.test_pauses import KINDS, applied, outage, publish, pushing

pytestmark = pytest.mark.slow

# At this scale two minutes are 20 s: longer than what is not divided, a request and a breaker's first pauses.
TIME_SCALE = 6


def test_jobs_go_out_within_two_minutes_of_customerios_return(tmp_path: Path) -> None:
    with running_stack(tmp_path, {"STACK_TIME_SCALE": str(TIME_SCALE)}) as stack:
        with outage(stack, {"status": 401}):
            publish(stack, "return")
            until(lambda: not any(pushing(stack, *KINDS)), "the pause of every kind")
            # A job that moved to the retry lane just before has a minute's backoff of its own.
            ticks = stack.log("control").count('"outcome":"still_paused"')
            until(lambda: stack.log("control").count('"outcome":"still_paused"') >= ticks + 2 * len(KINDS), "two ticks")
        until(lambda: applied(stack), "every job", patience=120 / TIME_SCALE)
        assert [stack.dead_letters(kind) for kind in KINDS] == [[]] * len(KINDS)
