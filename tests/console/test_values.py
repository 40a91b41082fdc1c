"""Numbers of the page: rates, fills, ages, conditions, charts, and jobs read from log lines."""

import json
from pathlib import Path

import pytest

from local.console import conditions
from local.console.flow import Flow, Rates, age, per_second, speed
from local.console.jobs import RecentJobs, latency_text
from local.console.reports import bars, columns, funnel_bars
from shared.jobs import new_ulid
from shared.topology import topology


def test_a_rate_is_the_average_of_the_last_seconds() -> None:
    rates = Rates()
    assert rates.add({"a": 100}, now=0.0) == {"a": 0.0}
    assert rates.add({"a": 110}, now=1.0) == {"a": 10.0}
    for second in range(2, 9):
        last = rates.add({"a": 110}, now=float(second))
    assert last == {"a": 0.0}


def test_a_counter_that_starts_again_has_no_negative_rate() -> None:
    rates = Rates()
    rates.add({"a": 100}, now=0.0)
    assert rates.add({"a": 1}, now=1.0) == {"a": 0.0}


@pytest.mark.parametrize(("rate", "text"), [(0.0, "0/s"), (0.36, "0.4/s"), (9.97, "10/s"), (120.4, "120/s")])
def test_rates_in_words(rate: float, text: str) -> None:
    assert per_second(rate) == text
    assert speed(rate) == ("still" if rate == 0 else "fast" if rate > 20 else "slow")


@pytest.mark.parametrize(("seconds", "text"), [(3.2, "3 s"), (150.0, "2 min"), (7300.0, "2 h")])
def test_ages_in_words(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.048, "48 ms"), (3.21, "3.2 s"), (240.0, "4 min")])
def test_latencies_in_words(seconds: float, text: str) -> None:
    assert latency_text(seconds) == text


def test_a_lane_shows_what_waits_on_its_own_subscription() -> None:
    waiting = {"backlog": 50, "oldest_unacked_seconds": 65.0, "acked": 0}
    stats = {"topics": {}, "subscriptions": {"projects/p/subscriptions/cio-send-retry": waiting}}
    values = Flow("p").values(stats, {})
    assert values["lane.send.retry.waiting"] == "50"
    assert values["lane.send.main.waiting"] == "0"
    assert values["kind.send.waiting"] == "50"
    assert values["kind.send.oldest"] == "1 min"
    assert 0.3 < float(values["lane.send.retry.fill"]) < 0.6


def test_every_kind_has_its_values_when_nothing_is_known() -> None:
    values = Flow("p").values({"topics": {}, "subscriptions": {}}, {})
    for kind, shape in topology().topics.items():
        assert values[f"kind.{kind}.waiting"] == "0"
        assert {f"lane.{kind}.{lane}.waiting" for lane in shape.lanes} <= values.keys()


@pytest.mark.parametrize("condition", conditions.CONDITIONS, ids=lambda each: each.name)
def test_a_condition_is_recognised_by_its_faults(condition: conditions.Condition) -> None:
    assert conditions.current(list(condition.faults)) == condition.name


def test_faults_that_somebody_else_set_are_no_condition() -> None:
    assert conditions.current([{"status": 418}]) == conditions.OTHER


def test_a_funnel_is_measured_by_what_was_sent() -> None:
    drawn = funnel_bars({"sent": 4, "delivered": 2, "opened": 1})
    assert [(bar.label, bar.share, bar.note) for bar in drawn] == [
        ("sent", 1.0, ""),
        ("delivered", 0.5, "50%"),
        ("opened", 0.25, "25%"),
    ]
    assert funnel_bars({"sent": 0, "delivered": 0}) == []


def test_openings_are_counted_once_each() -> None:
    drawn = columns([0, 1, 2, 19, 20, 3600])
    assert sum(bar.count for bar in drawn) == 6
    assert [bar.count for bar in drawn] == [2, 1, 0, 1, 1, 1]
    assert columns([]) == []


def test_bars_are_shares_of_the_largest() -> None:
    assert [bar.share for bar in bars([("a", 4), ("b", 1)])] == [1.0, 0.25]


def line(outcome: str, job_id: str, **fields: object) -> str:
    written = {"time": "2026-11-24T21:00:00.000Z", "function": "send", "kind": "send", "outcome": outcome}
    return json.dumps({**written, "message": outcome, "job_id": job_id, "latency_ms": 5.0, **fields}) + "\n"


def test_attempts_of_one_job_are_one_entry_and_the_latest_comes_first(tmp_path: Path) -> None:
    first, second, log = new_ulid(), new_ulid(), tmp_path / "send.log"
    log.write_text(line("retry_later", first, status=503, attempt=1) + line("applied", second))
    jobs = RecentJobs(tmp_path)
    jobs.refresh()
    assert [record.job_id for record in jobs.latest(10)] == [second, first]
    with log.open("a") as more:
        more.write(line("dead_lettered", first, reason="invalid", time="2026-11-24T21:00:01.000Z"))
    jobs.refresh()
    record = jobs.latest(1)[0]
    assert record.job_id == first
    assert [attempt.state for attempt in record.attempts] == ["waiting", "failed"]
    assert jobs.find("send", first) is record


def test_log_lines_about_no_job_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "send.log").write_text('2026-11-24T21:00:00Z starting\n{"time":"2026-11-24T21:00:00Z","message":"x"}\n')
    jobs = RecentJobs(tmp_path)
    jobs.refresh()
    assert jobs.latest(10) == []
