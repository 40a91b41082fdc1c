"""``docs/cost.md`` holds the tables that ``python -m bench.cost`` computes, and the benchmark prints help if asked."""

import pytest

from bench import __main__ as bench
from bench import cost
from tests.docs.markdown import ROOT


def test_the_page_holds_the_tables_that_are_computed(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main([])
    tables = capsys.readouterr().out
    assert tables.count("| identify, track |") == 6  # two shapes of load, three sizes
    assert tables.strip() in (ROOT / "docs/cost.md").read_text(), "run python -m bench.cost, and put it there"


@pytest.mark.parametrize("module", [bench, cost])
def test_help_is_help(module: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m bench")


def test_a_function_that_there_is_not_is_named_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "surroundings", lambda _: pytest.fail("the benchmark was started"))
    with pytest.raises(SystemExit, match=r"^--only: no such function: nothing$"):
        bench.main(["--only", "nothing"])


def test_waiting_costs_where_a_function_takes_one_request_at_a_time() -> None:
    one = cost.Work("one", "one", seconds=0.05, concurrency=1)
    many = cost.Work("many", "many", seconds=0.05, concurrency=1_000)
    cpu, jobs = 0.0001, 1e6
    assert cost.instance_seconds(one, cpu, jobs, steady=False) >= jobs * 0.05
    assert cost.instance_seconds(many, cpu, jobs, steady=False) < jobs * 0.0005
    # One job in four seconds is alone either way.
    alone = cost.instance_seconds(many, cpu, 6e5, steady=True) / cost.instance_seconds(one, cpu, 6e5, steady=True)
    assert alone > 0.9
