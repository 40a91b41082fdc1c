"""How soon jobs go out once Customer.io takes them again, at a scale at which that can be measured."""

from pathlib import Path

from tests.stack.stack_helpers import running_stack, until
from tests.stack.test_pauses import KINDS, applied, outage, publish, pushing


def test_jobs_go_out_within_two_minutes_of_customerios_return(tmp_path: Path) -> None:
    """At a scale at which two minutes are longer than what is not divided: a request, a breaker's first pause."""
    scale = 10
    with running_stack(tmp_path, {"STACK_TIME_SCALE": str(scale)}) as stack:
        with outage(stack, {"status": 401}):
            publish(stack, "return")
            until(lambda: not any(pushing(stack, *KINDS)), "the pause of every kind")
        until(lambda: applied(stack), "every job", patience=120 / scale)
        assert [stack.dead_letters(kind) for kind in KINDS] == [[]] * len(KINDS)
